"""Regimes: kinds of model and placement that behave alike, each with the errors seen in it."""

from __future__ import annotations

from collections.abc import Sequence

from paraedge.core.graph import LayerGraph
from paraedge.core.macs import layer_macs
from paraedge.core.outcome import Placement
from paraedge.core.words import quantity, quantity_bytes
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import Counts
from paraedge.simulate.shapes import weights_of

PLACES = ("on chip", "streamed")
NEAR = 1.1
"""A model may be so much larger or smaller than those that were measured and still be like them."""
NOUNS = {"macs": "MACs", "parameter_bytes": "parameters", "input_bytes": "input", "output_bytes": "output"}
"""Of `sizes`, for people."""
SPATIAL = frozenset({"CONV_2D", "TRANSPOSE_CONV"})


def regime(graph: LayerGraph, layers: Sequence[int], streamed: bool) -> str:
    """`fully connected, on chip` and the like: what the mapped layers are, and whether parameters are streamed.

    `convolutions` have kernels above 1 x 1 only; anything mixed is a `network`.
    """
    kinds = {kind_of(graph, index) for index in layers}
    kind = kinds.pop() if len(kinds) == 1 else "network"
    return f"{kind}, {PLACES[streamed]}"


def kind_of(graph: LayerGraph, index: int) -> str:
    """The kind of one layer, or `network` where it alone is none."""
    layer = graph.layers[index]
    if layer.op == "FULLY_CONNECTED":
        return "fully connected"
    weights = weights_of(graph.tensors, layer) if layer.op in SPATIAL else None
    spatial = weights is not None and weights.shape[1] * weights.shape[2] > 1
    return "convolutions" if spatial else "network"


def outside(graph: LayerGraph, name: str, placement: Placement, counts: Counts, hardware: Hardware) -> tuple[str, ...]:
    """In which ways a graph lies outside the measured models of its regime, a clause each; empty if in none."""
    seen = hardware.residuals.get(name)
    if seen is None:
        return (f"nothing like it was measured ({name})",)
    found = []
    if seen.device != hardware.name:
        found.append(f"no {name} model was measured on this host; the interval is {seen.device}'s")
    ops = sorted({graph.layers[index].op for index in placement.on_device}.difference(seen.ops))
    if ops:
        found.append(f"no measured model of its kind ({name}) has {', '.join(ops)}")
    for what, value in sizes(graph, placement, counts).items():
        low, high = getattr(seen, what)
        if not low / NEAR <= value <= high * NEAR:
            word = "most" if value > high else "least"
            bound = high if value > high else low
            text, noun = (quantity, NOUNS[what]) if what == "macs" else (quantity_bytes, f"of {NOUNS[what]}")
            found.append(f"{text(value)} {noun}, where the {word} measured of its kind is {text(bound)}")
    return tuple(found)


def sizes(graph: LayerGraph, placement: Placement, counts: Counts) -> dict[str, float]:
    """The sizes by which a model lies inside or outside of what was measured."""
    return {
        "macs": float(sum(layer_macs(graph.tensors, graph.layers[index]) or 0 for index in placement.on_device)),
        "parameter_bytes": float(placement.on_chip_bytes + placement.off_chip_bytes),
        "input_bytes": counts.input_bytes,
        "output_bytes": counts.output_bytes,
    }
