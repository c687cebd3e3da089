"""How far predictions of each span may be off: `regime` for all spans at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from paraedge.core.graph import LayerGraph
from paraedge.simulate.constants import Hardware, Residuals
from paraedge.simulate.regime import NEAR, PLACES, kind_of
from paraedge.simulate.span_edges import SpanEdges
from paraedge.simulate.span_split import Split
from paraedge.simulate.span_sums import within
from paraedge.simulate.steps import UNTIMED_OPS

if TYPE_CHECKING:
    from paraedge.core.spans import Times

Chosen = npt.NDArray[np.bool_]


def spreads(graph: LayerGraph, hardware: Hardware, found: Split, edges: SpanEdges) -> Times:
    """The factor of each span's 90 % interval, either way, as `predict` takes it; NaN where it has none."""
    spread = np.full(edges.input_bytes.shape, np.nan)
    sizes = {
        "macs": within(np.array([float(count or 0) for count in graph.macs_by_layer])),
        "parameter_bytes": found.on_chip_bytes + found.off_chip_bytes,
        "input_bytes": edges.input_bytes,
        "output_bytes": edges.output_bytes,
    }
    is_read = found.on_chip_bytes >= 0
    timed = found.is_whole & is_read & _without(layer.op in UNTIMED_OPS for layer in graph.layers)
    streamed = found.off_chip_bytes > 0
    for (kind, alike), place in itertools.product(_kinds(graph).items(), (False, True)):
        seen = hardware.residuals.get(f"{kind}, {PLACES[place]}")
        if seen is not None:
            near = _near(graph, sizes, seen) if seen.device == hardware.name else np.zeros_like(timed)
            here = timed & alike & (streamed == place)
            spread[here] = np.where(near, seen.spread, seen.spread_outside)[here]
    return spread


def _kinds(graph: LayerGraph) -> dict[str, Chosen]:
    """Which spans are of each kind, as `regime.regime` names it."""
    kinds = [kind_of(graph, index) for index in range(len(graph.layers))]
    pure = {name: _without(kind != name for kind in kinds) for name in sorted({*kinds} - {"network"})}
    mixed = np.ones((len(kinds) + 1, len(kinds) + 1), dtype=bool)
    for alike in pure.values():
        mixed &= ~alike
    return {**pure, "network": mixed}


def _near(graph: LayerGraph, sizes: Mapping[str, Times], seen: Residuals) -> Chosen:
    """Spans that `regime.outside` finds nothing about, of those of the regime."""
    near = _without(layer.op not in seen.ops for layer in graph.layers)
    for what, values in sizes.items():
        low, high = getattr(seen, what)
        near &= (low / NEAR <= values) & (values <= high * NEAR)
    return near


def _without(flags: Iterable[bool]) -> Chosen:
    """Spans that hold no layer with the flag."""
    found: Chosen = within(np.array([float(flag) for flag in flags])) == 0
    return found
