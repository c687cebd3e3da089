"""The fewest contiguous segments, one a device of a pipeline, that each keep their parameters on chip."""

from __future__ import annotations

import bisect
import itertools
from typing import NamedTuple

from paraedge.core.graph import LayerGraph
from paraedge.simulate.constants import Hardware
from paraedge.simulate.parameters import earlier_users, parameter_bytes
from paraedge.simulate.placement import cache_bytes
from paraedge.simulate.shapes import known_bytes
from paraedge.simulate.traffic import layer_instruction_bytes


class Segments(NamedTuple):
    """First layer of each segment, and the layer where the last one ends: one too large for any, or the graph's end."""

    starts: tuple[int, ...]
    stop: int


def fewest_segments(graph: LayerGraph, hardware: Hardware) -> Segments:
    """Cut a graph whose layers all run on the device; the number of segments is the smallest there is.

    A segment keeps its parameters where they fit beside its instructions and its own input, by the rule of
    `placement.cache_bytes`. From one cut on, a longer segment needs more of all three, so those that fit are the
    short ones; the farthest that n + 1 segments reach is then the farthest from any cut that n segments reach.
    """
    packer = _Packer(graph, hardware)
    starts: list[int] = []
    before, reached = -1, 0
    while reached < len(graph.layers):
        best = start = reached
        for candidate in range(reached, before, -1):  # an earlier cut can pay off: its input may be smaller
            if packer.bound(candidate) <= best:
                break
            stop, is_crowded = packer.farthest(candidate)
            if stop > best:
                best, start = stop, candidate
            if not is_crowded:
                break
        if best == reached:
            break
        starts.append(start)
        before, reached = reached, best
    return Segments(tuple(starts), reached)


class _Packer:
    """How far a segment reaches. Sums from the start of the graph, so that a bound costs a bisection."""

    def __init__(self, graph: LayerGraph, hardware: Hardware) -> None:
        self._graph = graph
        self._hardware = hardware
        self._parameters = [parameter_bytes(graph.tensors, layer) for layer in graph.layers]
        self._code = [layer_instruction_bytes(graph.tensors, layer, hardware) for layer in graph.layers]
        self._earlier = earlier_users(graph.tensors, enumerate(graph.layers))
        stored = [0 if index in self._earlier else size for index, size in enumerate(self._parameters)]
        sizes = (size + code if size else 0.0 for size, code in zip(stored, self._code, strict=True))
        self._sums = list(itertools.accumulate(sizes, initial=0.0))

    def bound(self, start: int) -> int:
        """No segment from `start` ends later, whatever its input; never smaller for a later start."""
        room = self._hardware.wide_memory_bytes + 1  # instructions are rounded to a byte
        return bisect.bisect(self._sums, self._sums[start] + room) - 1

    def farthest(self, start: int) -> tuple[int, bool]:
        """Where the longest segment from `start` ends that keeps its parameters on chip; `start` if none does.

        With whether its input takes some of their room there; where it doesn't, no earlier start reaches farther.
        """
        tensors = self._graph.tensors
        parameters = code = 0.0
        input_bytes = 0
        known: set[int] = set()
        for index in range(start, len(self._graph.layers)):
            layer = self._graph.layers[index]
            for tensor_id in layer.inputs:
                if 0 <= tensor_id < len(tensors) and tensor_id not in known and tensors[tensor_id].weights is None:
                    known.add(tensor_id)
                    input_bytes += known_bytes(tensors[tensor_id])
            known.update(layer.outputs)
            if self._earlier.get(index, -1) < start:  # else they are there already
                parameters += self._parameters[index]
            code += self._code[index]
            if parameters > cache_bytes(round(code), input_bytes, self._hardware):
                return index, input_bytes > self._hardware.input_room_bytes
        return len(self._graph.layers), False
