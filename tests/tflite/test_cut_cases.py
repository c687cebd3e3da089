"""Cutting where something is odd: tensors that are both ends, state, subgraphs, cuts that can't be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from file_objects import buffer, custom_code, objects, operator, pack, strange_model, tensor, vector
from segment_runs import KINDS, check_equal

from paraedge.core.errors import BadInput, BadModelFile
from paraedge.core.graph import Layer, LayerGraph, SeededWeights, Tensor
from paraedge.tflite import cut_model, write_model

X = Tensor(name="x", shape=(1, 8), dtype="float32")
W = Tensor(name="w", shape=(1, 8), dtype="float32", weights=SeededWeights(seed=1, stream=1, bound=1.0))
KIND = pytest.mark.parametrize("kind", sorted(KINDS))


def adds(pairs: Sequence[tuple[int, int]], *, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> bytes:
    """Sums of two tensors each: tensors 0 to 2 can be inputs, 3 is a constant, and 4 and on are the sums."""
    layers = tuple(Layer(op="ADD", inputs=pair, outputs=(4 + n,), options={}) for n, pair in enumerate(pairs))
    tensors = (X, X, X, W, *(X for _ in pairs))
    graph = LayerGraph(name="adds", tensors=tensors, layers=layers, inputs=inputs, outputs=outputs)
    return bytes(write_model(graph))


def ends(data: bytes, cuts: Sequence[int]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(segment.inputs, segment.outputs) for segment in cut_model(data, cuts)]


@KIND
def test_a_tensor_passes_over_a_segment(kind: str) -> None:
    data = adds([(0, 3), (4, 4), (5, 4)], inputs=(0,), outputs=(6,))
    assert ends(data, (1, 2)) == [((0,), (4,)), ((4,), (5,)), ((5, 4), (6,))]
    check_equal(data, (1, 2), kind)


@KIND
def test_an_output_that_is_read_later_leaves_once(kind: str) -> None:
    data = adds([(0, 3), (4, 0)], inputs=(0,), outputs=(4, 5))
    assert ends(data, (1,)) == [((0,), (4,)), ((0, 4), (5,))]
    check_equal(data, (1,), kind)


@KIND
def test_an_input_that_is_an_output_is_handed_through_by_the_last_that_reads_it(kind: str) -> None:
    data = adds([(0, 3), (4, 1), (5, 3)], inputs=(0, 1), outputs=(6, 1))
    assert ends(data, (1, 2)) == [((0,), (4,)), ((1, 4), (1, 5)), ((5,), (6,))]
    check_equal(data, (1, 2), kind)


@KIND
def test_an_input_that_is_only_an_output_is_handed_through_at_the_end(kind: str) -> None:
    data = adds([(0, 3), (4, 3)], inputs=(0, 2), outputs=(2, 5))
    assert ends(data, (1,)) == [((0,), (4,)), ((2, 4), (2, 5))]
    check_equal(data, (1,), kind)


@KIND
def test_a_constant_that_is_an_output(kind: str) -> None:
    data = adds([(0, 3), (4, 4)], inputs=(0,), outputs=(5, 3))
    assert ends(data, (1,)) == [((0,), (3, 4)), ((4,), (5,))]
    check_equal(data, (1,), kind)


@KIND
def test_an_input_that_nothing_reads_enters_no_segment(kind: str) -> None:
    data = adds([(0, 3), (4, 3)], inputs=(2, 0), outputs=(5,))
    assert ends(data, (1,)) == [((0,), (4,)), ((4,), (5,))]
    check_equal(data, (1,), kind)


@KIND
def test_an_output_named_twice_leaves_once(kind: str) -> None:
    data = adds([(0, 3), (4, 3)], inputs=(0,), outputs=(5, 5))
    assert ends(data, (1,))[-1] == ((4,), (5,))
    check_equal(data, (1,), kind)


@KIND
def test_segments_without_inputs_and_without_outputs(kind: str) -> None:
    data = adds([(3, 3), (0, 3), (4, 0)], inputs=(0,), outputs=(6,))
    assert ends(data, (1, 2)) == [((), (4,)), ((0,), ()), ((0, 4), (6,))]
    check_equal(data, (1, 2), kind)


def test_the_model_s_inputs_and_outputs_keep_their_order() -> None:
    data = adds([(2, 1), (4, 0), (5, 4)], inputs=(0, 1, 2), outputs=(6, 4, 5))
    assert ends(data, ()) == [((0, 1, 2), (6, 4, 5))]
    assert ends(data, (2,)) == [((0, 1, 2), (4, 5)), ((5, 4), (6,))]


def test_a_model_without_ops_is_its_only_segment() -> None:
    assert ends(adds([], inputs=(0,), outputs=(0,)), ()) == [((0,), (0,))]


BAD_CUTS = {
    "zero": ((0,), "can't be cut at op 0: it has 3 ops, so a segment can begin at any of 1 to 2"),
    "negative": ((-1,), "can't be cut at op -1"),
    "at the end": ((1, 3), "can't be cut at op 3"),
    "huge": ((10**30,), "can't be cut at op 10000000000000000..."),
    "twice": ((1, 1), "the cut at op 1 is given twice"),
    "not in order": ((2, 1), "the cut at op 1 comes after 2"),
}


@pytest.mark.parametrize(("cuts", "message"), BAD_CUTS.values(), ids=BAD_CUTS.keys())
def test_cuts_that_can_t_be(cuts: tuple[int, ...], message: str) -> None:
    with pytest.raises(BadInput) as error:
        cut_model(adds([(0, 3), (4, 3), (5, 3)], inputs=(0,), outputs=(6,)), cuts)
    assert message in str(error.value)


def test_one_op_can_t_be_cut() -> None:
    with pytest.raises(BadInput, match="has 1 op and can't be cut"):
        cut_model(adds([(0, 3)], inputs=(0,), outputs=(4,)), (1,))


# --- state ---


def test_ops_that_share_a_state_can_t_be_parted() -> None:
    model = strange_model()
    model.subgraphs[0].operators[0].inputs = vector(0, 1, 6, 3)
    with pytest.raises(BadInput, match="can't be cut at op 1: ops 0 and 1 share the state tensor 6"):
        cut_model(pack(model), (1,))


def test_a_state_is_no_input() -> None:
    (_, second) = cut_model(pack(strange_model()), (1,))
    assert second.inputs == (2,)
    part = objects(second.data).subgraphs[0]
    assert sum(one.isVariable for one in part.tensors) == 1


def builtin_code(name: str) -> Any:
    code = custom_code(b"", 1)
    code.customCode, code.builtinCode = None, getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    return code


def subgraph(operators: Sequence[Any], tensors: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    made = schema.SubGraphT()
    made.operators, made.tensors = list(operators), list(tensors)
    made.inputs, made.outputs = vector(*inputs), vector(*outputs)
    return made


def model_of(codes: Sequence[str], subgraphs: Sequence[Any], data: Sequence[bytes] = ()) -> Any:
    model = schema.ModelT()
    model.version, model.subgraphs = 3, list(subgraphs)
    model.operatorCodes = [builtin_code(name) for name in codes]
    model.buffers = [buffer(), *(buffer(one) for one in data)]
    return model


def variables_model() -> bytes:
    """RELU; a variable is named, written and read back; RELU."""
    handles = [operator(1, (), (2,)), operator(2, (2, 1), ()), operator(3, (2,), (3,))]
    handles[0].builtinOptionsType = schema.BuiltinOptions.VarHandleOptions
    handles[0].builtinOptions = schema.VarHandleOptionsT()
    handles[0].builtinOptions.sharedName = b"v"
    operators = [operator(0, (0,), (1,)), *handles, operator(0, (3,), (4,))]
    x = tensor((1, 8))
    tensors = [x, x, tensor((), type=schema.TensorType.RESOURCE), x, x]
    codes = ("RELU", "VAR_HANDLE", "ASSIGN_VARIABLE", "READ_VARIABLE")
    return pack(model_of(codes, [subgraph(operators, tensors, (0,), (4,))]))


def test_ops_on_variables_stay_together() -> None:
    data = variables_model()
    check_equal(data, (1, 4), "builtin")
    for cut in (2, 3):
        with pytest.raises(BadInput, match=f"can't be cut at op {cut}: ops 1 and 3 share variables"):
            cut_model(data, (cut,))


# --- subgraphs ---


def branch(then_graph: int, else_graph: int, inputs: tuple[int, ...], output: int) -> Any:
    options = schema.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = then_graph, else_graph
    kind = schema.BuiltinOptions.IfOptions
    return operator(2, inputs, (output,), builtinOptionsType=kind, builtinOptions=options)


def add(inputs: tuple[int, int], output: int) -> Any:
    kind = schema.BuiltinOptions.AddOptions
    return operator(1, inputs, (output,), builtinOptionsType=kind, builtinOptions=schema.AddOptionsT())


def branching_model() -> Any:
    """With y = x + w; z = (-y if c else y + w) if c else y + y, with the inner choice in subgraph 2; then z + w.

    Nothing calls subgraph 1.
    """
    x, w, c = tensor((1, 8)), tensor((1, 8), 1), tensor((), type=schema.TensorType.BOOL)
    main = subgraph([add((1, 2), 3), branch(2, 5, (0, 3, 0), 4), add((4, 2), 5)], [c, x, w, x, x, x], (0, 1), (5,))
    unused = subgraph([add((0, 1), 2)], [x, tensor((1, 8), 2), x], (0,), (2,))
    choice = subgraph([branch(4, 3, (1, 0), 2)], [x, c, x], (0, 1), (2,))
    plus_w = subgraph([add((0, 1), 2)], [x, w, x], (0,), (2,))
    minus = subgraph([operator(0, (0,), (1,))], [x, x], (0,), (1,))
    twice = subgraph([add((0, 0), 2)], [x, c, x], (0, 1), (2,))
    weights = [np.arange(8, dtype=np.float32).tobytes(), bytes(32)]
    return model_of(("NEG", "ADD", "IF"), [main, unused, choice, plus_w, minus, twice], weights)


@KIND
def test_subgraphs_that_are_called_come_along(kind: str) -> None:
    segments = check_equal(pack(branching_model()), (1, 2), kind, runs=6)
    assert [len(objects(segment.data).subgraphs) for segment in segments] == [1, 5, 1]
    assert [len(objects(segment.data).buffers) for segment in segments] == [2, 2, 2]


def test_lists_of_subgraphs_are_renumbered() -> None:
    model = branching_model()
    options = schema.StablehloCaseOptionsT()
    options.branchSubgraphIndices = vector(4, 3)
    model.operatorCodes[2] = builtin_code("STABLEHLO_CASE")
    for one in (model.subgraphs[0].operators[1], model.subgraphs[2].operators[0]):
        one.builtinOptions, one.builtinOptionsType = None, 0
        one.builtinOptions2, one.builtinOptions2Type = options, schema.BuiltinOptions2.StablehloCaseOptions
    part = objects(cut_model(pack(model), (1, 2))[1].data)
    assert len(part.subgraphs) == 3
    called = [part.subgraphs[i] for i in part.subgraphs[0].operators[0].builtinOptions2.branchSubgraphIndices]
    codes = [part.operatorCodes[one.operators[0].opcodeIndex].builtinCode for one in called]
    assert codes == [schema.BuiltinOperator.NEG, schema.BuiltinOperator.ADD]


def test_variables_inside_subgraphs_count() -> None:
    model = branching_model()
    model.operatorCodes[0] = builtin_code("VAR_HANDLE")
    model.subgraphs[0].operators[2] = operator(0, (4, 2), (5,))
    with pytest.raises(BadInput, match="ops 1 and 2 share variables"):
        cut_model(pack(model), (2,))


@pytest.mark.parametrize(("number", "message"), [(0, "calls the main subgraph"), (6, "calls subgraph 6 of 6")])
def test_calls_that_can_t_be(number: int, message: str) -> None:
    model = branching_model()
    model.subgraphs[0].operators[1].builtinOptions.elseSubgraphIndex = number
    with pytest.raises(BadModelFile, match=message):
        cut_model(pack(model), (1,))


# --- damage that the reader of graphs doesn't see ---


def test_numbers_that_lead_nowhere() -> None:
    intermediate, scales, metadata = (strange_model() for _ in range(3))
    intermediate.subgraphs[0].operators[1].intermediates = vector(9)
    scales.subgraphs[0].tensors[4].quantization.details.scales = 9
    metadata.metadata[0].buffer = 99
    for model, message in ((intermediate, "tensor 9 of 9"), (scales, "tensor 9 of 9"), (metadata, "buffer 99 of 7")):
        with pytest.raises(BadModelFile, match=message):
            cut_model(pack(model), (1,), name="strange")
