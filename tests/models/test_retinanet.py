"""RetinaNet: published sizes, and the pyramid and heads in LiteRT against their formulas in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lite_run import BUILTIN, XNNPACK, Floats, Ran, assert_specified, assert_spread, assert_well_formed, preserving

from paraedge import simulate
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import ZooParams, build_graph
from paraedge.tflite import parse_graph, write_model

SMALL = ZooParams(model="retinanet", image=96, output=3)
"""C5 of 3 x 3 pixels, C4 of 6 x 6."""
UNEVEN = ZooParams(model="retinanet", image=140, output=2)
"""C5 of 5 x 5 pixels, C4 of 9 x 9."""
BACKBONE_CONVOLUTIONS = 53


def graph(params: ZooParams, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


# --- published sizes ---


def test_sizes_are_the_published_ones() -> None:
    """For 91 classes torchvision's retinanet_resnet50_fpn has 34,014,999 parameters, none of them normalisation's."""
    params = ZooParams(model="retinanet")
    made = graph(params)
    normalised = [layer for layer in made.layers if layer.op == "CONV_2D"][:BACKBONE_CONVOLUTIONS]
    biases = sum(made.tensors[layer.inputs[2]].elements for layer in normalised)
    assert made.parameters == 34_014_999 + biases
    assert params.published is not None
    assert made.parameters == params.published.parameters - params.published.folded
    assert made.macs is not None
    assert round(made.macs / 1e9) == 97  # arXiv 1911.09070, Table 2, RetinaNet-R50 (640)


def test_outputs_are_scores_and_boxes_of_five_levels() -> None:
    made = graph(ZooParams(model="retinanet"))
    sides = (80, 40, 20, 10, 5)
    shapes = [made.tensors[i].shape for i in made.outputs]
    assert shapes == [(1, side, side, 9 * 91) for side in sides] + [(1, side, side, 9 * 4) for side in sides]
    assert Counter(layer.op for layer in made.layers) == {
        "PAD": 2, "MAX_POOL_2D": 1, "CONV_2D": 53 + 3 + 5 + 2 * 5 * 5, "ADD": 16 + 2, "RESIZE_NEAREST_NEIGHBOR": 2,
        "RELU": 1, "LOGISTIC": 5,
    }  # fmt: skip


def test_all_levels_share_the_weights_of_the_heads() -> None:
    made = graph(ZooParams(model="retinanet"))
    uses = Counter(layer.inputs[1] for layer in made.layers if layer.op == "CONV_2D")
    assert Counter(uses.values()) == {1: 53 + 3 + 5, 5: 2 * 5}
    again = parse_graph(write_model(graph(SMALL)), "again")
    assert Counter(Counter(layer.inputs[1] for layer in again.layers if layer.op == "CONV_2D").values())[5] == 10


# --- any of them ---


retinanet_params = st.builds(
    ZooParams, model=st.just("retinanet"), image=st.integers(1, 700), output=st.integers(1, 91)
)


@settings(max_examples=20, deadline=None)
@given(retinanet_params, st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_every_graph_is_well_formed(params: ZooParams, precision: Precision, batch: int) -> None:
    made = graph(params, precision, batch)
    assert_well_formed(made, precision)
    sides = [-(-params.side // 2**level) for level in range(3, 8)]
    shapes = [made.tensors[i].shape for i in made.outputs]
    depths = [9 * params.classes] * 5 + [36] * 5
    assert shapes == [(batch, side, side, depth) for side, depth in zip(sides * 2, depths, strict=True)]


def test_quantization_is_the_specifications() -> None:
    assert_specified(graph(SMALL))


def test_the_simulator_places_every_op() -> None:
    prediction = simulate.predict(graph(ZooParams(model="retinanet")), simulate.load_hardware("sim-edgetpu-usb3"))
    assert (prediction.placement.on_cpu, prediction.untimed) == ((), ())


def test_it_has_one_width() -> None:
    with pytest.raises(BadInput, match="width = 50: retinanet has the published width only, 100"):
        ZooParams(model="retinanet", width=50)


# --- values ---


def convolution(x: Floats, rest: Iterator[Floats], stride: int = 1) -> Floats:
    """Same padding, as TFLite counts it; weights [filters, side, side, depth]."""
    weights, bias = next(rest), next(rest)
    side, (height, width) = weights.shape[1], x.shape[1:3]
    rows, columns = -(-height // stride), -(-width // stride)
    pads = [max((out - 1) * stride + side - size, 0) for out, size in ((rows, height), (columns, width))]
    around = [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads), (0, 0)]
    padded = np.pad(x, around)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("bhwcij,oijc->bhwo", windows, weights, optimize=True) + bias


def nearest(x: Floats, like: Floats) -> Floats:
    rows, columns = (np.arange(like.shape[axis]) * x.shape[axis] // like.shape[axis] for axis in (1, 2))
    return x[:, rows][:, :, columns]


def head(levels: list[Floats], constants: list[Floats]) -> list[Floats]:
    results = []
    for x in levels:
        rest = iter(constants)
        for _ in range(4):
            x = np.maximum(convolution(x, rest), 0)  # noqa: PLW2901
        results.append(convolution(x, rest))
    return results


def retinanet(stages: list[Floats], rest: Iterator[Floats]) -> list[Floats]:
    """Scores and boxes from C3, C4 and C5: sections 3 and 4 of arXiv 1708.02002, P6 from P5."""
    c3, c4, c5 = stages
    top = convolution(c5, rest)
    p5 = convolution(top, rest)
    lateral = convolution(c4, rest)
    top = lateral + nearest(top, lateral)
    p4 = convolution(top, rest)
    lateral = convolution(c3, rest)
    p3 = convolution(lateral + nearest(top, lateral), rest)
    p6 = convolution(p5, rest, 2)
    levels = [p3, p4, p5, p6, convolution(np.maximum(p6, 0), rest, 2)]
    constants = list(rest)
    scores = [1 / (1 + np.exp(-x)) for x in head(levels, constants[:10])]
    return [*scores, *head(levels, constants[10:])]


def reference(ran: Ran) -> list[Floats]:
    """From the body's own results and the constants after it."""
    blocks = [layer.outputs[0] for layer in ran.made.layers if layer.op == "ADD"]
    stages = [ran.values(blocks[last - 1]) for last in (3 + 4, 3 + 4 + 6, 3 + 4 + 6 + 3)]
    return retinanet(stages, iter(list(ran.constants())[2 * BACKBONE_CONVOLUTIONS :]))


