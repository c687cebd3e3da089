"""What every span of a model's layers costs each device: the problem that cuts are chosen from, and its assumptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from paraedge import simulate
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph
from paraedge.core.spans import Spans
from paraedge.core.words import milliseconds, plural
from paraedge.devices import registry
from paraedge.devices.host import usable_cores
from paraedge.devices.quantized import why_not_simulated
from paraedge.partition.problem import DeviceType, Problem
from paraedge.segment.cluster_costs import cluster_costs
from paraedge.segment.cost_nouns import Costs as Costs
from paraedge.segment.cpu_costs import PIPELINE_MS, measured_spans
from paraedge.segment.cuttable import cuttable
from paraedge.simulate.constants import OF_PIPELINES, Hardware
from paraedge.simulate.hosts import Cluster

SHARED_BUS = "shared"
"""Name of the bus of devices that share one."""
USB2_MBIT_PER_S = 480
Told: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kind:
    """Devices of one type as they are gathered. hardware: of a simulated one. found: how a measured one was."""

    names: list[str]
    spans: Spans
    origin: Origin
    hardware: Hardware | None = None
    found: str = ""


def problem_for(
    graph: LayerGraph,
    devices: Sequence[str] | Cluster,
    *,
    shared_bus: bool = False,
    file: Path | None = None,
    told: Told | None = None,
    held: Target | None = None,
) -> Problem:
    """The problem of `costs_of`, for those who want no words about it."""
    return costs_of(graph, devices, shared_bus=shared_bus, file=file, told=told, held=held).problem


def costs_of(
    graph: LayerGraph,
    devices: Sequence[str] | Cluster,
    *,
    shared_bus: bool = False,
    file: Path | None = None,
    told: Told | None = None,
    held: Target | None = None,
) -> Costs:
    """What every span of layers costs each of the devices, or each host of a cluster.

    Simulated devices, hardware files (.toml) and hosts are costed by formula. An `edgetpu:N` that is here is costed as
    the simulated device of its link. `cpu` is measured op by op (`cpu_costs`), with the bytes of `file` where it is
    given, and `told` hears how far that is. A name given k times stands for k such devices: NAME#1 to NAME#k.
    shared_bus: all that crosses the links of simulated devices crosses one bus, at the rate of their own link.
    held: the measured device with its options, whose lock the caller holds; None: default options, locked here.
    Raises BadInput for a device that is not here or that the model can't run on.
    """
    if not graph.layers:
        raise BadInput(f"{graph.name} has no ops: there is nothing to divide")
    if isinstance(devices, Cluster):
        return cluster_costs(graph, devices)
    return _device_costs(graph, devices, shared_bus=shared_bus, file=file, told=told, held=held)


def _device_costs(
    graph: LayerGraph,
    devices: Sequence[str],
    *,
    shared_bus: bool,
    file: Path | None,
    told: Told | None,
    held: Target | None,
) -> Costs:
    if not devices:
        raise BadInput("no device: name one or more")
    likes = [simulated_as(device) for device in devices]
    if shared_bus and not any(likes):
        raise BadInput("a shared bus needs devices that are on one; the cpu is on none")
    kinds: dict[str, _Kind] = {}
    order: list[str] = []
    for device, name, hardware in zip(devices, _numbered(devices), likes, strict=True):
        key = device if hardware is None else hardware.name
        if key not in kinds and hardware is not None:
            kinds[key] = _simulated(graph, device, hardware)
        elif key not in kinds:
            found = measured_spans(graph, device, file, told, held)
            kinds[key] = _Kind(names=[], spans=found.spans, origin=Origin.MEASURED, found=found.text())
        kinds[key].names.append(name)
        order.append(key)
    hardwares = [kind.hardware for kind in kinds.values() if kind.hardware is not None]
    problem = Problem(
        model=graph.name,
        layers=len(graph.layers),
        types=tuple(_type(kind, shared_bus) for kind in kinds.values()),
        host_ms=max((hardware.host_ms for hardware in hardwares), default=PIPELINE_MS),
        cuttable=cuttable(graph),
    )
    return Costs(
        problem=problem,
        order=tuple(list(kinds).index(key) for key in order),
        origins=tuple(dict.fromkeys(kind.origin for kind in kinds.values())),
        sentences=tuple(_device_sentences(devices, list(kinds.values()), problem, shared_bus)),
    )


def _numbered(names: Sequence[str]) -> list[str]:
    """Each name once: NAME#1, NAME#2 where it stands for several. A real Edge TPU is one device."""
    counts, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        if counts[name] > 1 and name.startswith("edgetpu:"):
            raise BadInput(
                f"{name} is one device, given {counts[name]} times; name each of several: edgetpu:0, edgetpu:1"
            )
        seen[name] += 1
        found.append(f"{name}#{seen[name]}" if counts[name] > 1 else name)
    return found


