"""Vision transformers: published sizes, and values in LiteRT against the paper's formulas in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from ai_edge_litert.interpreter import OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from lite_run import BUILTIN, XNNPACK, Floats, Ran, assert_well_formed, preserving
from scipy.special import erf
from transformer_reference import attention, dense, norm, softmax

from paraedge import simulate
from paraedge.core.errors import BadInput, TooLarge
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import ZooParams, build_graph
from paraedge.tflite import parse_graph, write_model

BASE, LARGE, HUGE = "vit_base", "vit_large", "vit_huge"
SHAPES = {BASE: (12, 12, 64, 16), LARGE: (24, 16, 64, 16), HUGE: (32, 16, 80, 14)}
"""Table 1 of arXiv 2010.11929: blocks, heads, depth of a head (hidden size / heads), patch."""

SMALL = [
    ZooParams(model=BASE, width=17, image=64, output=10),
    ZooParams(model=LARGE, width=7, image=32, output=10),
    ZooParams(model=HUGE, width=13, image=28, output=10),
]


def graph(params: ZooParams, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


# --- published sizes ---


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize(
    ("model", "parameters", "giga_macs"),
    [
        # the paper's 86 M, 304 M and 632 M, exactly as torchvision counts vit_b_16, vit_l_16 and vit_h_14 (of 224)
        (BASE, 86_567_656, 17.564),
        (LARGE, 304_326_632, 61.555),
        (HUGE, 632_045_800, 167.295),
    ],
)
def test_sizes_are_the_published_ones(model: str, parameters: int, giga_macs: float, precision: Precision) -> None:
    made = graph(ZooParams(model=model), precision)
    assert made.parameters == parameters
    assert made.macs is not None
    assert round(made.macs / 1e9, 3) == giga_macs
    assert made.tensors[made.outputs[0]].shape == (1, 1000)


@pytest.mark.parametrize(("width", "parameters"), [(25, 5_717_416), (50, 22_050_664)])
def test_fewer_heads_are_deit(width: int, parameters: int) -> None:
    """DeiT-Ti and DeiT-S (arXiv 2012.12877, Table 1: 5 M, 22 M), exactly as their authors' code counts them."""
    assert graph(ZooParams(model=BASE, width=width)).parameters == parameters


