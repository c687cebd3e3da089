"""A model as TensorFlow's converter writes it beside the one that is written directly: which ops are which."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Container, Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge.core.graph import Layer, LayerGraph, Tensor
from paraedge.devices.interpreter import seeded_values

KERNELS = {
    "xnnpack": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": OpResolverType.BUILTIN_REF,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Aligned:
    """Ops of both in pairs (ours, theirs), and those that only one of the two has, by index."""

    pairs: tuple[tuple[int, int], ...]
    only_ours: tuple[int, ...]
    only_theirs: tuple[int, ...]


def align(
    ours: LayerGraph, theirs: LayerGraph, only_ours: Container[str] = (), only_theirs: Container[str] = ()
) -> Aligned:
    """Pairs in the order of both; an op that has changed its place counts as one that only one of the two has.

    only_ours, only_theirs: ops that are of that side alone. They are set aside first: in a network that repeats itself
    they would have a layer paired with another one that looks longer alike.
    """
    left, right = _numbered(ours, only_ours), _numbered(theirs, only_theirs)
    names = [[graph.layers[i].op for i in kept] for graph, kept in ((ours, left), (theirs, right))]
    blocks = difflib.SequenceMatcher(None, *names, autojunk=False).get_matching_blocks()
    pairs = tuple((left[a + i], right[b + i]) for a, b, size in blocks for i in range(size))
    paired = [{pair[side] for pair in pairs} for side in (0, 1)]
    return Aligned(
        pairs=pairs,
        only_ours=tuple(i for i in range(len(ours.layers)) if i not in paired[0]),
        only_theirs=tuple(i for i in range(len(theirs.layers)) if i not in paired[1]),
    )


def _numbered(graph: LayerGraph, passed: Container[str]) -> list[int]:
    return [i for i, layer in enumerate(graph.layers) if layer.op not in passed]


def facts(graph: LayerGraph, number: int) -> dict[str, object]:
    """What must agree of an op: shapes and types of all it reads and makes, which are constants, and their axes."""
    layer = graph.layers[number]
    read = [graph.tensors[i] for i in layer.inputs if i >= 0]
    return {
        "op": layer.op,
        "inputs": [(_rows(layer, t), t.dtype, t.weights is not None) for t in read],
        "outputs": [(graph.tensors[i].shape, graph.tensors[i].dtype) for i in layer.outputs],
        "quantization": [
            None
            if t.quantization is None
            else (n := len(t.quantization.scales), t.quantization.axis if n > 1 else None)  # one scale needs no axis
            for t in read
        ],
    }


def _rows(layer: Layer, tensor: Tensor) -> tuple[int, ...]:
    """The shape of an input; for a FULLY_CONNECTED that drops dimensions, as the rows that it takes it for."""
    if layer.op != "FULLY_CONNECTED" or layer.options["keep_num_dims"] or len(tensor.shape) < 2:
        return tensor.shape
    return (math.prod(tensor.shape[:-1]), tensor.shape[-1])


def options_of(graph: LayerGraph, number: int, known: LayerGraph, other: int) -> dict[str, object]:
    """Those options of an op that both spell out."""
    mine, theirs = graph.layers[number].options, known.layers[other].options
    return {name: value for name, value in mine.items() if name in theirs}


def wired(ours: LayerGraph, theirs: LayerGraph, aligned: Aligned) -> Iterator[str]:
    """Each place where paired ops read values of different makers; what only one side has is passed through."""
    paired = dict(aligned.pairs)
    made_by = {i: n for n, layer in enumerate(ours.layers) for i in layer.outputs}
    made_there = {i: n for n, layer in enumerate(theirs.layers) for i in layer.outputs}
    for a, b in aligned.pairs:
        for mine, other in zip(ours.layers[a].inputs, theirs.layers[b].inputs, strict=True):
            if mine < 0 or ours.tensors[mine].weights is not None:
                continue
            here = source(ours, mine, made_by, set(aligned.only_ours))
            there = source(theirs, other, made_there, set(aligned.only_theirs))
            same = there is None if here is None else paired.get(here) == there
            if not same:
                yield f"op {a} ({ours.layers[a].op}) reads op {here}, the converter's op {b} reads op {there}"


def source(graph: LayerGraph, tensor: int, made_by: dict[int, int], passed: set[int]) -> int | None:
    """The op that a value comes from, those in `passed` skipped; None: the graph's input."""
    while (maker := made_by.get(tensor)) in passed and maker is not None:
        tensor = next(i for i in graph.layers[maker].inputs if graph.tensors[i].weights is None)
    return maker


def transplanted(ours: LayerGraph, theirs: LayerGraph, aligned: Aligned) -> LayerGraph:
    """Our ops, with our options and versions, over the converter's tensors: its weights, scales and zero points."""
    layers = list(theirs.layers)
    for a, b in aligned.pairs:
        layers[b] = dataclasses.replace(ours.layers[a], inputs=layers[b].inputs, outputs=layers[b].outputs)
    return dataclasses.replace(theirs, layers=tuple(layers))


def laid_open(data: bytes) -> bytes:
    """The same model with every value that an op makes among its outputs."""
    model = schema.ModelT.InitFromPackedBuf(bytearray(data), 0)
    subgraph = model.subgraphs[0]
    subgraph.outputs = np.unique(np.concatenate([op.outputs for op in subgraph.operators])).astype(np.int32)
    model.signatureDefs = None
    builder: Any = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def run(data: bytes, kernels: str, seed: int) -> dict[int, Any]:
    """Every output by tensor id, of one invoke on seeded inputs."""
    interpreter = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=KERNELS[kernels])
    interpreter.allocate_tensors()
    inputs = interpreter.get_input_details()
    for detail, values in zip(
        inputs, seeded_values([(tuple(i["shape"]), i["dtype"]) for i in inputs], seed), strict=True
    ):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return {int(o["index"]): interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()}