@preserving
@pytest.mark.parametrize("params", [SMALL, UNEVEN], ids=["96", "140"])
def test_floats_are_the_papers(params: ZooParams) -> None:
    """Under builtin kernels, which the body's results are taken from, and under XNNPACK."""
    made = graph(params, "float32")
    builtin, xnnpack = Ran(made), Ran(made, XNNPACK)
    for output, expected in zip(made.outputs, reference(builtin), strict=True):
        np.testing.assert_allclose(builtin.values(output), expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(xnnpack.values(output), expected, rtol=1e-3, atol=1e-3)


@preserving
def test_int8_stands_for_the_same() -> None:
    """Against exact arithmetic on the numbers that the body's codes and the constants stand for."""
    ran = Ran(graph(SMALL))
    for output, expected in zip(ran.made.outputs, reference(ran), strict=True):
        assert np.corrcoef(ran.values(output).ravel(), expected.ravel())[0, 1] > 0.95


@preserving
def test_every_activation_keeps_its_spread() -> None:
    """At the published size: where a level is a single pixel, most of a shared filter lies on its padding."""
    assert_spread(Ran(graph(ZooParams(model="retinanet"))))


@preserving
@pytest.mark.parametrize("image", [320, pytest.param(640, marks=pytest.mark.slow)])
def test_floats_keep_their_size(image: int) -> None:
    ran = Ran(graph(ZooParams(model="retinanet", image=image), "float32"))
    for layer in ran.made.layers:
        assert 0.02 < np.mean(ran.values(layer.outputs[0]).astype(float) ** 2) < 20, layer


def test_both_kernels_take_the_file() -> None:
    made = graph(SMALL)
    xnnpack, builtin = (Ran(made, kernels) for kernels in (XNNPACK, BUILTIN))
    for output in made.outputs:
        assert np.corrcoef(xnnpack.codes(output).ravel(), builtin.codes(output).ravel())[0, 1] > 0.95
