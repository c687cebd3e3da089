"""The zoo's classifiers against what was published of them, and against the layouts of the papers."""

from __future__ import annotations

import dataclasses
import importlib
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge import expand
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import FcParams, ZooParams, build_graph
from paraedge.models.network import Value
from paraedge.models.transformer import TransformerNetwork
from paraedge.models.versions import LOWEST_VERSION
from paraedge.models.zoo import MODELS, published_sizes
from paraedge.sweep import parse_sweep

PUBLISHED = {
    # parameters and MACs as their sources write them: Keras Applications' counts, of 1000 classes; the weights' tables
    # of torchvision 0.29 ("num_params", "_ops" in billions); Howard et al., arXiv 1704.04861; Sze et al.,
    # arXiv 1703.09039, Table II; the README of tensorflow/tpu's EfficientNet-Lite
    "mobilenet_v1": ("4253864", "569E6"),
    "mobilenet_v2": ("3538984", "0.301E9"),
    "efficientnet_lite0": ("4.7E6", None),
    "squeezenet_1_0": ("1248424", "0.819E9"),
    "alexnet": ("61100840", "0.714E9"),
    "vgg16": ("138357544", "15.47E9"),
    "vgg19": ("143667240", "19.632E9"),
    "resnet50_v1": ("25636712", "3.9E9"),
    "resnet50_v2": ("25613800", None),
    "resnet152_v2": ("60380648", None),
    "densenet121": ("8062504", "2.834E9"),
}
ONE_CLASS_MORE = {"mobilenet_v1": 1024 + 1, "mobilenet_v2": 1280 + 1}
"""Parameters of TF-Slim's class 0."""
BLOCK_CNNS = ("block_cnn_3_1", "block_cnn_2_2")
OURS = (*PUBLISHED, *BLOCK_CNNS)


