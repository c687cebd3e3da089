"""The table of all spans: terms by running sums, and the cache filled in every span at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paraedge.core.graph import LayerGraph
from paraedge.core.spans import Spans
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import COSTS, TERMS
from paraedge.simulate.mappable import check_mappable
from paraedge.simulate.parameters import earlier_users, parameter_bytes
from paraedge.simulate.shapes import LARGEST_BYTES, MIB
from paraedge.simulate.span_edges import SpanEdges, span_edges
from paraedge.simulate.span_intervals import spreads
from paraedge.simulate.span_split import Split, split
from paraedge.simulate.span_sums import in_turn, within
from paraedge.simulate.steps import layer_steps
from paraedge.simulate.traffic import layer_instruction_bytes, weight_fetches

if TYPE_CHECKING:
    from paraedge.core.spans import Sizes, Times


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cache:
    """Parameters of each span: bytes that stay on chip, that don't, and the latter with every fetch."""

    on_chip_bytes: Times
    off_chip_bytes: Times
    streamed_bytes: Times


def span_table(graph: LayerGraph, hardware: Hardware, *, alone: bool) -> Spans:
    """See `spans.spans`."""
    reasons = check_mappable(graph)
    edges = span_edges(graph)
    counts, cache = _counts(graph, hardware, edges, reasons.keys())
    terms = {name: np.zeros_like(edges.input_bytes) for name in TERMS}
    for cost in COSTS:
        terms[cost.term] += counts[cost.count] * hardware.costs[cost.count]
    if alone:
        hardware = replace(hardware, handover_ms_per_mib=0.0, stream_pipelined_ms=0.0)
    returned_ms = (
        terms["output_ms"]
        if alone
        else (
            edges.returned_bytes * hardware.costs["output_bytes"]
            + edges.returned_blocks * hardware.costs["output_blocks"]
        )
    )
    found = Split(
        is_whole=np.triu(np.ones(returned_ms.shape, dtype=bool), 1),
        runs=np.triu(np.ones(returned_ms.shape, dtype=bool), 1),
        input_ms=terms.pop("input_ms"),
        output_ms=terms.pop("output_ms"),
        inner_ms=sum(terms.values(), np.zeros_like(returned_ms)),
        on_chip_bytes=cache.on_chip_bytes,
        off_chip_bytes=cache.off_chip_bytes,
        link_bytes=edges.input_bytes + edges.output_bytes + counts["instruction_bytes"] + cache.streamed_bytes,
    )
    if reasons:
        split(found, graph, hardware, reasons)
    return _spans(found, edges, returned_ms, spreads(graph, hardware, found, edges), hardware)


def _spans(found: Split, edges: SpanEdges, returned_ms: Times, spread: Times, hardware: Hardware) -> Spans:
    more_ms = hardware.stream_pipelined_ms * (found.off_chip_bytes > 0)
    more_ms[0, -1] = 0.0  # the whole model is no stage
    receive_ms = found.input_ms + edges.handed_bytes * (hardware.handover_ms_per_mib / MIB)
    compute_ms = found.inner_ms + more_ms
    send_ms = np.where(found.is_whole, returned_ms, found.output_ms)
    busy_ms = np.where(found.runs, receive_ms + compute_ms + send_ms, np.inf)
    return Spans(
        receive_ms=receive_ms,
        compute_ms=compute_ms,
        send_ms=send_ms,
        busy_ms=busy_ms,
        low_ms=busy_ms / spread,
        high_ms=busy_ms * spread,
        input_bytes=_whole(edges.input_bytes),
        output_bytes=_whole(edges.output_bytes),
        link_bytes=_whole(found.link_bytes),
        on_chip_bytes=_whole(found.on_chip_bytes),
        off_chip_bytes=_whole(found.off_chip_bytes),
    )


def _whole(sizes: Times) -> Sizes:
    return np.minimum(np.rint(sizes), LARGEST_BYTES).astype(np.int64)


def _counts(
    graph: LayerGraph, hardware: Hardware, edges: SpanEdges, unmapped: Collection[int]
) -> tuple[dict[str, Times], _Cache]:
    """What an invoke of each span consists of, as `counts.Counts`; layers that can't be mapped count nothing."""
    layers = len(graph.layers)
    work = {kind: np.zeros(layers) for kind in ("conv_steps", "depthwise_steps", "elements", "weight_bytes")}
    code, sizes, fetches = np.zeros(layers), np.zeros(layers), np.zeros(layers)
    for index, layer in enumerate(graph.layers):
        if index not in unmapped:
            kind, amount = layer_steps(graph.tensors, layer)
            work[kind][index] = amount
            code[index] = layer_instruction_bytes(graph.tensors, layer, hardware)
            sizes[index] = parameter_bytes(graph.tensors, layer)
            fetches[index] = weight_fetches(graph.tensors, layer, hardware) if sizes[index] else 0
    code_bytes = np.rint(in_turn(code))
    mapped = ((index, layer) for index, layer in enumerate(graph.layers) if index not in unmapped)
    cache = _fill(sizes, fetches, earlier_users(graph.tensors, mapped), _rooms(code_bytes, edges.input_bytes, hardware))
    return {
        **{kind: within(amounts) for kind, amounts in work.items()},
        "input_bytes": edges.input_bytes,
        "instruction_bytes": code_bytes,
        "output_bytes": edges.output_bytes,
        "output_blocks": edges.output_blocks,
        "streamed_bytes": cache.streamed_bytes,
        "streams": (cache.streamed_bytes > 0).astype(np.float64),
        "invokes": np.triu(np.ones(code_bytes.shape), 1),
    }, cache


def _rooms(code_bytes: Times, input_bytes: Times, hardware: Hardware) -> Times:
    """`placement.cache_bytes` of every span."""
    beyond = np.maximum(0.0, input_bytes - hardware.input_room_bytes)
    rooms: Times = np.maximum(0.0, hardware.wide_memory_bytes - code_bytes - beyond)
    return rooms


def _fill(
    sizes: npt.NDArray[np.float64], fetches: npt.NDArray[np.float64], earlier: Mapping[int, int], rooms: Times
) -> _Cache:
    """`placement.greedy` in every span: layer by layer, all spans that hold it at once. Uses up `rooms`.

    A layer that shares its parameters with an `earlier` one has its fate in the spans that hold both.
    """
    stored, off_chip, streamed = within(sizes), np.zeros_like(rooms), np.zeros_like(rooms)
    fates: dict[int, npt.NDArray[np.bool_]] = {}
    shared = set(earlier.values())
    for index in map(int, np.flatnonzero(sizes)):
        before, fetched = earlier.get(index, -1), sizes[index] * fetches[index]
        first, again = np.s_[before + 1 : index + 1, index + 1 :], np.s_[: before + 1, index + 1 :]
        spills = sizes[index] > rooms[first]
        rooms[first] -= sizes[index] * ~spills
        off_chip[first] += sizes[index] * spills
        streamed[first] += fetched * spills
        fate = fates.pop(before, None)
        if fate is not None:
            stored[again] -= sizes[index]
            streamed[again] += fetched * fate[again]
        if index in shared:
            fates[index] = np.zeros(rooms.shape, dtype=bool) if fate is None else fate
            fates[index][first] = spills
    return _Cache(on_chip_bytes=stored - off_chip, off_chip_bytes=off_chip, streamed_bytes=streamed)
