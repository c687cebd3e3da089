"""The base Transformer's encoder: its size, and its values in LiteRT against the paper's formulas in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from ai_edge_litert.interpreter import OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from lite_run import BUILTIN, XNNPACK, Floats, Ran, assert_well_formed, preserving
from transformer_reference import attention, dense, norm

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import ZooParams, build_graph

NAME = "transformer_base"
LAYERS, DEPTH, HIDDEN, HEAD = 6, 512, 2048, 64
SHORT = ZooParams(model=NAME, image=20)


def graph(params: ZooParams = SHORT, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


def test_parameters_are_the_papers() -> None:
    """N, d_model and d_ff of Table 3: four projections, two layers and two norms, each with its biases.

    With a decoder of the same (another attention and norm a layer) and the table of some 37,000 tokens of section 5.1
    they are 63 million, where Table 3 says 65.
    """
    projections, perceptron, norms = 4 * (DEPTH + 1) * DEPTH, (DEPTH + 1) * HIDDEN + (HIDDEN + 1) * DEPTH, 2 * 2 * DEPTH
    encoder = LAYERS * (projections + perceptron + norms)
    params = ZooParams(model=NAME)
    made = graph(params)
    assert made.parameters == encoder == 18_914_304
    assert params.published is not None
    assert params.published.parameters == encoder
    decoder = encoder + LAYERS * (projections + 2 * DEPTH)
    assert round((encoder + decoder + 37_000 * DEPTH) / 1e6) == 63


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_every_graph_is_well_formed(tokens: int, precision: Precision, batch: int) -> None:
    made = graph(ZooParams(model=NAME, image=tokens), precision, batch)
    assert_well_formed(made, precision)
    shape = (batch, tokens, DEPTH)
    assert (made.tensors[0].shape, made.tensors[made.outputs[0]].shape) == (shape, shape)
    found: Counter[str] = Counter()
    for layer, macs in zip(made.layers, made.macs_by_layer, strict=True):
        found[layer.op] += macs or 0
    assert +found == {
        "FULLY_CONNECTED": batch * tokens * LAYERS * (4 * DEPTH**2 + 2 * DEPTH * HIDDEN),
        "BATCH_MATMUL": batch * LAYERS * 2 * tokens**2 * DEPTH,
    }


def test_it_has_one_width_and_no_classes() -> None:
    with pytest.raises(BadInput, match="width = 50: transformer_base has the published width only, 100"):
        ZooParams(model=NAME, width=50)
    with pytest.raises(BadInput, match="output = 10: transformer_base tells no classes apart"):
        ZooParams(model=NAME, output=10)


# --- values ---


def encoder(x: Floats, rest: Iterator[Floats]) -> Floats:
    """Section 3.1 of arXiv 1706.03762: LayerNorm(x + Sublayer(x)), with the perceptron of equation 2."""
    for _ in range(LAYERS):
        x = norm(x + attention(x, HEAD, rest), rest)
        hidden = np.maximum(dense(x, rest), 0)
        x = norm(x + dense(hidden, rest), rest)
    return x


@pytest.mark.parametrize(("kernels", "batch"), [(XNNPACK, 1), (BUILTIN, 1), (XNNPACK, 2)])
def test_floats_are_the_papers(kernels: OpResolverType, batch: int) -> None:
    ran = Ran(graph(precision="float32", batch=batch), kernels)
    expected = encoder(ran.image, ran.constants())
    np.testing.assert_allclose(ran.values(ran.made.outputs[0]), expected, rtol=1e-3, atol=1e-3)


@preserving
def test_int8_stands_for_the_same() -> None:
    """Two hundred int8 ops, against exact arithmetic on the numbers that their constants stand for."""
    ran = Ran(graph())
    expected = encoder(ran.values(0), ran.constants())
    assert np.corrcoef(ran.values(ran.made.outputs[0]).ravel(), expected.ravel())[0, 1] > 0.9


@preserving
@pytest.mark.parametrize("params", [SHORT, ZooParams(model=NAME)], ids=["20", "128"])
def test_every_activation_keeps_its_spread(params: ZooParams) -> None:
    """Codes neither die nor saturate at any depth. Statistics of a token, which hardly differ, need only differ."""
    ran = Ran(graph(params))
    for layer in ran.made.layers:
        for tensor_id in layer.outputs:
            codes = ran.codes(tensor_id)
            assert codes.std() > (0.5 if layer.op == "SOFTMAX" or codes.shape[-1] == 1 else 8), layer
            assert np.mean(codes == 127) < 0.2, layer


@preserving
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_tokens_stay_different(precision: Precision) -> None:
    """What is a token's own, and not common to all, is a good part of it after six layers of attention."""
    ran = Ran(graph(ZooParams(model=NAME), precision))
    values = ran.values(ran.made.outputs[0])[0]
    assert 0.1 < values.var(axis=0).mean() / np.mean(values**2) <= 1
