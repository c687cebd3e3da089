"""Where a graph can be cut: not between layers that share a state, nor behind one that only unpacks a constant."""

from __future__ import annotations

from paraedge.core.graph import LayerGraph
from paraedge.tflite.cut import RESOURCES


def cuttable(graph: LayerGraph) -> tuple[int, ...] | None:
    """Layers that a segment may begin with; None where that is every one but the first.

    A state tensor is neither given nor made by a layer, and lives in one interpreter. What layers call isn't looked at.
    """
    made = {tensor_id for layer in graph.layers for tensor_id in layer.outputs}.union(graph.inputs)
    first: dict[int, int] = {}
    inside = {index + 1 for index in graph.unpacked.values()}
    for index, layer in enumerate(graph.layers):
        for tensor_id in (*layer.inputs, *layer.outputs):
            if not 0 <= tensor_id < len(graph.tensors):
                continue
            tensor = graph.tensors[tensor_id]
            if tensor.dtype in RESOURCES or (tensor.weights is None and tensor_id not in made):
                inside.update(range(first.setdefault(tensor_id, index) + 1, index + 1))
    return tuple(at for at in range(1, len(graph.layers)) if at not in inside) if inside else None