def macs_of_ops(params: ZooParams, batch: int) -> dict[str, int]:
    """Of all ops of a kind, from the paper's shapes: N tokens of depth D, MLPs of 4 D."""
    blocks, heads, head, patch = SHAPES[params.model]
    depth = max(1, heads * params.width // 100) * head
    patches = (params.side // patch) ** 2
    tokens = patches + 1
    dense = blocks * tokens * (3 + 1 + 4 + 4) * depth**2 + depth * params.classes
    return {
        "CONV_2D": batch * patches * 3 * patch**2 * depth,
        "FULLY_CONNECTED": batch * dense,
        "BATCH_MATMUL": batch * blocks * 2 * tokens**2 * depth,
    }


vit_params = st.builds(
    lambda model, width, patches, output: ZooParams(
        model=model, width=width, image=patches * SHAPES[model][3], output=output
    ),
    st.sampled_from([BASE, LARGE, HUGE]),
    st.integers(1, 150),
    st.integers(1, 24),
    st.integers(1, 12),
)


@settings(max_examples=30, deadline=None)
@given(vit_params, st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_every_graph_is_well_formed(params: ZooParams, precision: Precision, batch: int) -> None:
    made = graph(params, precision, batch)
    assert made.tensors[0].shape == (batch, params.side, params.side, 3)
    assert made.tensors[made.outputs[0]].shape == (batch, params.output)
    assert_well_formed(made, precision)
    found: Counter[str] = Counter()
    for layer, macs in zip(made.layers, made.macs_by_layer, strict=True):
        found[layer.op] += macs or 0
    assert +found == macs_of_ops(params, batch)


def test_ops_are_those_of_the_paper() -> None:
    blocks = 12
    assert Counter(layer.op for layer in graph(ZooParams(model=BASE)).layers) == {
        "CONV_2D": 1, "CONCATENATION": 1, "SLICE": 1, "FULLY_CONNECTED": 4 * blocks + 1, "GELU": blocks,
        "BATCH_MATMUL": 2 * blocks, "SOFTMAX": blocks + 1, "SPLIT": blocks, "TRANSPOSE": 2 * blocks,
        "RESHAPE": 2 * blocks + 1, "ADD": 1 + 2 * blocks + 2 * blocks + 1, "MEAN": 2 * (2 * blocks + 1),
        "SQUARED_DIFFERENCE": 2 * blocks + 1, "RSQRT": 2 * blocks + 1, "SUB": 2 * blocks + 1,
        "MUL": 2 * (2 * blocks + 1),
    }  # fmt: skip


# --- values ---


def vision_transformer(image: Floats, params: ZooParams, rest: Iterator[Floats]) -> Floats:
    """Logits: equations 1 to 4 of arXiv 2010.11929, with q, k and v of equation 5 scaled by 1 / sqrt(D_h) already."""
    blocks, _, head, patch = SHAPES[params.model]
    batch, side = len(image), params.side // patch
    filters, bias = next(rest), next(rest)
    patches = image.reshape(batch, side, patch, side, patch, 3).transpose(0, 1, 3, 2, 4, 5)
    x = patches.reshape(batch, side * side, -1) @ filters.reshape(len(filters), -1).T + bias
    x = np.concatenate([np.broadcast_to(next(rest), (batch, 1, x.shape[-1])), x], axis=1) + next(rest)
    for _ in range(blocks):
        x = x + attention(norm(x, rest), head, rest)
        hidden = dense(norm(x, rest), rest)
        gelu = hidden * (1 + erf(hidden / np.sqrt(2))) / 2
        x = x + dense(gelu, rest)
    return dense(norm(x, rest)[:, 0], rest)


def label(params: ZooParams) -> str:
    return f"{params.model}-{params.width}-{params.side}"


@pytest.mark.parametrize("kernels", [XNNPACK, BUILTIN])
@pytest.mark.parametrize("params", [ZooParams(model=BASE, width=25), *SMALL], ids=label)
def test_floats_are_the_papers(params: ZooParams, kernels: OpResolverType) -> None:
    ran = Ran(graph(params, "float32"), kernels)
    logits = vision_transformer(ran.image, params, ran.constants())
    np.testing.assert_allclose(ran.values(ran.made.outputs[0]), softmax(logits), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_whole_vit_base_runs(precision: Precision) -> None:
    ran = Ran(graph(ZooParams(model=BASE), precision), XNNPACK)
    shares = ran.values(ran.made.outputs[0])
    assert shares.shape == (1, 1000)
    assert len(np.unique(shares)) >= 8
    if precision == "float32":
        assert shares.sum() == pytest.approx(1, rel=1e-3)


@preserving
@pytest.mark.parametrize("params", SMALL, ids=label)
def test_int8_stands_for_the_same(params: ZooParams) -> None:
    """The logits of some hundred int8 ops, against exact arithmetic on the numbers that their constants stand for."""
    ran = Ran(graph(params))
    logits = vision_transformer(ran.values(0), params, ran.constants())[0]
    found = ran.values(ran.made.layers[-1].inputs[0])[0]
    assert np.corrcoef(logits, found)[0, 1] > 0.9


@preserving
@pytest.mark.parametrize("params", [ZooParams(model=BASE, width=25), *SMALL], ids=label)
def test_every_activation_keeps_its_spread(params: ZooParams) -> None:
    """Codes neither die nor saturate at any depth. Statistics of a token, which hardly differ, need only differ."""
    ran = Ran(graph(params))
    for layer in ran.made.layers:
        for tensor_id in layer.outputs:
            values = ran.codes(tensor_id)
            if layer.op == "SOFTMAX" or values.shape[-1] == 1:
                assert values.std() > 0.5, layer
            else:
                assert values.std() > 8, layer
            assert np.mean(values == 127) < 0.2, layer


@preserving
@pytest.mark.parametrize("params", [ZooParams(model=BASE, width=25), *SMALL], ids=label)
def test_floats_keep_their_size(params: ZooParams) -> None:
    """What attends, and what an MLP gives, stays near the size that the int8 codes are made for."""
    ran = Ran(graph(params, "float32"))
    for layer in ran.made.layers:
        if layer.op in ("FULLY_CONNECTED", "GELU", "MUL"):
            assert 0.05 < np.mean(ran.values(layer.outputs[0]) ** 2) < 20, layer


# --- quantization, files ---


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("params", SMALL, ids=label)
def test_quantization_is_the_specifications(params: ZooParams, batch: int) -> None:
    """TFLite's quantization specification: which ops keep their scale, and how weights and biases are stored."""
    made = graph(params, batch=batch)
    kept = ("RESHAPE", "TRANSPOSE", "SPLIT", "SLICE", "CONCATENATION", "BROADCAST_TO")
    assert ("BROADCAST_TO" in {layer.op for layer in made.layers}) == (batch > 1)
    for layer in made.layers:
        inputs, outputs = ([made.tensors[i] for i in ids] for ids in (layer.inputs, layer.outputs))
        assert {tensor.dtype for tensor in outputs} == {"int8"}
        if layer.op in kept:
            same = [tensor.quantization for tensor in (*inputs, *outputs) if tensor.dtype == "int8"]
            assert same == [same[0]] * len(same), layer
        elif layer.op == "SOFTMAX":
            assert outputs[0].quantization is not None
            assert (outputs[0].quantization.scales, outputs[0].quantization.zero_points) == ((1 / 256,), (-128,))
        elif layer.op == "FULLY_CONNECTED":
            x, weights, bias = (tensor.quantization for tensor in inputs)
            assert x is not None
            assert weights is not None
            assert bias is not None
            assert (weights.zero_points, len(weights.scales)) == ((0,), 1)
            assert bias.scales[0] == pytest.approx(x.scales[0] * weights.scales[0])
        elif layer.op == "MUL":  # MUL of version 2 takes no rescale of 1 or more
            factors = [tensor.quantization.scales[0] for tensor in (*inputs, *outputs) if tensor.quantization]
            assert factors[0] * factors[1] / factors[2] < 1


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("params", SMALL, ids=label)
def test_written_graphs_read_back_equal(params: ZooParams, precision: Precision) -> None:
    made = graph(params, precision, batch=2)
    again = parse_graph(write_model(made), made.name)
    assert (again.inputs, again.outputs, again.parameters) == (made.inputs, made.outputs, made.parameters)
    assert again.macs_by_layer == made.macs_by_layer
    for ours, theirs in zip(made.layers, again.layers, strict=True):
        assert (theirs.op, theirs.inputs, theirs.outputs) == (ours.op, ours.inputs, ours.outputs)
        assert theirs.version == ours.version
        assert {name: theirs.options[name] for name in ours.options} == ours.options
    for mine, read in zip(made.tensors, again.tensors, strict=True):
        assert (read.name, read.shape, read.dtype) == (mine.name, mine.shape, mine.dtype)


@preserving
@pytest.mark.parametrize("params", SMALL, ids=label)
def test_the_inputs_of_a_batch_are_strangers(params: ZooParams) -> None:
    """A batch of two is the same as one by one: no token looks at the other image's."""
    one, two = Ran(graph(params, "float32")), Ran(graph(params, "float32", batch=2))
    images = two.values(0)
    assert not np.array_equal(images[0], images[1])
    alone = [vision_transformer(image[None], params, two.constants())[0] for image in images]
    np.testing.assert_allclose(two.values(two.made.layers[-1].inputs[0]), alone, rtol=1e-3, atol=1e-3)
    assert len(two.made.layers) == len(one.made.layers) + 1
    assert two.made.parameters == one.made.parameters


def test_the_largest_is_refused_before_it_is_allocated() -> None:
    with pytest.raises(TooLarge, match=r"needs a file of 2\.35 GiB; a FlatBuffer ends at 2 GiB"):
        write_model(graph(ZooParams(model=HUGE), "float32"))


def test_an_edge_tpu_takes_no_transformer() -> None:
    made = graph(ZooParams(model=BASE))
    refused = simulate.check_mappable(made)
    assert {made.layers[index].op for index in refused} == {"FULLY_CONNECTED", "BATCH_MATMUL", "SOFTMAX", "GELU"}
    assert {refused[i] for i, layer in enumerate(made.layers) if layer.op in ("BATCH_MATMUL", "GELU")} == {
        "operation not supported"
    }


# --- parameters ---


@pytest.mark.parametrize(("model", "image"), [(BASE, 230), (LARGE, 8), (HUGE, 256)])
def test_an_image_is_made_of_whole_patches(model: str, image: int) -> None:
    message = f"image = {image}: must be a multiple of {SHAPES[model][3]} for {model}"
    with pytest.raises(BadInput, match=message):
        ZooParams(model=model, image=image)


def test_classes_are_the_published_ones() -> None:
    assert (ZooParams().output, ZooParams(model="inception_v3").output, ZooParams(model=LARGE).output) == (
        1001, 1001, 1000,
    )  # fmt: skip
    assert ZooParams(model=BASE) == ZooParams(model=BASE, output=1000)
    # archived campaigns know a point by this: it must not change
    assert ModelSpec(family="zoo", params=ZooParams(model="mobilenet_v2")).canonical_json() == (
        '{"batch":1,"family":"zoo","params":{"model":"mobilenet_v2","output":1001,"width":100},'
        '"precision":"int8","seed":0}'
    )
