"""Whether a model file can be measured as it is: all its sizes fixed, all its ops in one subgraph."""

from __future__ import annotations

from paraedge.core.errors import BadModelFile
from paraedge.core.graph import LayerGraph
from paraedge.core.words import plural
from paraedge.tflite.model_file import ModelFile
from paraedge.tflite.read import damage_named

SHAPE_SIGNATURE = 7
"""Slot of a tensor's shape before it was resized, where -1 is a size that an invoke may choose."""


def whole_graph(data: memoryview, name: str) -> LayerGraph:
    """The one subgraph of the .tflite file with the bytes `data`; `name` begins every message.

    Raises BadModelFile for bytes that are no model, for a model without ops or with several subgraphs, whose ops and
    MACs can't be counted, and for one with sizes that aren't fixed.
    """
    file = ModelFile(data, name)
    graph, subgraphs = file.graph(0), len(file.model.subgraphs)
    if subgraphs > 1:
        raise BadModelFile(
            f"{name} has {plural(subgraphs, 'subgraph')}, as control flow and several signatures give: "
            "convert it so that it has one"
        )
    if not graph.layers:
        raise BadModelFile(f"{name} has no ops: there is nothing to measure")
    with damage_named(name):
        for tensor, table in zip(graph.tensors, file.tables(0)[0], strict=True):
            signature = table.integers(SHAPE_SIGNATURE, "i")
            if any(size < 0 for size in signature):
                sizes = "x".join("?" if size < 0 else str(size) for size in signature)
                raise BadModelFile(
                    f"{tensor.name!r} has the shape {sizes}, and sizes must be fixed: convert the model with a fixed "
                    "batch, as keras.Input(shape, batch_size=1)"
                )
    return graph
