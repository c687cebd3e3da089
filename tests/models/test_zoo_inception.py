"""Inception v1, v4 and Inception-ResNet v2: published sizes and shapes, and their values in LiteRT."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lite_run import BUILTIN, XNNPACK, Ran, assert_specified, assert_spread, assert_well_formed, preserving

from paraedge import simulate
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import ZooParams, build_graph

V1, V4, RESIDUAL = "inception_v1", "inception_v4", "inception_resnet_v2"
ALL = [V1, V4, RESIDUAL]
SMALL = [ZooParams(model=name, width=25, image=75, output=10) for name in ALL]


def graph(params: ZooParams, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


def name_of(params: ZooParams) -> str:
    return params.model


def normalised(made: LayerGraph) -> list[tuple[int, ...]]:
    """Shapes of what batch normalisation stood behind: the convolutions with ReLU."""
    return [
        made.tensors[layer.outputs[0]].shape
        for layer in made.layers
        if layer.op == "CONV_2D" and layer.options["fused_activation_function"] == "RELU"
    ]


# --- published sizes ---


@pytest.mark.parametrize(
    ("params", "learnt", "parameters", "giga_macs"),
    [
        # torchvision's googlenet: a gain and a bias for each channel
        (ZooParams(model=V1), 2, 6_624_904, 1.498),
        # timm's inception_v4: the same, and MACs from which it counts two for each value that is normalised
        (ZooParams(model=V4), 2, 42_679_816, 12.28),
        # Keras' InceptionResNetV2: bias, mean and variance; MACs of arXiv 1707.07012, Table 2
        (ZooParams(model=RESIDUAL), 3, 55_873_736, 13.2),
        # Keras' InceptionV3; MACs of torchvision's
        (ZooParams(model="inception_v3", output=1000), 3, 23_851_784, 5.713),
    ],
)
def test_sizes_are_the_published_ones(params: ZooParams, learnt: int, parameters: int, giga_macs: float) -> None:
    made = graph(params)
    assert made.macs is not None
    assert made.parameters + (learnt - 1) * sum(shape[3] for shape in normalised(made)) == parameters
    values = sum(int(np.prod(shape)) for shape in normalised(made))
    macs = made.macs + (2 * values if params.model == V4 else 0)
    digits = len(str(giga_macs).partition(".")[2])
    assert round(macs / 1e9, digits) == giga_macs


@pytest.mark.parametrize("model", [*ALL, "inception_v3"])
def test_the_zoo_says_what_was_folded(model: str) -> None:
    params = ZooParams(model=model)
    assert params.published is not None
    assert graph(params).parameters == params.published.parameters - params.published.folded


def concatenated(made: LayerGraph) -> list[tuple[int, ...]]:
    """Side and channels of each CONCATENATION."""
    return [made.tensors[layer.outputs[0]].shape[2:] for layer in made.layers if layer.op == "CONCATENATION"]


def test_inception_v1_has_the_papers_blocks() -> None:
    """Table 1 of arXiv 1409.4842."""
    made = graph(ZooParams(model=V1))
    assert concatenated(made) == [
        (28, 256), (28, 480), (14, 512), (14, 512), (14, 512), (14, 528), (14, 832), (7, 832), (7, 1024),
    ]  # fmt: skip
    stem = [made.tensors[layer.outputs[0]].shape[2:] for layer in made.layers[:5]]
    assert stem == [(112, 64), (56, 64), (56, 64), (56, 192), (28, 192)]
    assert Counter(layer.op for layer in made.layers) == {
        "CONV_2D": 58, "MAX_POOL_2D": 13, "AVERAGE_POOL_2D": 1, "CONCATENATION": 9, "RESHAPE": 1, "SOFTMAX": 1,
    }  # fmt: skip


def test_inception_v4_has_the_papers_blocks() -> None:
    """Figures 3 to 9 of arXiv 1602.07261."""
    made = graph(ZooParams(model=V4))
    stem = [(73, 160), (71, 192), (35, 384)]
    fanned = [(8, 512), (8, 512), (8, 1536)]
    assert concatenated(made) == [
        *stem, *[(35, 384)] * 4, (17, 1024), *[(17, 1024)] * 7, (8, 1536), *fanned, *fanned, *fanned,
    ]  # fmt: skip
    assert Counter(layer.op for layer in made.layers) == {
        "CONV_2D": 149, "MAX_POOL_2D": 4, "AVERAGE_POOL_2D": 15, "CONCATENATION": 25, "RESHAPE": 1,
        "FULLY_CONNECTED": 1, "SOFTMAX": 1,
    }  # fmt: skip


def test_inception_resnet_v2_has_the_papers_blocks() -> None:
    """Figures 15 to 19 of arXiv 1602.07261, with 320, 1088 and 2080 channels as Keras and TF-Slim have them."""
    made = graph(ZooParams(model=RESIDUAL))
    assert concatenated(made) == [
        (35, 320), *[(35, 128)] * 10, (17, 1088), *[(17, 384)] * 20, (8, 2080), *[(8, 448)] * 10,
    ]  # fmt: skip
    added = [layer for layer in made.layers if layer.op == "ADD"]
    shapes = [made.tensors[layer.outputs[0]].shape[2:] for layer in added]
    assert shapes == [(35, 320)] * 10 + [(17, 1088)] * 20 + [(8, 2080)] * 10
    activations = [layer.options["fused_activation_function"] for layer in added]
    assert activations == ["RELU"] * 39 + ["NONE"]


# --- any of them ---


inception_params = st.builds(
    ZooParams,
    model=st.sampled_from(ALL),
    width=st.integers(1, 150),
    image=st.one_of(st.none(), st.integers(75, 400)),
    output=st.integers(1, 12),
)


@settings(max_examples=30, deadline=None)
@given(inception_params, st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_every_graph_is_well_formed(params: ZooParams, precision: Precision, batch: int) -> None:
    made = graph(params, precision, batch)
    assert made.tensors[0].shape == (batch, params.side, params.side, 3)
    assert made.tensors[made.outputs[0]].shape == (batch, params.output)
    assert_well_formed(made, precision)


@pytest.mark.parametrize("params", SMALL, ids=name_of)
def test_quantization_is_the_specifications(params: ZooParams) -> None:
    assert_specified(graph(params))


@pytest.mark.parametrize("model", ALL)
def test_the_simulator_places_every_op(model: str) -> None:
    prediction = simulate.predict(graph(ZooParams(model=model)), simulate.load_hardware("sim-edgetpu-usb3"))
    assert prediction.latency_ms > 0
    assert (prediction.placement.on_cpu, prediction.untimed) == ((), ())


@pytest.mark.parametrize("model", [V4, RESIDUAL])
def test_a_small_image_is_refused(model: str) -> None:
    with pytest.raises(BadInput, match=f"image = 74: must be at least 75 for {model}"):
        ZooParams(model=model, image=74)
    assert ZooParams(model=V1, image=1).side == 1


# --- values ---


@preserving
@pytest.mark.parametrize(
    "params",
    [*SMALL, *(ZooParams(model=model) for model in ALL)],
    ids=lambda params: f"{params.model}-{params.side}",
)
def test_every_activation_keeps_its_spread(params: ZooParams) -> None:
    assert_spread(Ran(graph(params)))


@preserving
@pytest.mark.parametrize(
    "params",
    [ZooParams(model=V1), *(pytest.param(ZooParams(model=name), marks=pytest.mark.slow) for name in ALL[1:])],
    ids=name_of,
)
def test_floats_keep_their_size(params: ZooParams) -> None:
    """Values neither vanish nor explode, though nothing clips them; residuals are as small as their scaling says."""
    ran = Ran(graph(params, "float32"))
    residuals = {layer.inputs[1]: layer for layer in ran.made.layers if layer.op == "ADD"}
    for layer in ran.made.layers:
        size = np.mean(ran.values(layer.outputs[0]).astype(float) ** 2)
        if layer.op == "SOFTMAX":
            assert ran.values(layer.outputs[0]).sum() == pytest.approx(1, rel=1e-3)
        elif layer.outputs[0] in residuals:
            assert 0.002 < size < 1, layer
        else:
            assert 0.03 < size < 30, layer


@pytest.mark.parametrize("params", SMALL, ids=name_of)
def test_both_kernels_take_the_file(params: ZooParams) -> None:
    """Under XNNPACK and builtin kernels int8 probabilities differ among themselves; float32 ones agree."""
    for kernels in (XNNPACK, BUILTIN):
        assert len(np.unique(Ran(graph(params), kernels).codes(graph(params).outputs[0]))) >= 3
    xnnpack, builtin = (Ran(graph(params, "float32"), kernels) for kernels in (XNNPACK, BUILTIN))
    output = builtin.made.outputs[0]
    np.testing.assert_allclose(xnnpack.values(output), builtin.values(output), rtol=1e-3, atol=1e-6)
