"""What every span of layers costs hosts of a cluster that have a speed and a memory, and hand-overs between them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spans import Spans
from paraedge.simulate.hosts import Bus, Host
from paraedge.simulate.shapes import MIB, known_bytes
from paraedge.simulate.span_edges import SpanEdges, span_edges

if TYPE_CHECKING:
    from paraedge.core.spans import Times


class HostCosts:
    """The costs of one graph on any hosts: what they share is counted once. Unknown sizes count nothing."""

    def __init__(self, graph: LayerGraph) -> None:
        self._graph = graph
        self._edges: SpanEdges = span_edges(graph)
        self.needed_bytes: Times = _parameter_bytes(graph) + _most_live_bytes(graph)
        """Shape (n + 1, n + 1): parameters of layers [i, j), each once, and activations where they are the most."""

    def spans(self, host: Host) -> Spans:
        """MACs by the host's speed and a cost for each layer; busy for inf where `needed_bytes` outgrow its memory.

        Ops whose MACs are none or unknown cost `layer_ms` alone. What enters and leaves crosses the network, which
        `handover_ms` costs; the host's processor is not busy with it. Raises BadInput where nothing costs any time.
        """
        if host.gmacs_per_s is None or host.memory_mib is None:
            raise ValueError(f"host {host.name} has a device in place of a speed and a memory")
        layer_ms = [(macs or 0) / (host.gmacs_per_s * 1e6) + host.layer_ms for macs in self._graph.macs_by_layer]
        until_ms = np.concatenate(([0.0], np.cumsum(layer_ms)))
        if until_ms[-1] == 0:
            raise BadInput(
                f"the ops of {self._graph.name} have no MACs that are known, so they take host {host.name} no time; "
                "give the host a layer_ms"
            )
        compute_ms = np.triu(until_ms[None, :] - until_ms[:, None])
        nothing_ms, nowhere = np.zeros_like(compute_ms), np.full(compute_ms.shape, -1, np.int64)
        edges = self._edges
        return Spans(
            receive_ms=nothing_ms,
            compute_ms=compute_ms,
            send_ms=nothing_ms,
            busy_ms=np.where(self.needed_bytes <= host.memory_mib * MIB, compute_ms, np.inf),
            low_ms=np.full_like(nothing_ms, np.nan),
            high_ms=np.full_like(nothing_ms, np.nan),
            input_bytes=edges.input_bytes.astype(np.int64),
            output_bytes=edges.output_bytes.astype(np.int64),
            link_bytes=(edges.input_bytes + edges.output_bytes).astype(np.int64),
            on_chip_bytes=nowhere,
            off_chip_bytes=nowhere,
        )

    @functools.cached_property
    def boundary_bytes(self) -> Times:
        """Shape (n + 1,): what is there before each layer and is still needed. The ends of the graph have 0.

        Values that pass over a segment are among them, the graph's outputs too: its host forwards them.
        """
        steps = np.zeros(len(self._graph.layers) + 2)
        for first, last, size in _lives(self._graph):
            steps[first + 1] += size
            steps[last + 1] -= size
        sizes: Times = steps.cumsum()[:-1]
        sizes[[0, -1]] = 0.0
        return sizes

    def handover_ms(self, sender: Host, receiver: Host) -> Times:
        """Shape (n + 1,): the bytes of each boundary over the slower of both links, after the longer latency."""
        mbit_per_s = min(sender.link_mbit_per_s, receiver.link_mbit_per_s)
        times: Times = self.boundary_bytes * 8 / (mbit_per_s * 1e3) + max(sender.link_ms, receiver.link_ms)
        times[[0, -1]] = 0.0
        return times

    def bus_ms(self, bus: Bus) -> Times:
        """Shape (n + 1, n + 1): how long the bus is busy with what the host of each span takes in and hands on."""
        bytes_there = self.boundary_bytes
        busy: Times = (bytes_there[:, None] + bytes_there[None, :]) / (bus.mb_per_s * 1e3)
        return busy


def _parameter_bytes(graph: LayerGraph) -> Times:
    """Of layers [i, j), each once: a parameter counts with the first layer of the span that reads it."""
    n = len(graph.layers)
    readers: dict[int, list[int]] = {tensor_id: [] for tensor_id in graph.parameter_tensors}
    for index, layer in enumerate(graph.layers):
        for tensor_id in set(layer.inputs) & readers.keys():
            readers[tensor_id].append(index)
    steps = np.zeros((n + 2, n + 2))
    for tensor_id, reading in readers.items():
        size = float(known_bytes(graph.tensors[tensor_id]))
        for before, reader in zip((-1, *reading), reading, strict=False):
            steps[before + 1, reader + 1] += size
            steps[reader + 1, reader + 1] -= size
    sums: Times = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
    return sums


def _most_live_bytes(graph: LayerGraph) -> Times:
    """Of layers [i, j): activations at the layer with the most of them, those that only pass over the span included."""
    n = len(graph.layers)
    live_bytes = _live_bytes(graph)
    most = np.zeros((n + 1, n + 1))
    for first in range(n):
        most[first, first + 1 :] = np.maximum.accumulate(live_bytes[first:])
    return most


def _live_bytes(graph: LayerGraph) -> Times:
    """Shape (n,): activations that are there while layer k runs: made by it or before, and read by it or later."""
    steps = np.zeros(len(graph.layers) + 1)
    for first, last, size in _lives(graph):
        steps[first] += size
        steps[last + 1] -= size
    live: Times = steps.cumsum()[:-1]
    return live


def _lives(graph: LayerGraph) -> Iterator[tuple[int, int, float]]:
    """Of each activation the layer that makes it (the first, for what is given), the last to need it, and its bytes."""
    first = {tensor_id: index for index, layer in enumerate(graph.layers) for tensor_id in layer.outputs}
    last = dict(first)
    for index, layer in enumerate(graph.layers):
        last.update(dict.fromkeys(layer.inputs, index))
    last.update(dict.fromkeys(graph.outputs, len(graph.layers) - 1))
    for tensor_id, end in last.items():
        if 0 <= tensor_id < len(graph.tensors) and graph.tensors[tensor_id].weights is None:
            yield first.get(tensor_id, 0), end, float(known_bytes(graph.tensors[tensor_id]))
