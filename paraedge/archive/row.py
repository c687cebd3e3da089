"""One line of runs.csv: an attempt at a point, with the summary of its samples."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from paraedge.archive.columns import TERMS, Cell
from paraedge.archive.pipeline_cells import partition_cells, pipeline_cells, stage_lines
from paraedge.core.device import Origin, Target
from paraedge.core.errors import short
from paraedge.core.graph import LayerGraph
from paraedge.core.median import median_ranks
from paraedge.core.outcome import Block, Measurement, Outcome, Placement, Prediction
from paraedge.core.spec import ModelSpec, ParamValue


class Key(NamedTuple):
    """What makes an attempt the same point."""

    spec_id: str
    target: Target
    round: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """An attempt: its key, its cells by column name (what is not there is empty), and the blocks and stages behind it.

    stages: the lines of stages.csv below `run_id`, a value a column.
    """

    run_id: str
    key: Key
    attempt: int
    status: Literal["ok", "failed"]
    origin: Origin
    cells: Mapping[str, Cell]
    blocks: tuple[Block, ...]
    stages: tuple[tuple[Cell, ...], ...] = ()

    @property
    def timed_s(self) -> float:
        """Seconds of real time inside timed blocks; 0 for a simulated or failed attempt."""
        if self.origin is not Origin.MEASURED:
            return 0.0
        return sum(block.duration_ns for block in self.blocks) * 1e-9


def make_row(
    *,
    spec: ModelSpec,
    target: Target,
    round: int,  # noqa: A002  the column's own name
    attempt: int,
    outcome: Outcome,
    origin: Origin,
    batch_mode: str,
    graph: LayerGraph | None = None,
    file_bytes: int | None = None,
    placement: Placement | None = None,
    compiler: str | None = None,
    builder: str | None = None,
) -> Row:
    """The row of one attempt at `spec` on `target`.

    graph: what one invoke computes, of batch 1 where `batch_mode` is `looped`; None leaves its cells empty.
    origin, batch_mode: the driver's. placement: of a compiled model, whose `compiler` has this version; where it is
    None, a simulated one is taken from the outcome. builder: what made the model's file, None where there is none.
    Raises ValueError for a measurement without samples and for one of another origin than `origin`.
    """
    key = Key(spec.spec_id, target, round)
    identity = run_id(key, attempt)
    invokes = spec.batch if batch_mode == "looped" else 1
    cells = {"run_id": identity, "file_bytes": file_bytes, **_spec_cells(spec), **_target_cells(target)}
    cells.update(builder=builder, compiler=compiler, batch_mode=batch_mode)
    cells.update(origin=origin.value, round=round, attempt=attempt)
    if graph is not None:
        cells.update(_graph_cells(graph, invokes))
    if isinstance(outcome, Measurement):
        if outcome.device.origin is not origin:
            raise ValueError(
                f"{target.label()}: {outcome.device.origin.value} point of a driver of {origin.value} ones"
            )
        cells["status"] = "ok"
        cells.update(_measured_cells(outcome, invokes))
        blocks = outcome.blocks or _predicted_blocks(outcome.prediction)
        cells["samples"] = len(blocks)
        partial = outcome.prediction is not None and _leaves_macs_out(outcome.prediction, graph)
        cells.update(_rates(cells, spec.batch, partial=partial))
        placement = placement or (outcome.prediction.placement if outcome.prediction else None)
    else:
        cells["status"] = "failed"
        cells["error"] = short(outcome.text())
        blocks = ()
    if placement is not None:
        cells.update(_placement_cells(placement))
    return Row(
        run_id=identity,
        key=key,
        attempt=attempt,
        status="ok" if isinstance(outcome, Measurement) else "failed",
        origin=origin,
        cells=cells,
        blocks=blocks,
        stages=stage_lines(outcome.pipeline) if isinstance(outcome, Measurement) and outcome.pipeline else (),
    )


def _spec_cells(spec: ModelSpec) -> dict[str, Cell]:
    parameters = {name: parameter_cell(value) for name, value in spec.params.columns().items()}
    common: dict[str, Cell] = {"precision": spec.precision, "batch": spec.batch}
    return {"spec_id": spec.spec_id, "family": spec.family, **parameters, **common}


def _target_cells(target: Target) -> dict[str, Cell]:
    return {field.name: getattr(target, field.name) for field in dataclasses.fields(target)}


def run_id(key: Key, attempt: int) -> str:
    """`r` and 15 hexadecimal digits. The letter keeps spreadsheets from reading 12e4567... as a number."""
    target = key.target
    several = () if target.segments is None else (target.segments, target.strategy, target.inputs)
    parts = (key.spec_id, target.device, target.threads, target.kernels, *several, key.round, attempt)
    text = "/".join("" if part is None else str(part) for part in parts)
    return "r" + hashlib.sha256(text.encode()).hexdigest()[:15]


def parameter_cell(value: ParamValue) -> Cell:
    """A tuple as `512x512x10`, all else as it is."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else value


