"""Cutting a model with float16 weights: every segment unpacks what it reads, and nothing unpacked is handed on."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge.core.cut import cut, edges
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models import CnnParams, FcParams, RnnParams, build_graph
from paraedge.segment.cuttable import cuttable
from paraedge.simulate.span_edges import span_edges
from paraedge.tflite import cut_model, write_model

KINDS = [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES]
NETWORKS: dict[str, tuple[str, Params]] = {
    "fc": ("fc", FcParams(layer=3, node=40)),
    "cnn": ("cnn", CnnParams(block=1, filter=4, image=17, output=5)),
    "rnn": ("rnn", RnnParams(cell="gru", layer=2, embed=8, length=3, vocab=5)),  # its weights are read at every step
}


def graph(name: str, precision: str = "float16") -> LayerGraph:
    family, params = NETWORKS[name]
    return build_graph(ModelSpec(family=family, params=params, precision=precision))  # type: ignore[arg-type]


def run(data: bytes | memoryview, kind: OpResolverType, values: list[np.ndarray]) -> list[np.ndarray]:
    model = Interpreter(model_content=bytes(data), num_threads=1, experimental_op_resolver_type=kind)
    model.allocate_tensors()
    for detail, value in zip(model.get_input_details(), values, strict=True):
        model.set_tensor(detail["index"], value)
    model.invoke()
    return [model.get_tensor(detail["index"]) for detail in model.get_output_details()]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", NETWORKS)
def test_segments_in_sequence_give_what_the_whole_gives(name: str, kind: OpResolverType) -> None:
    made = graph(name)
    data = write_model(made)
    allowed = cuttable(made)
    assert allowed is not None
    x = np.random.default_rng(2).uniform(-1, 1, made.tensors[0].shape).astype(np.float32)
    (expected,) = run(data, kind, [x])
    for cuts in (allowed, allowed[1::3], allowed[-1:]):
        values = {made.inputs[0]: x}
        for segment in cut_model(data, cuts):
            found = run(segment.data, kind, [values[i] for i in segment.inputs])
            values.update(zip(segment.outputs, found, strict=True))
        assert np.array_equal(values[made.outputs[0]], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_crosses_is_what_crosses_in_float32(name: str) -> None:
    """The layers are those of float32 behind the unpacking ones, and tensors keep their numbers."""
    made, plain = graph(name), graph(name, "float32")
    first = len(made.unpacked)
    for begin in range(len(plain.layers)):
        for end in range(begin + 1, len(plain.layers) + 1):
            shifted = range(first + begin, first + end)
            assert edges(made, shifted) == edges(plain, range(begin, end))
            part = cut(made, shifted)
            assert (part.macs, part.parameters) == (
                cut(plain, range(begin, end)).macs, cut(plain, range(begin, end)).parameters,
            )  # fmt: skip
    found, expected = span_edges(made), span_edges(plain)
    assert np.array_equal(found.input_bytes[first:, first:], expected.input_bytes)
    assert np.array_equal(found.output_bytes[first:, first:], expected.output_bytes)


def test_no_cut_is_made_behind_an_op_that_only_unpacks() -> None:
    made = graph("fc")
    first = len(made.unpacked)
    assert cuttable(made) == tuple(range(first + 1, len(made.layers)))
    with pytest.raises(BadInput, match="can't be cut at op 2: op 1 only makes a constant float32"):
        cut_model(write_model(made), (2,))