def graph(params: ZooParams, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


def as_published(count: int, figure: str) -> bool:
    """Whether `count` is the published figure, to the digits that it has."""
    published = Decimal(figure)
    return Decimal(count).quantize(Decimal((0, (1,), published.as_tuple().exponent))) == published


# --- sizes ---


@pytest.mark.parametrize("model", PUBLISHED)
def test_sizes_are_the_published_ones(model: str) -> None:
    parameters, macs = PUBLISHED[model]
    params, made = ZooParams(model=model), graph(ZooParams(model=model))
    sizes = published_sizes(ModelSpec(family="zoo", params=params), made)
    assert sizes["unfolded_parameters"] is not None
    assert sizes["published_parameters"] == int(Decimal(parameters)) + ONE_CLASS_MORE.get(model, 0)
    assert as_published(sizes["unfolded_parameters"] - ONE_CLASS_MORE.get(model, 0), parameters)
    assert sizes["published_macs"] == (None if macs is None else int(Decimal(macs)))
    assert macs is None or as_published(made.macs or 0, macs)


def test_a_figure_is_compared_to_its_last_digit() -> None:
    assert as_published(15_470_264_320, "15.47E9")
    assert not as_published(15_475_000_001, "15.47E9")
    assert not as_published(61_100_841, "61100840")


def test_torch_counts_two_values_a_channel_of_batch_normalisation() -> None:
    """Published "num_params" have gain and bias of every channel, as a file has, or else the bias alone."""
    mobilenet = graph(ZooParams(model="mobilenet_v2", output=1000))
    channels = sum(
        mobilenet.tensors[layer.outputs[0]].shape[3] for layer in mobilenet.layers[:-3] if "CONV" in layer.op
    )
    assert mobilenet.parameters + channels == 3_504_872
    densenet = graph(ZooParams(model="densenet121"))
    folded, bare = 64 + 58 * 128, 58 * 32 + 128 + 256 + 512
    assert densenet.parameters + folded - bare == 7_978_856


def test_published_figures_stand_beside_ours_where_they_belong() -> None:
    text = """
        name = "some"
        devices = ["cpu"]
        [[grid]]
        family = "zoo"
        model = ["vgg16", "resnet50_v2", "block_cnn_3_1"]
        [[grid]]
        family = "zoo"
        model = "mobilenet_v1"
        width = [50, 100]
        image = [128, 224]
        output = [10, 1001]
        [[grid]]
        family = "zoo"
        model = "vgg16"
        batch = 2
        [[grid]]
        family = "fc"
        layer = 2
        node = 8
    """
    rows = list(expand.expand(parse_sweep(text, source="some.toml")))
    names = ("unfolded_parameters", "published_parameters", "published_macs")
    found = [tuple(row[name] for name in names) for row in rows[:-1]]
    none = (None, None, None)
    assert found == [
        (138_357_544, 138_357_544, 15_470_000_000), (25_613_800, 25_613_800, None), none, *[none] * 7,
        (4_254_889, 4_254_889, 569_000_000), (138_357_544, 138_357_544, None),
    ]  # fmt: skip
    assert not set(names) & set(rows[-1])
    assert published_sizes(ModelSpec(family="fc", params=FcParams(layer=1, node=8)), graph(ZooParams())) == {}


def test_the_docs_have_these_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    page = (docs / "models.md").read_text(encoding="utf-8")
    assert importlib.import_module("generate").model_sizes(page) == page, "`nox -s docs -- --write` writes it anew"
    assert [model for model in MODELS if page.count(f"`{model}`") < 2] == []


# --- layouts ---


def ops(made: LayerGraph) -> Counter[str]:
    return Counter(layer.op for layer in made.layers)


def test_ops_are_those_of_the_papers() -> None:
    """Numbers of convolutions as the papers' names count them, without shortcuts and with the last dense layer."""
    ends = {"MEAN": 1, "FULLY_CONNECTED": 1, "SOFTMAX": 1}
    assert ops(graph(ZooParams(model="resnet50_v1"))) == {
        "PAD": 2, "CONV_2D": 49 + 4, "MAX_POOL_2D": 1, "ADD": 16, **ends,
    }  # fmt: skip
    assert ops(graph(ZooParams(model="resnet50_v2"))) == {
        "PAD": 2 + 3, "CONV_2D": 49 + 4, "MAX_POOL_2D": 1 + 3, "ADD": 16 + 17, "MUL": 17, **ends,
    }  # fmt: skip
    assert ops(graph(ZooParams(model="resnet152_v2"))) == {
        "PAD": 2 + 3, "CONV_2D": 151 + 4, "MAX_POOL_2D": 1 + 3, "ADD": 50 + 51, "MUL": 51, **ends,
    }  # fmt: skip
    assert ops(graph(ZooParams(model="densenet121"))) == {
        "PAD": 2, "CONV_2D": 120, "MAX_POOL_2D": 1, "AVERAGE_POOL_2D": 3, "CONCATENATION": 58, "MUL": 62, "ADD": 62,
        **ends,
    }  # fmt: skip
    for model, convolutions in (("vgg16", 13), ("vgg19", 16)):
        assert ops(graph(ZooParams(model=model))) == {
            "CONV_2D": convolutions, "MAX_POOL_2D": 5, "RESHAPE": 1, "FULLY_CONNECTED": 3, "SOFTMAX": 1,
        }  # fmt: skip
    assert ops(graph(ZooParams(model="squeezenet_1_0"))) == {
        "CONV_2D": 26, "MAX_POOL_2D": 3, "CONCATENATION": 8, "MEAN": 1, "SOFTMAX": 1,
    }  # fmt: skip
    assert ops(graph(ZooParams(model="efficientnet_lite0"))) == {
        "CONV_2D": 33,
        "DEPTHWISE_CONV_2D": 16,
        "ADD": 9,
        **ends,
    }


def test_shapes_are_those_of_the_papers() -> None:
    def shapes(model: str, op: str) -> list[tuple[int, ...]]:
        made = graph(ZooParams(model=model))
        return [made.tensors[layer.outputs[0]].shape[1:] for layer in made.layers if layer.op == op]

    assert shapes("alexnet", "CONV_2D") == [(55, 55, 64), (27, 27, 192), (13, 13, 384), (13, 13, 256), (13, 13, 256)]
    assert shapes("alexnet", "FULLY_CONNECTED") == [(4096,), (4096,), (1000,)]
    assert shapes("vgg16", "MAX_POOL_2D") == [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]
    assert shapes("densenet121", "AVERAGE_POOL_2D") == [(28, 28, 128), (14, 14, 256), (7, 7, 512)]
    assert shapes("densenet121", "CONCATENATION")[-1] == (7, 7, 1024)
    assert shapes("squeezenet_1_0", "MAX_POOL_2D") == [(54, 54, 96), (27, 27, 256), (13, 13, 512)]
    assert (
        shapes("resnet50_v1", "ADD")
        == [(56, 56, 256)] * 3 + [(28, 28, 512)] * 4 + [(14, 14, 1024)] * 6 + [(7, 7, 2048)] * 3
    )
    assert shapes("resnet50_v2", "MAX_POOL_2D") == [(56, 56, 64), (28, 28, 256), (14, 14, 512), (7, 7, 1024)]


@pytest.mark.parametrize(("model", "convolutional", "dense"), [("block_cnn_3_1", 3, 1), ("block_cnn_2_2", 2, 2)])
def test_block_wise_networks_have_their_blocks(model: str, convolutional: int, dense: int) -> None:
    made = graph(ZooParams(model=model, width=50, image=40, output=7))
    block = ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "MAX_POOL_2D"]
    ends = ["RESHAPE", *["FULLY_CONNECTED"] * dense, "FULLY_CONNECTED", "SOFTMAX"]
    assert [layer.op for layer in made.layers] == [*block * convolutional, *ends]
    shapes = [made.tensors[layer.outputs[0]].shape for layer in made.layers]
    assert shapes[3:5] == [(1, 20, 20, 16), (1, 20, 20, 32)]
    assert shapes[-3:] == [(1, 128), (1, 7), (1, 7)]


