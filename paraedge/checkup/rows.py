"""Measured rows of a campaign, each with what a diagnosis needs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from paraedge import models
from paraedge.analyze.failures import failure_kinds
from paraedge.analyze.points import points, target_labels, whole
from paraedge.archive import Campaign, read_campaign
from paraedge.checkup.diagnosis import FAR, Diagnosis, diagnose, hardware_of
from paraedge.core.device import DeviceInfo, Origin
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Placement
from paraedge.core.spec import ModelSpec
from paraedge.simulate import load_hardware, predict
from paraedge.sweep import parse_sweep

EDGETPU = "edgetpu:"


def diagnose_campaign(folder: Path, *, far: float = FAR) -> Iterator[tuple[ModelSpec, str, Diagnosis]]:
    """Each point measured on an Edge TPU, with its target and diagnosis; raises BadInput where there is none.

    Where all have failed, it says why.
    """
    campaign = read_campaign(folder)
    runs = whole(campaign.runs)
    runs = runs[(runs["origin"] == "measured") & runs["device"].str.startswith(EDGETPU)]
    if not len(runs):
        raise BadInput(f"{folder} has no rows that were measured on an edgetpu; `paraedge edgetpu run` measures one")
    sweep = parse_sweep(campaign.meta["sweep"], source=str(folder), folder=Path(campaign.meta.get("sweep_folder", ".")))
    specs = {spec.spec_id: spec for spec in sweep.points()}
    table = points(runs)
    if not (table["status"] == "ok").any():
        failed = ", ".join(f"{one.count} failed ({one.kind})" for one in failure_kinds(runs))
        raise BadInput(f"{folder}: no good row was measured on an edgetpu: {failed}; `paraedge run` says what mends it")
    rows = cast("list[dict[str, Any]]", table.to_dict("records"))
    for label, point in zip(target_labels(table), rows, strict=True):
        spec = specs.get(point["spec_id"])
        if spec is not None and point["status"] == "ok" and not _is_compiled(spec):
            yield spec, str(label), _diagnose(spec, point, _info(campaign, str(label), str(point["device"])), far)


def _is_compiled(spec: ModelSpec) -> bool:
    """A file that was compiled beforehand, of which nothing can be predicted."""
    return spec.family == "file" and models.build_graph(spec).is_compiled


def _diagnose(spec: ModelSpec, point: Mapping[str, Any], info: DeviceInfo, far: float) -> Diagnosis:
    invokes = spec.batch if point["batch_mode"] == "looped" else 1
    graph = models.build_graph(dataclasses.replace(spec, batch=1) if invokes != 1 else spec)
    temperature = point["temperature_c"]
    return diagnose(
        float(point["latency_median_ms"]) / invokes,
        graph,
        info,
        placement=_placement(point, predict(graph, load_hardware(hardware_of(info))).placement),
        temperature_c=None if temperature != temperature else float(temperature),
        far=far,
    )


def _placement(point: Mapping[str, Any], predicted: Placement) -> Placement | None:
    """The predicted one with the compiler's bytes and CPU ops, where the row has these."""
    placed = "" if point["placed"] is None or point["placed"] != point["placed"] else str(point["placed"])
    if point["placement"] != "compiler" or placed.endswith("..."):  # too long for its cell
        return None
    on_cpu = _on_cpu(placed)
    layers = sorted({*predicted.on_device, *predicted.on_cpu})
    return dataclasses.replace(
        predicted,
        source="compiler",
        on_cpu=on_cpu,
        on_device=tuple(layer for layer in layers if layer not in on_cpu),
        on_chip_bytes=int(point["on_chip_bytes"]),
        off_chip_bytes=int(point["off_chip_bytes"]),
    )


def _on_cpu(placed: str) -> tuple[int, ...]:
    """Layers of `on_cpu=4,6-8` in a cell of the column `placed`."""
    match = re.search(r"\bon_cpu=([\d,-]+)", placed)
    ends = [[int(end) for end in span.split("-")] for span in match[1].split(",")] if match else []
    return tuple(layer for span in ends for layer in range(span[0], span[-1] + 1))


def _info(campaign: Campaign, label: str, device: str) -> DeviceInfo:
    """What the campaign's meta.json has of a device; unknown where it has nothing."""
    kept = campaign.meta.get("devices", {}).get(label, {})
    names = {field.name for field in dataclasses.fields(DeviceInfo)} - {"id", "origin", "batch_mode"}
    known = {name: value for name, value in kept.items() if name in names}
    return DeviceInfo(id=device, origin=Origin.MEASURED, batch_mode="looped", **known)
