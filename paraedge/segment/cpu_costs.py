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
from paraedge.core.device import Target
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Measurement, Outcome
from paraedge.core.profile import fixed_invoke_ms
from paraedge.core.spans import Spans
from paraedge.core.words import milliseconds, plural
from paraedge.devices import registry
from paraedge.segment.pieces import Bench, Piece, interval_ms, pieces_of
from paraedge.simulate.span_edges import span_edges
from paraedge.tflite import write_model
from paraedge.tflite.model_file import ModelFile
from paraedge.tflite.read import map_file

if TYPE_CHECKING:
    from paraedge.core.spans import Times

PIPELINE_MS = 0.075
"""For each input of a pipeline of processes, however little they do: 10,000 to 20,000 inputs a second were seen."""
OFF_BY = 0.09
"""How far ops measured alone and added up lay from the whole: 3 % for three models, 9 % for one of 0.15 ms."""


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
    pieces = pieces_of(graph)
    if told is not None:
        told(_plan_text(pieces, device))
    source = map_file(file) if file is not None else write_model(graph)
    with contextlib.ExitStack() as held_open:
        folder = held_open.enter_context(work_folder())
        if not held:
            held_open.enter_context(run.device_lock(registry.lock_name(device)))
        bench = held_open.enter_context(Bench(driver, target, folder))
        whole = _good(bench.time_file(_artifact(source, file, folder)), graph.name, device)
        outcomes = bench.time_pieces(ModelFile(memoryview(source).cast("B"), graph.name), pieces)
    starts = [piece.first for piece in pieces]
    found = [_good(outcome, f"op {at} alone", device) for outcome, at in zip(outcomes, starts, strict=True)]
    return _costs(graph, starts, found, whole)


def _plan_text(pieces: Sequence[Piece], device: str) -> str:
    alike = len(pieces) - len({piece.kind for piece in pieces})
    said = f"measuring {plural(len(pieces), 'op')} on {device}, each alone"
    return f"{said}; {alike} of them are like others and not measured again" if alike else said


def _artifact(source: bytes | memoryview, file: Path | None, folder: Path) -> Artifact:
    """The whole model as a file."""
    path = file
    if path is None:
        path = folder / "whole.tflite"
        path.write_bytes(source)
    return Artifact(path=path, file_bytes=len(source), recipe="direct")


def _good(outcome: Outcome, what: str, device: str) -> Measurement:
    if isinstance(outcome, Failure):
        kind = BadInput if outcome.stage == "load" else ParaedgeError
        raise kind(f"{what} can't be measured on {device}: {outcome.text()}")
    return outcome


def _costs(graph: LayerGraph, starts: Sequence[int], found: Sequence[Measurement], whole: Measurement) -> CpuCosts:
    layers = len(graph.layers)
    low, middle, high = np.zeros((3, layers))
    for first, one in zip(starts, found, strict=True):
        low[first], middle[first], high[first] = interval_ms(one)
    whole_ms, added_ms = interval_ms(whole)[1], float(middle.sum())
    fixed_ms = fixed_invoke_ms(added_ms, whole_ms, len(starts), float(min(middle[first] for first in starts)))
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


def _rate(time_ns: float, count_bytes: float) -> float:
    """Milliseconds a byte."""
    return time_ns / 1e6 / count_bytes if count_bytes else 0.0


def _added(each: Times) -> Times:
    until = np.concatenate(([0.0], each.cumsum()))
    sums: Times = np.triu(until[None, :] - until[:, None])
    return sums
