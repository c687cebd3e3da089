"""The same network with other widths or another image: its shapes rewritten, to be predicted and not to be run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from paraedge.core.graph import Layer, LayerGraph
from paraedge.simulate.resize_rules import LostError, Op, Shape, follow
from paraedge.simulate.shapes import weights_of

WEIGHTED = frozenset({"CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
"""Ops that choose how many channels they make; every other op's follow from its inputs'."""


@dataclass(frozen=True, kw_only=True)
class Unresizable:
    """Why a graph can't be given other shapes."""

    reason: str


def resize(
    graph: LayerGraph, *, width: Callable[[int], int] | None = None, image: tuple[int, int] | None = None
) -> LayerGraph | Unresizable:
    """The graph with `width(outputs)` for each hidden width and an input image of height x width; None keeps them.

    Shapes are followed through the DAG: kernels, strides and paddings stay, a pool over the whole image stays one,
    and what the network returns keeps its width. Constants keep their values and quantization, so the result can be
    predicted but not written. Never raises.
    """
    hidden = hidden_layers(graph) if width is not None else frozenset()
    new = [tensor.shape for tensor in graph.tensors]
    set_here = {i for i in graph.inputs if 0 <= i < len(new)}
    if image is not None:
        source = image_input(graph)
        if source is None:
            return Unresizable(reason="it has no single image as input")
        new[source] = (new[source][0], *image, new[source][3])
    layers = []
    for index, layer in enumerate(graph.layers):
        wanted = width if width is not None and index in hidden else _same
        op = Op(tensors=graph.tensors, new=new, set_here=set_here, layer=layer, width=wanted)
        try:
            follow(op)
        except LostError as error:
            return Unresizable(reason=f"op {index} {layer.op} {error}")
        layers.append(dataclasses.replace(layer, options={**layer.options, **op.options}) if op.options else layer)
    return _with_shapes(graph, new, layers)


def why_not_followed(graph: LayerGraph) -> str | None:
    """Why the shapes of this graph can't be rewritten; None where the rules, asked for no change, make none."""
    same = resize(graph)
    if isinstance(same, Unresizable):
        return same.reason
    for index, layer in enumerate(graph.layers):
        if any(same.tensors[i].shape != graph.tensors[i].shape for i in layer.outputs):
            return f"op {index} {layer.op} has shapes that don't follow from its options"
    return None


def hidden_layers(graph: LayerGraph) -> frozenset[int]:
    """Layers with a width of their own that isn't the width of what the graph returns."""
    makers = {tensor_id: index for index, layer in enumerate(graph.layers) for tensor_id in layer.outputs}
    weighted = {i for i, layer in enumerate(graph.layers) if layer.op in WEIGHTED and weights_of(graph.tensors, layer)}
    returned: set[int] = set()
    waiting = [makers[i] for i in graph.outputs if i in makers]
    while waiting:
        index = waiting.pop()
        if index not in returned:
            returned.add(index)
            if index not in weighted:
                waiting += [makers[i] for i in graph.layers[index].inputs if i in makers]
    return frozenset(weighted - returned)


def hidden_widths(graph: LayerGraph) -> tuple[int, ...]:
    """The width of each hidden layer, in order."""
    return tuple(graph.tensors[graph.layers[index].inputs[1]].shape[0] for index in sorted(hidden_layers(graph)))


def image_input(graph: LayerGraph) -> int | None:
    """Tensor id of the one input that is an image; None where there is none, or several."""
    images = [i for i in graph.inputs if len(shape := graph.tensors[i].shape) == 4 and shape[1] * shape[2] > 1]
    return images[0] if len(images) == 1 else None


def _same(outputs: int) -> int:
    return outputs


def _with_shapes(graph: LayerGraph, shapes: list[Shape], layers: list[Layer]) -> LayerGraph:
    tensors = tuple(
        tensor if tensor.shape == shape else dataclasses.replace(tensor, shape=shape)
        for tensor, shape in zip(graph.tensors, shapes, strict=True)
    )
    return dataclasses.replace(graph, tensors=tensors, layers=tuple(layers))
