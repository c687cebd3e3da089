"""A model as segments: files that, run in sequence with values carried by tensor id, give what the whole gives."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from paraedge.core.cut import complete
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import Layer, LayerGraph
from paraedge.core.words import plural
from paraedge.tflite.model_file import ModelFile
from paraedge.tflite.part import Piece, write_part

Span: TypeAlias = "tuple[int, int]"

RESOURCES = ("resource", "variant")
"""Types of tensors that only name something inside an interpreter, so can't be handed to another one."""

RESOURCE_OPS = (
    "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE",
    "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Layers [first, end) of a model as a .tflite file.

    inputs, outputs: ids in the whole model of the file's inputs and outputs, in the file's order.
    """

    first: int
    end: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    data: memoryview = field(repr=False)


def cut_model(source: bytes | memoryview, cuts: Sequence[int], *, name: str = "the model") -> list[Segment]:
    """Cut the .tflite file with the bytes `source` before each of the layers `cuts`, in ascending order.

    A segment's inputs are the tensors that it reads and that an earlier one makes or the model takes; its outputs those
    that it makes and that a later one reads or the model gives. So one tensor may enter several segments, and pass over
    some. An output of the model that no layer makes (an input handed through, a constant) comes from the last segment
    that reads it, else from the last of all. An input that nothing reads enters no segment. A DEQUANTIZE of a constant
    is in every segment that reads what it makes.

    Kept: weights, quantization, sparsity, state, custom options, versions, names, the subgraphs that a segment calls.
    Dropped: signatures, subgraphs that are not called, metadata other than `part.KEPT_METADATA`. Raises BadInput for
    cuts that are not in the model or that part ops which share a state, BadModelFile for bytes that are no model.
    """
    return list(segments(ModelFile(memoryview(source).cast("B"), name), cuts))


def segments(file: ModelFile, cuts: Sequence[int], *, only: Container[int] | None = None) -> Iterator[Segment]:
    """The segments of `cut_model`, each made when it is asked for; only: those that begin with one of these layers."""
    graph = file.graph(0)
    check_cuts(cuts, len(graph.layers), file.name)
    spans = tuple(pairwise((0, *cuts, len(graph.layers))))
    _check_state(file, cuts)
    _check_unpacking(file, cuts)
    for (first, end), inputs, outputs in _crossing(graph, spans):
        if only is None or first in only:
            operators = complete(graph, range(first, end))
            data = write_part(file, Piece(subgraph=0, operators=operators, inputs=inputs, outputs=outputs))
            yield Segment(first=first, end=end, inputs=inputs, outputs=outputs, data=data)


def check_cuts(cuts: Sequence[int], layers: int, name: str) -> None:
    """Raise BadInput unless `cuts` are layers of a model of so many, after the first, in ascending order."""
    outside = [cut for cut in cuts if not 1 <= cut < layers]
    if outside and layers < 2:
        raise BadInput(f"{name} has {plural(layers, 'op')} and can't be cut; what is compiled into one op can't either")
    if outside:
        raise BadInput(
            f"{name} can't be cut at op {short(outside[0], 20)}: it has {layers} ops, "
            f"so a segment can begin at any of 1 to {layers - 1}"
        )
    for before, after in pairwise(cuts):
        if after <= before:
            wrong = "is given twice" if after == before else f"comes after {before}"
            raise BadInput(f"the cut at op {after} {wrong}; give each cut once, in ascending order")


def _crossing(graph: LayerGraph, spans: Sequence[Span]) -> Iterator[tuple[Span, tuple[int, ...], tuple[int, ...]]]:
    """Each span with the ids of the tensors that enter and that leave it. State and constants don't enter."""
    maker = {i: -1 for i in graph.inputs if graph.tensors[i].weights is None}
    maker.update(
        (i, index) for index, layer in enumerate(graph.layers) for i in layer.outputs if i not in graph.unpacked
    )
    last_read = {i: index for index, layer in enumerate(graph.layers) for i in layer.inputs}
    given = set(graph.outputs)
    unmade = [i for i in graph.outputs if maker.get(i, -1) < 0]
    last = len(spans) - 1
    for number, (first, end) in enumerate(spans):
        layers = graph.layers[first:end]
        handed = [i for i in unmade if (first <= last_read[i] < end if i in last_read else number == last)]
        read = [i for layer in layers for i in layer.inputs] + handed
        made = [i for layer in layers for i in layer.outputs if i not in graph.unpacked]
        entering = [i for i in read if maker.get(i, first) < first]
        leaving = [i for i in made if i in given or last_read.get(i, -1) >= end] + handed
        yield (first, end), _ordered(entering, graph.inputs), _ordered(leaving, graph.outputs)


def _ordered(ids: Sequence[int], model: Sequence[int]) -> tuple[int, ...]:
    """Each once: those that are the model's first, in its order, then the others as they come."""
    there = dict.fromkeys(ids)
    return tuple(dict.fromkeys([*(i for i in model if i in there), *there]))


def _check_state(file: ModelFile, cuts: Sequence[int]) -> None:
    """Raise BadInput for a cut between ops that share a state: it lives in one interpreter."""
    tensors = file.tables(0)[0]
    users: dict[str, list[int]] = {}
    for index, layer in enumerate(file.graph(0).layers):
        if _uses_resources(file, layer):
            users.setdefault("variables or tables", []).append(index)
        for i in sorted({*layer.inputs, *layer.outputs} - {-1}):
            if tensors[i].integer(5, "B"):
                users.setdefault(f"the state tensor {i}", []).append(index)
    for state, indices in users.items():
        first, last = indices[0], indices[-1]
        between = [cut for cut in cuts if first < cut <= last]
        if between:
            raise BadInput(f"{file.name} can't be cut at op {between[0]}: ops {first} and {last} share {state}")


def _check_unpacking(file: ModelFile, cuts: Sequence[int]) -> None:
    """Raise BadInput for a cut behind an op that belongs to those that read what it makes."""
    behind = {index + 1 for index in file.graph(0).unpacked.values()}.intersection(cuts)
    if behind:
        at = min(behind)
        raise BadInput(
            f"{file.name} can't be cut at op {at}: op {at - 1} only makes a constant float32, for the ops that read it"
        )


def _uses_resources(file: ModelFile, layer: Layer) -> bool:
    """Whether a layer, or one in the subgraphs that it calls, reads or writes what only its interpreter holds."""
    if layer.op in RESOURCE_OPS or _has_resources(file.graph(0), layer):
        return True
    called = map(file.graph, file.called([layer]))
    return any(inner.op in RESOURCE_OPS or _has_resources(graph, inner) for graph in called for inner in graph.layers)


def _has_resources(graph: LayerGraph, layer: Layer) -> bool:
    return any(graph.tensors[i].dtype in RESOURCES for i in (*layer.inputs, *layer.outputs) if i >= 0)
