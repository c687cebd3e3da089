"""Every state of a recurrent network in LiteRT against the recurrences in numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from lite_run import BUILTIN, XNNPACK, preserving
from recurrences import CELLS, FLOAT_STEPS, OPS, Array, Int8, graph, recurrence, small

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import Precision
from paraedge.models.rnn import RnnParams
from paraedge.tflite import write_model

REFERENCE = OpResolverType.BUILTIN_REF


def run(made: LayerGraph, kernels: OpResolverType, *, keep: bool = True) -> Interpreter:
    interpreter = Interpreter(
        model_content=bytes(write_model(made)),
        experimental_preserve_all_tensors=keep,
        experimental_op_resolver_type=kernels,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, values(made))
    interpreter.invoke()
    return interpreter


def values(made: LayerGraph) -> Array:
    taken, generator = made.tensors[0], np.random.default_rng(0)
    if taken.dtype == "int32":
        table = next(made.tensors[layer.inputs[0]] for layer in made.layers if layer.op == "GATHER")
        return generator.integers(0, table.shape[0], taken.shape, np.int32)
    if taken.dtype == "int8":
        return generator.integers(-128, 128, taken.shape, np.int8)
    return generator.uniform(-1, 1, taken.shape).astype(np.float32)


def states(made: LayerGraph, params: RnnParams, interpreter: Interpreter) -> Array:
    """[layer, step, batch, unit]: what the last op of each step gave."""
    first, ops = params.length + 1 + (params.embedding == "gather"), OPS[params.cell]
    last = range(first + ops - 1, len(made.layers) - 1, ops)
    found = np.stack([interpreter.get_tensor(made.layers[index].outputs[0]) for index in last])
    return found.reshape(params.layer, params.length, *found.shape[1:])


def constants(made: LayerGraph, interpreter: Interpreter) -> dict[str, Array]:
    return {t.name: interpreter.get_tensor(i) for i, t in enumerate(made.tensors) if t.weights is not None}


def sequence(made: LayerGraph, params: RnnParams, known: Mapping[str, Array]) -> Array:
    """[length, batch, unit]: what the first layer takes."""
    taken = values(made)
    if params.embedding == "gather":
        (table,) = [value for name, value in known.items() if name.startswith("embedding")]
        taken = table[taken]
    return np.swapaxes(taken, 0, 1)


@preserving
@pytest.mark.parametrize("kernels", [XNNPACK, REFERENCE], ids=["xnnpack", "reference"])
@pytest.mark.parametrize("embedding", ["none", "gather"])
@pytest.mark.parametrize("cell", CELLS)
def test_floats_follow_the_recurrence(cell: str, embedding: str, kernels: OpResolverType) -> None:
    params = small(cell, embedding=embedding)
    made = graph(params, "float32", batch=2)
    ran = run(made, REFERENCE)
    known = {name: value.astype(float) for name, value in constants(made, ran).items()}
    expected = recurrence(FLOAT_STEPS[cell], cell, params.layer, sequence(made, params, known), known)
    np.testing.assert_allclose(states(made, params, ran), expected, atol=1e-5)
    (weights, bias) = (known[made.tensors[i].name] for i in made.layers[-1].inputs[1:])
    result = run(made, kernels, keep=False).get_tensor(made.outputs[0])
    np.testing.assert_allclose(result, expected[-1, -1] @ weights.T + bias, atol=1e-4)


@preserving
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("embedding", ["none", "gather"])
@pytest.mark.parametrize("cell", CELLS)
def test_codes_follow_the_recurrence_exactly(cell: str, embedding: str, seed: int) -> None:
    """Every state of every step, each from the steps before it, under LiteRT's reference kernels."""
    params = small(cell, embedding=embedding, length=12)
    made = graph(params, batch=2, seed=seed)
    ran = run(made, REFERENCE)
    known = constants(made, ran)
    expected = Int8(made).states(cell, params.layer, sequence(made, params, known), known)
    found = states(made, params, ran)
    assert len(np.unique(found[-1, -1])) > 16
    np.testing.assert_array_equal(found, expected)


@preserving
@pytest.mark.parametrize("cell", CELLS)
def test_a_wrong_recurrence_is_noticed(cell: str) -> None:
    """Inputs and states that change places before one gate give other states."""
    params = small(cell)
    made = graph(params, "float32")
    ran = run(made, REFERENCE)
    known = {name: value.astype(float) for name, value in constants(made, ran).items()}
    first = next(name for name in known if name.startswith("layer_0") and name.endswith("/weights"))
    swapped = {**known, first: np.roll(known[first], params.embed, axis=1)}
    expected = recurrence(FLOAT_STEPS[cell], cell, params.layer, sequence(made, params, known), swapped)
    assert np.abs(states(made, params, ran) - expected).max() > 0.01


@preserving
@pytest.mark.parametrize("cell", CELLS)
def test_every_activation_keeps_its_spread(cell: str) -> None:
    """Codes neither die nor saturate in the thirteenth layer either; nothing comes of a first step's zero state."""
    params = RnnParams(cell=cell, layer=13, embed=64, length=8, vocab=32)
    made = graph(params)
    ran = run(made, BUILTIN)
    zeros = {layer.outputs[0] for layer in made.layers if layer.op == "SUB" and layer.inputs[0] == layer.inputs[1]}
    for layer in made.layers:
        if zeros.intersection(layer.inputs) and layer.op == "MUL":
            zeros.update(layer.outputs)
        codes = ran.get_tensor(layer.outputs[0])
        if layer.outputs[0] in zeros:
            assert not codes.any()
        else:
            assert len(np.unique(codes)) >= 8, layer
            assert np.mean(np.isin(codes, (127, -128))) < 0.3, layer
    assert ran.get_tensor(made.outputs[0]).std() > 8


@pytest.mark.parametrize("precision", ["int8", "float32", "float16", "dynamic_range"])
@pytest.mark.parametrize("cell", CELLS)
def test_all_precisions_run_under_both_kernels(cell: str, precision: Precision) -> None:
    made = graph(small(cell, embed=48), precision)
    results = [
        run(made, kernels, keep=False).get_tensor(made.outputs[0]).astype(float) for kernels in (XNNPACK, BUILTIN)
    ]
    assert all(np.isfinite(result).all() and result.std() > 0.1 for result in results)
    if precision != "int8":
        np.testing.assert_allclose(*results, atol=1e-3 if precision != "dynamic_range" else 0.2)
