"""A model run as a whole and as segments under one kind of LiteRT's kernels, and compared at every tensor between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge.core.graph import LayerGraph
from paraedge.tflite import Segment, cut_model, parse_graph

KINDS = {
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.AUTO,
    "reference": OpResolverType.BUILTIN_REF,
}

Values = Mapping[int, np.ndarray]


class Loaded:
    """A file whose inputs and outputs are tensors `inputs` and `outputs` of some model."""

    def __init__(self, data: bytes | memoryview, inputs: Sequence[int], outputs: Sequence[int], kind: str) -> None:
        self.interpreter = Interpreter(model_content=bytes(data), experimental_op_resolver_type=KINDS[kind])
        self.inputs, self.outputs = inputs, outputs
        self.interpreter.allocate_tensors()

    def __call__(self, values: Values) -> dict[int, np.ndarray]:
        details = self.interpreter.get_input_details()
        for number, detail in zip(self.inputs, details, strict=True):
            if values[number].shape != tuple(detail["shape"]):  # of a size that is known only at run time
                self.interpreter.resize_tensor_input(detail["index"], values[number].shape)
                self.interpreter.allocate_tensors()
        for number, detail in zip(self.inputs, details, strict=True):
            self.interpreter.set_tensor(detail["index"], values[number])
        self.interpreter.invoke()
        details = self.interpreter.get_output_details()
        return {
            number: self.interpreter.get_tensor(detail["index"])
            for number, detail in zip(self.outputs, details, strict=True)
        }


def with_outputs(data: bytes | memoryview, outputs: Sequence[int]) -> bytes:
    """The model with other outputs, packed by the schema's own object API: none of our code has a part in it."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(data)))
    model.subgraphs[0].outputs = np.asarray(outputs, np.int32)
    model.signatureDefs = None  # they name the outputs there were
    builder = flatbuffers.Builder(len(data) + 4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def random_inputs(graph: LayerGraph, runs: int) -> Iterator[dict[int, np.ndarray]]:
    """Values of every type's whole range for all inputs, `runs` times."""
    rng = np.random.default_rng(1)
    for _ in range(runs):
        yield {i: _random(rng, graph.tensors[i].shape, np.dtype(graph.tensors[i].dtype)) for i in graph.inputs}


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


def check_equal(data: bytes | memoryview, cuts: Sequence[int], kind: str, *, runs: int = 2) -> list[Segment]:
    """Check that the segments give what the whole gives, bit for bit, at every tensor that leaves a segment.

    Several runs one after another, so that what a model remembers between them counts.
    """
    graph = parse_graph(data, "whole")
    segments = cut_model(data, cuts)
    crossing = list(dict.fromkeys(i for segment in segments for i in segment.outputs))
    assert set(graph.outputs) <= set(crossing)
    whole = Loaded(data, graph.inputs, graph.outputs, kind)
    shown = Loaded(with_outputs(data, crossing), graph.inputs, crossing, kind)
    parts = [Loaded(segment.data, segment.inputs, segment.outputs, kind) for segment in segments]
    for given in random_inputs(graph, runs):
        values = dict(given)
        for part in parts:
            values |= part(values)
        for name, expected in (("whole", whole(given)), ("shown", shown(given))):
            for number, value in expected.items():
                assert value.dtype == values[number].dtype, (name, number)
                assert value.shape == values[number].shape, (name, number)
                assert value.tobytes() == values[number].tobytes(), (name, number, graph.tensors[number].name)
    return segments