def median_interval(ordered: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the median of independent samples, given in ascending order; None below 6 of them.

    From order statistics, see `core.median`.
    """
    ranks = median_ranks(len(ordered))
    return (ordered[ranks[0]], ordered[ranks[1]]) if ranks else None


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between order statistics, as numpy's default (Hyndman and Fan's type 7)."""
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    if below + 1 >= len(ordered):
        return ordered[-1]
    return ordered[below] + (ordered[below + 1] - ordered[below]) * (position - below)


def _graph_cells(graph: LayerGraph, invokes: int) -> dict[str, Cell]:
    macs = graph.macs
    return {
        "macs": None if macs is None else macs * invokes,
        "parameters": None if graph.is_compiled else graph.parameters,
        "weight_bytes": None if graph.is_compiled else graph.weight_bytes,
        "activation_bytes": graph.activation_bytes * invokes,
        "input_bytes": graph.input_bytes * invokes,
        "output_bytes": graph.output_bytes * invokes,
    }


def _measured_cells(outcome: Measurement, invokes: int) -> dict[str, Cell]:
    cells: dict[str, Cell] = {
        "stop_reason": outcome.stop_reason,
        "set_ms": _ms(outcome.set_ns, invokes),
        "get_ms": _ms(outcome.get_ns, invokes),
        "open_ms": _ms(outcome.open_ns, 1),
        "first_ms": _ms(outcome.first_ns, 1),
        "temperature_c": outcome.temperature_c,
    }
    if outcome.prediction is None:
        cells.update(_latency_cells(outcome.blocks, invokes))
    else:
        cells.update(_predicted_cells(outcome.prediction, invokes))
    cells["warnings"] = short("; ".join(outcome.warnings)) or None
    if outcome.pipeline is not None:
        cells.update(pipeline_cells(outcome.pipeline))
    if outcome.partition is not None:
        cells.update(partition_cells(outcome.partition))
    return cells


def _latency_cells(blocks: Sequence[Block], invokes: int) -> dict[str, Cell]:
    if not blocks:
        raise ValueError("a measurement without blocks")
    ordered = sorted(block.invoke_ns * invokes * 1e-6 for block in blocks)
    total_ns, total_invokes = sum(b.duration_ns for b in blocks), sum(b.invokes for b in blocks)
    low, high = median_interval(ordered) or (None, None)
    return {
        "latency_median_ms": quantile(ordered, 0.5),
        "latency_low_ms": low,
        "latency_high_ms": high,
        "latency_p90_ms": quantile(ordered, 0.9),
        "latency_p99_ms": quantile(ordered, 0.99),
        "latency_mean_ms": total_ns / total_invokes * invokes * 1e-6,
        "latency_min_ms": ordered[0],
    }


def _predicted_cells(prediction: Prediction, invokes: int) -> dict[str, Cell]:
    latency_ms = float(prediction.latency_ms) * invokes
    spread = ("latency_median_ms", "latency_p90_ms", "latency_p99_ms", "latency_mean_ms", "latency_min_ms")
    cells: dict[str, Cell] = dict.fromkeys(spread, latency_ms)
    if prediction.first_ms is not None:
        cells["first_ms"] = prediction.first_ms
    for name in TERMS:
        if name in prediction.terms:
            cells[name] = prediction.terms[name] * invokes
    for name, end_ms in (("predicted_low_ms", prediction.low_ms), ("predicted_high_ms", prediction.high_ms)):
        cells[name] = None if end_ms is None else end_ms * invokes
    cells["outside"] = short("; ".join(prediction.outside)) or None
    for name, count in (("instruction_bytes", prediction.instruction_bytes), ("link_bytes", prediction.link_bytes)):
        cells[name] = None if count is None else count * invokes
    return cells


def _predicted_blocks(prediction: Prediction | None) -> tuple[Block, ...]:
    """What a clock would show: one invoke; so that every good row has as many lines in samples.csv as it says."""
    return () if prediction is None else (Block(invokes=1, duration_ns=round(prediction.latency_ms * 1e6)),)


def _leaves_macs_out(prediction: Prediction, graph: LayerGraph | None) -> bool:
    """Whether MACs of the model, or ops that may have some, stay on a host's CPU, which the latency leaves out."""
    return graph is not None and any(graph.macs_by_layer[index] != 0 for index in prediction.placement.on_cpu)


def _rates(cells: Mapping[str, Cell], batch: int, *, partial: bool) -> dict[str, Cell]:
    latency_ms, macs = cells["latency_median_ms"], cells.get("macs")
    if not isinstance(latency_ms, float) or latency_ms <= 0:
        return {}
    gops = 2 * macs / latency_ms * 1e-6 if isinstance(macs, int) and not partial else None
    return {"gops_per_s": gops, "examples_per_s": batch * 1e3 / latency_ms}


def _placement_cells(placement: Placement) -> dict[str, Cell]:
    known = placement.on_chip is not None and placement.off_chip is not None
    groups = {"on_chip": placement.on_chip, "off_chip": placement.off_chip} if known else {}
    groups |= {"on_cpu": placement.on_cpu} if known else {"on_device": placement.on_device, "on_cpu": placement.on_cpu}
    parts = [f"{name}={_ranges(layers)}" for name, layers in groups.items() if layers]
    return {
        "placement": placement.source,
        "placed": short(" ".join(parts)) or None,
        "on_chip_bytes": placement.on_chip_bytes,
        "off_chip_bytes": placement.off_chip_bytes,
    }


def _ranges(layers: Iterable[int]) -> str:
    """Indices as `0-3,5`."""
    spans: list[list[int]] = []
    for layer in sorted(layers):
        if spans and layer == spans[-1][1] + 1:
            spans[-1][1] = layer
        else:
            spans.append([layer, layer])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _ms(duration_ns: int | None, invokes: int) -> float | None:
    return None if duration_ns is None else duration_ns * invokes * 1e-6
