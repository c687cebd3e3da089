"""What every span of layers costs the CPU: its ops, measured one by one, added up to what the whole model takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paraedge import run
from paraedge.build.scratch import work_folder
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.median import median_ranks
from paraedge.core.outcome import Artifact, Failure, Job, Measurement, Outcome
from paraedge.core.spans import Spans
from paraedge.core.words import milliseconds, plural
from paraedge.devices import registry
from paraedge.segment.cuttable import cuttable
from paraedge.simulate.span_edges import span_edges
from paraedge.tflite import write_model
from paraedge.tflite.cut import cut_model
from paraedge.tflite.read import map_file

if TYPE_CHECKING:
    from paraedge.core.spans import Times

PIPELINE_MS = 0.075
"""For each input of a pipeline of processes, however little they do: 10,000 to 20,000 inputs a second were seen."""
OFF_BY = 0.09
"""How far ops measured alone and added up lay from the whole: 3 % for three models, 9 % for one of 0.15 ms."""
SETTINGS = MeasureSettings(rounds=1, time_budget_s=0.05, warm_up_s=0.01, precision=0.02)


@dataclass(frozen=True, kw_only=True, eq=False)
class CpuCosts:
    """Spans and what they rest on.

    whole_ms: of the whole model. added_ms: of its ops, each measured alone. fixed_ms: of an invoke, whatever it does:
    a segment has it once, and each op alone has it too.
    """

    spans: Spans
    whole_ms: float
    added_ms: float
    fixed_ms: float

    def text(self) -> str:
        """How they were found, in a clause."""
        together, whole = milliseconds(self.added_ms), milliseconds(self.whole_ms)
        said = (
            f"each op was measured alone, {together} ms together, the whole {whole} ms; a segment is the sum of its ops"
        )
        if self.fixed_ms:
            return f"{said}, less {milliseconds(1e3 * self.fixed_ms)} us for each but one"
        return (
            f"{said}, all slower by {100 * (self.whole_ms / self.added_ms - 1):.0f} %, so that they make up the whole"
        )


def measured_spans(
    graph: LayerGraph,
    device: str,
    file: Path | None = None,
    told: Callable[[str], None] | None = None,
    held: Target | None = None,
) -> CpuCosts:
    """Pieces and the whole measured in one visit of `device`; `file`: the model's own file, else the graph is written.

    A piece is an op, or those that can't be cut apart. What the pieces take together beyond the whole is the fixed time
    of an invoke, once for each piece but one; where they take less, all are taken to be slower by as much in it. low_ms
    and high_ms: the pieces' 95 % intervals added up, and `OFF_BY` more, or what is left between sum and whole; the low
    end without that slowing. Receiving and sending: the model's bytes at the rate at which the pieces' inputs were set
    and their outputs got. held: the device with its options, whose lock the caller holds; None: with its default
    options, and locked here. Raises BadInput where a piece can't be loaded, ParaedgeError where it fails.
    """
    driver = registry.find(device)
    target = held or driver.targets(device, (), ())[0]
    why = driver.why_not(graph, target)
    if why is not None:
        raise BadInput(f"{device}: {why}")
    allowed = cuttable(graph)
    cuts = tuple(range(1, len(graph.layers))) if allowed is None else allowed
    with work_folder() as folder:
        jobs = _jobs(graph, file, cuts, folder)
        if told is not None:
            told(f"measuring {plural(len(jobs) - 1, 'op')} on {device}, each alone")
        with contextlib.nullcontext() if held else run.device_lock(registry.lock_name(device)):
            outcomes = list(run.visit(driver, target, iter(jobs), SETTINGS))
    names = [*(f"op {at} alone" for at in (0, *cuts)), graph.name]
    found = [_good(outcome, name, device) for outcome, name in zip(outcomes, names, strict=True)]
    return _costs(graph, (0, *cuts), found[:-1], found[-1])


def _jobs(graph: LayerGraph, file: Path | None, cuts: Sequence[int], folder: Path) -> list[Job]:
    """Each piece, and the whole model at the end."""
    source = map_file(file) if file is not None else write_model(graph)
    pieces = {f"{segment.first}": segment.data for segment in cut_model(source, cuts, name=graph.name)}
    jobs = []
    for name, data in {**pieces, "whole": source}.items():
        path = folder / f"{name}.tflite"
        path.write_bytes(data)
        artifact = Artifact(path=path, file_bytes=len(data), recipe="cut")
        jobs.append(Job(spec=None, graph=None, artifact=artifact))
    return jobs


def _good(outcome: Outcome, what: str, device: str) -> Measurement:
    if isinstance(outcome, Failure):
        kind = BadInput if outcome.stage == "load" else ParaedgeError
        raise kind(f"{what} can't be measured on {device}: {outcome.text()}")
    return outcome


def _costs(graph: LayerGraph, starts: Sequence[int], found: Sequence[Measurement], whole: Measurement) -> CpuCosts:
    layers = len(graph.layers)
    low, middle, high = np.zeros((3, layers))
    for first, one in zip(starts, found, strict=True):
        low[first], middle[first], high[first] = _interval_ms(one)
    whole_ms, added_ms = _interval_ms(whole)[1], float(middle.sum())
    more = max(0.0, added_ms - whole_ms) / max(len(starts) - 1, 1)
    fixed_ms = min(more, *(middle[first] for first in starts)) if len(starts) > 1 else 0.0
    is_start = np.isin(np.arange(layers), starts)
    fixed = fixed_ms * np.maximum(_added(is_start.astype(float)) - 1, 0)
    compute = _added(middle) - fixed
    slower = max(1.0, whole_ms / float(compute[0, layers]))
    off_by = max(1 + OFF_BY, float(compute[0, layers]) / whole_ms)
    low_ms, high_ms = ((_added(one) - fixed) * slower for one in (low, high))
    return CpuCosts(
        spans=_spans(graph, starts, found, compute * slower, low_ms / max(off_by, slower), high_ms * off_by),
        whole_ms=whole_ms,
        added_ms=added_ms,
        fixed_ms=fixed_ms,
    )


def _spans(
    graph: LayerGraph, starts: Sequence[int], found: Sequence[Measurement], compute: Times, low: Times, high: Times
) -> Spans:
    edges = span_edges(graph)
    pieces = list(pairwise((*starts, len(graph.layers))))
    taken, given = (sum(float(table[piece]) for piece in pieces) for table in (edges.input_bytes, edges.output_bytes))
    receive_ms = edges.input_bytes * _rate(sum(one.set_ns or 0 for one in found), taken)
    send_ms = edges.output_bytes * _rate(sum(one.get_ns or 0 for one in found), given)
    unknown = np.full(compute.shape, -1, np.int64)
    return Spans(
        receive_ms=receive_ms,
        compute_ms=compute,
        send_ms=send_ms,
        busy_ms=compute + receive_ms + send_ms,
        low_ms=np.maximum(low, 0.0) + receive_ms + send_ms,
        high_ms=high + receive_ms + send_ms,
        input_bytes=edges.input_bytes.astype(np.int64),
        output_bytes=edges.output_bytes.astype(np.int64),
        link_bytes=np.zeros_like(unknown),
        on_chip_bytes=unknown,
        off_chip_bytes=unknown,
    )


def _interval_ms(one: Measurement) -> tuple[float, float, float]:
    """Median of the blocks with its 95 % interval; all of their range where they are too few for one."""
    times = sorted(block.invoke_ns / 1e6 for block in one.blocks)
    low, high = median_ranks(len(times)) or (0, len(times) - 1)
    return times[low], float(np.median(times)), times[high]


def _rate(time_ns: float, count_bytes: float) -> float:
    """Milliseconds a byte."""
    return time_ns / 1e6 / count_bytes if count_bytes else 0.0


def _added(each: Times) -> Times:
    until = np.concatenate(([0.0], each.cumsum()))
    sums: Times = np.triu(until[None, :] - until[:, None])
    return sums