def test_a_mean_of_the_first_pixel_is_a_pool_of_one() -> None:
    """ResNet v2's shortcuts where the image is halved keep one pixel of four, at the scale that they have."""
    made = graph(ZooParams(model="resnet50_v2"))
    shortcuts = [layer for layer in made.layers if layer.op == "MAX_POOL_2D"][1:]
    for layer in shortcuts:
        before, after = made.tensors[layer.inputs[0]], made.tensors[layer.outputs[0]]
        assert (layer.options["filter_height"], layer.options["stride_h"]) == (1, 2)
        assert before.quantization == after.quantization


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(OURS), st.integers(1, 400), st.sampled_from(["int8", "float32"]), st.integers(1, 3), st.data())
def test_any_image_gives_a_well_formed_graph_or_is_refused(
    model: str, image: int, precision: Precision, batch: int, data: st.DataObject
) -> None:
    if image < MODELS[model].least_image:
        with pytest.raises(BadInput, match=f"image = {image}: must be at least {MODELS[model].least_image} for"):
            ZooParams(model=model, image=image)
        image = MODELS[model].least_image
    made = graph(ZooParams(model=model, image=image, output=data.draw(st.integers(1, 12))), precision, batch)
    known = {*made.inputs, *(i for i, tensor in enumerate(made.tensors) if tensor.weights is not None)}
    for layer in made.layers:  # topological: every input was made before
        assert known.issuperset(layer.inputs)
        known.update(layer.outputs)
        assert layer.version == LOWEST_VERSION[layer.op][precision]
    assert known == set(range(len(made.tensors)))
    assert len({tensor.name for tensor in made.tensors}) == len(made.tensors)
    assert all(len(tensor.shape) <= 4 and min(tensor.shape) >= 1 for tensor in made.tensors)
    streams = [t.weights.stream for t in made.tensors if hasattr(t.weights, "stream")]
    assert len(set(streams)) == len(streams)
    assert None not in made.macs_by_layer


@pytest.mark.parametrize("model", [name for name in OURS if MODELS[name].least_image > 1])
def test_of_an_image_below_the_least_nothing_is_left(model: str) -> None:
    """No limit is higher than it has to be: a pixel less, and some layer has an empty result, if it can be made."""
    least = MODELS[model].least_image
    network = TransformerNetwork(ModelSpec(family="zoo", params=ZooParams(model=model)))
    try:
        made = MODELS[model].build(network, network.input((1, least - 1, least - 1, 3)), 100, 10)
    except ZeroDivisionError:  # the mean over the places of a kernel that has none
        return
    assert isinstance(made, Value)
    assert min(min(tensor.shape, default=1) for tensor in network.graph(made).tensors) < 1


# --- what is refused ---


@pytest.mark.parametrize(
    ("model", "meant"), [("resnet50", "resnet50_v"), ("VGG16", "vgg16"), ("squeezenet", "squeezenet_1_0")]
)
def test_a_near_miss_is_told_what_was_meant(model: str, meant: str) -> None:
    with pytest.raises(BadInput, match=rf"model = '{model}': must be one of .*: did you mean '{meant}"):
        ZooParams(model=model)
    with pytest.raises(BadInput, match="must be one of 'mobilenet_v1'") as refused:
        ZooParams(model="gpt")
    assert "did you mean" not in str(refused.value)


@pytest.mark.parametrize("model", [name for name in OURS if not MODELS[name].has_widths])
def test_a_width_that_nobody_published_is_refused(model: str) -> None:
    with pytest.raises(BadInput, match=f"width = 50: {model} has the published width only, 100"):
        ZooParams(model=model, width=50)


def test_seed_and_precision_change_no_shape() -> None:
    made, other = graph(ZooParams(model="densenet121")), graph(ZooParams(model="densenet121"), "float32")
    assert [t.shape for t in made.tensors] == [t.shape for t in other.tensors]
    assert made.layers == tuple(
        dataclasses.replace(layer, version=mine.version) for layer, mine in zip(other.layers, made.layers, strict=True)
    )
