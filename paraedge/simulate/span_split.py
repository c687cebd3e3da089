"""Spans with ops that can't be mapped: the part of each that runs on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paraedge.core.cut import cut
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.simulate.constants import Hardware
from paraedge.simulate.placement import compiled_op, partition_of
from paraedge.simulate.predict import predict

if TYPE_CHECKING:
    from paraedge.core.spans import Times


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Of each span: whether all of it and whether any of it runs on the device, and what that part costs.

    output_ms: with all outputs returned. inner_ms: all other terms but input_ms. on_chip_bytes, off_chip_bytes,
    link_bytes: -1 where the inside is not read.
    """

    is_whole: npt.NDArray[np.bool_]
    runs: npt.NDArray[np.bool_]
    input_ms: Times
    output_ms: Times
    inner_ms: Times
    on_chip_bytes: Times
    off_chip_bytes: Times
    link_bytes: Times

    @property
    def costs(self) -> tuple[Times, ...]:
        """Of the part on the device."""
        return self.input_ms, self.output_ms, self.inner_ms, self.on_chip_bytes, self.off_chip_bytes, self.link_bytes


def split(found: Split, graph: LayerGraph, hardware: Hardware, reasons: Mapping[int, str]) -> None:
    """Put right the spans that hold an op that can't be mapped; `reasons` are those of `check_mappable`.

    A part that is a span itself costs what that costs; any other is predicted, once.
    """
    known: dict[tuple[int, ...], tuple[float, ...]] = {}
    borders = np.arange(len(graph.layers) + 1)
    for first in range(max(reasons) + 1):
        for ends, part in _parts(graph, reasons, first):
            spans = (first, ends)
            found.is_whole[spans] = borders[ends] - first == len(part)
            found.runs[spans] = bool(part)
            if part and part[-1] - part[0] + 1 == len(part) and part[0] not in reasons:
                costs = tuple(float(table[part[0], part[-1] + 1]) for table in found.costs)
            elif part not in known:
                costs = known[part] = _costs(predict(cut(graph, part), hardware))
            else:
                costs = known[part]
            for table, cost in zip(found.costs, costs, strict=True):
                table[spans] = cost


def _parts(graph: LayerGraph, reasons: Mapping[int, str], first: int) -> Iterator[tuple[slice, tuple[int, ...]]]:
    """Ends of spans from `first` on that hold an op that can't be mapped, with the layers of them on the device.

    What runs of [i, j) is what runs of [i, n) and lies before j, as layers are in topological order; a compiled op, if
    there is one, runs alone. What crosses the edge of a part is the same in every span that has it.
    """
    layers = len(graph.layers)
    later = {index - first: reason for index, reason in reasons.items() if index >= first}
    rest = cut(graph, range(first, layers))
    at = compiled_op(rest.layers, later)
    stop = layers if at is None else first + at
    chosen = [first + index for index in partition_of(rest, later)]
    edges = [first, *chosen, layers]
    for count in range(len(chosen) + 1):
        low, high = max(edges[count], first + min(later)) + 1, min(edges[count + 1], stop)
        if low <= high:
            yield slice(low, high + 1), tuple(chosen[:count])
    if at is not None:
        yield slice(stop + 1, layers + 1), (stop,)


def _costs(prediction: Prediction) -> tuple[float, ...]:
    """As `Split.costs`."""
    placement, outer = prediction.placement, (prediction.terms["input_ms"], prediction.terms["output_ms"])
    inner_ms = sum(ms for name, ms in prediction.terms.items() if name not in ("input_ms", "output_ms"))
    if prediction.link_bytes is None:
        return *outer, inner_ms, -1.0, -1.0, -1.0
    return *outer, inner_ms, placement.on_chip_bytes, placement.off_chip_bytes, prediction.link_bytes