def simulated_as(device: str) -> Hardware | None:
    """The hardware file by which a device is costed; None for one that is measured. Raises BadInput."""
    if device.endswith(".toml"):
        return simulate.load_hardware(device)
    driver, info = registry.find(device), registry.info(device)
    if info.origin is Origin.SIMULATED:
        return simulate.load_hardware(device)
    if driver.name == "edgetpu":
        return simulate.load_hardware(_like(info))
    if driver.name == "cpu":
        return None
    raise BadInput(f"{short(device, 80)} can't be costed; take cpu, an edgetpu or a simulated device")


def _simulated(graph: LayerGraph, device: str, hardware: Hardware) -> _Kind:
    why = why_not_simulated(graph)
    if why is not None:
        raise BadInput(f"{device}: {why}")
    return _Kind(names=[], spans=simulate.spans(graph, hardware), origin=Origin.SIMULATED, hardware=hardware)


def _like(info: DeviceInfo) -> str:
    """The simulated device that an Edge TPU of this link is costed as."""
    if (info.link or "").startswith("PCIe"):
        return "sim-edgetpu-pcie"
    slow = info.link_mbit_per_s is not None and info.link_mbit_per_s <= USB2_MBIT_PER_S
    return "sim-edgetpu-usb2" if slow else "sim-edgetpu-usb3"


def _type(kind: _Kind, shared_bus: bool) -> DeviceType:
    if not shared_bus or kind.hardware is None:
        return DeviceType(devices=tuple(kind.names), spans=kind.spans)
    bus_ms = np.maximum(kind.spans.link_bytes, 0) / (kind.hardware.link_mb_per_s * 1e3)
    return DeviceType(devices=tuple(kind.names), spans=kind.spans, bus=SHARED_BUS, bus_ms=bus_ms)


def _device_sentences(devices: Sequence[str], kinds: Sequence[_Kind], problem: Problem, shared_bus: bool) -> list[str]:
    found = ["a stage receives, computes and sends in turn"]
    likes = {device: simulated_as(device) for device in devices if device.startswith("edgetpu:")}
    found += [f"{device} is costed as {like.name}, simulated, not measured" for device, like in likes.items() if like]
    hardwares = [kind.hardware for kind in kinds if kind.hardware is not None]
    found += [
        f"what earlier stages made takes {milliseconds(hardware.handover_ms_per_mib)} ms/MiB more to receive, and "
        f"streaming parameters {milliseconds(hardware.stream_pipelined_ms)} ms more ({hardware.name})"
        for hardware in hardwares
    ]
    if hardwares:
        spends = f"the host spends {milliseconds(problem.host_ms)} ms on each input, one after another"
        found.append(f"over two devices or more {spends}")
        if any(hardware.sources[key].low is None for hardware in hardwares for key in OF_PIPELINES):
            found.append("these were measured on the PCIe host only and are assumed to hold here")
        rates = ", ".join(f"{hardware.link_mb_per_s:.0f} MB/s" for hardware in hardwares)
        found.append(f"all devices share one bus of {rates}" if shared_bus else "each device has a bus of its own")
    stages = sum(len(kind.names) for kind in kinds if kind.hardware is None)
    if stages:
        found += [kind.found for kind in kinds if kind.found]
        if not hardwares:
            found.append(f"a pipeline of processes takes {problem.host_ms:g} ms for each input, however little they do")
        cores = usable_cores()
        have = f"{plural(cores, 'core')} here"
        found.append(
            f"each stage has a core to itself ({have})"
            if stages <= cores
            else f"each stage is taken to have a core to itself, and {stages} stages on {have} are slower than this"
        )
    return found
