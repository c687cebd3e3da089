"""Parts of a graph: what enters and leaves some of its layers, and these as a graph of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from paraedge.core.graph import LayerGraph


def cut(graph: LayerGraph, layers: Sequence[int]) -> LayerGraph:
    """These layers, indices in ascending order, as a graph: tensor ids stay, tensors of other layers too, unused.

    What unpacks a constant is there where it is read (see `complete`).
    """
    inputs, outputs = edges(graph, layers)
    held = tuple(graph.layers[i] for i in complete(graph, layers))
    return dataclasses.replace(graph, layers=held, inputs=inputs, outputs=outputs)


def complete(graph: LayerGraph, layers: Sequence[int]) -> Sequence[int]:
    """These layers with those that unpack a constant that they read, and without those that unpack another's."""
    if not graph.unpacked:
        return layers
    unpacking = set(graph.unpacked.values())
    own = {index for index in layers if index not in unpacking}
    read = {tensor_id for index in own for tensor_id in graph.layers[index].inputs}
    return sorted(own.union(graph.unpacked[i] for i in read if i in graph.unpacked))


def edges(graph: LayerGraph, layers: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tensor ids that enter and that leave these layers, each once, in order."""
    made: dict[int, None] = {}
    entering: dict[int, None] = {}
    for index in layers:
        for tensor_id in graph.layers[index].inputs:
            is_there = 0 <= tensor_id < len(graph.tensors)
            is_constant = is_there and (graph.tensors[tensor_id].weights is not None or tensor_id in graph.unpacked)
            if is_there and tensor_id not in made and not is_constant:
                entering[tensor_id] = None
        for tensor_id in graph.layers[index].outputs:
            made[tensor_id] = None
    wanted = set(graph.outputs)
    if len(layers) < len(graph.layers):
        inside = set(layers)
        for index, layer in enumerate(graph.layers):
            if index not in inside:
                wanted.update(layer.inputs)
    leaving = tuple(i for i in made if i in wanted and i not in graph.unpacked and 0 <= i < len(graph.tensors))
    return tuple(entering), leaving
