"""The zoo against keras.applications, layer by layer; needs TensorFlow."""

from __future__ import annotations

from collections import Counter

import pytest
from keras_sizes import Sizes, describe, needs_keras, sizes_of

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models import ZooParams, build_graph
from paraedge.models.zoo import MODELS

pytestmark = needs_keras

KERAS = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50_v1": "ResNet50",
    "resnet50_v2": "ResNet50V2",
    "resnet152_v2": "ResNet152V2",
    "densenet121": "DenseNet121",
    "mobilenet_v1": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
}
POINTS = [(name, 224) for name in KERAS] + [
    (name, image) for name in ("vgg16", "resnet50_v1", "resnet50_v2", "densenet121") for image in (95, 130)
]
"""MobileNets are laid out as TF-Slim's, which pad as Keras' do for even sides only."""
WIDTHS = [
    ("mobilenet_v1", 128, 25), ("mobilenet_v1", 160, 50), ("mobilenet_v1", 192, 75),
    ("mobilenet_v2", 96, 35), ("mobilenet_v2", 160, 75), ("mobilenet_v2", 224, 140),
]  # fmt: skip


@pytest.fixture(scope="module")
def keras_sizes() -> dict[str, Sizes]:
    widths = (f"{KERAS[name]}:{image}:{width}" for name, image, width in WIDTHS)
    return sizes_of(*(f"{KERAS[name]}:{image}" for name, image in POINTS), *widths)


def layers_of(graph: LayerGraph) -> Counter[str]:
    """Those with weights, as Keras lays kernels out; a 1 x 1 convolution of one pixel counts as a dense layer."""
    found: Counter[str] = Counter()
    for layer in graph.layers:
        output = graph.tensors[layer.outputs[0]].shape[1:]
        if layer.op == "CONV_2D":
            filters, height, width, depth = graph.tensors[layer.inputs[1]].shape
            if output[:2] == (1, 1):
                found[describe("Dense", (depth, filters), (filters,))] += 1
            else:
                found[describe("Conv2D", (height, width, depth, filters), output)] += 1
        elif layer.op == "DEPTHWISE_CONV_2D":
            _, height, width, depth = graph.tensors[layer.inputs[1]].shape
            found[describe("DepthwiseConv2D", (height, width, depth, 1), output)] += 1
        elif layer.op == "FULLY_CONNECTED":
            units, depth = graph.tensors[layer.inputs[1]].shape
            found[describe("Dense", (depth, units), output)] += 1
    return found


def as_dense(layers: Counter[str]) -> Counter[str]:
    """Keras' MobileNet ends in a 1 x 1 convolution of one pixel."""
    found: Counter[str] = Counter()
    for text, number in layers.items():
        kind, kernel, _, output = text.split()
        depth, filters = kernel.split("x")[-2:]
        single = kind == "Conv2D" and output.startswith("1x1x")
        found[f"Dense {depth}x{filters} to {filters}" if single else text] += number
    return found


@pytest.mark.parametrize(("name", "image"), POINTS)
def test_every_layer_is_keras(name: str, image: int, keras_sizes: dict[str, Sizes]) -> None:
    theirs = keras_sizes[f"{KERAS[name]}:{image}"]
    graph = build_graph(ModelSpec(family="zoo", params=ZooParams(model=name, image=image, output=1000)))
    assert layers_of(graph) == as_dense(theirs.layers)
    assert graph.macs == theirs.macs
    assert graph.parameters + theirs.folded == theirs.parameters
    gains = [graph.tensors[layer.inputs[1]].shape for layer in graph.layers if layer.op == "MUL"]
    assert sum(shape[-1] for shape in gains) == theirs.unfolded


@pytest.mark.parametrize(("name", "image", "width"), WIDTHS)
def test_every_width_is_keras(name: str, image: int, width: int, keras_sizes: dict[str, Sizes]) -> None:
    theirs = keras_sizes[f"{KERAS[name]}:{image}:{width}"]
    graph = build_graph(ModelSpec(family="zoo", params=ZooParams(model=name, image=image, width=width, output=1000)))
    assert layers_of(graph) == as_dense(theirs.layers)
    assert (graph.macs, graph.parameters + theirs.folded) == (theirs.macs, theirs.parameters)


@pytest.mark.parametrize("name", KERAS)
def test_the_published_figures_are_keras(name: str, keras_sizes: dict[str, Sizes]) -> None:
    theirs, published = keras_sizes[f"{KERAS[name]}:224"], MODELS[name].published
    assert published is not None
    one_more = {"mobilenet_v1": 1024 + 1, "mobilenet_v2": 1280 + 1}  # of TF-Slim's 1001 classes
    assert published.parameters - one_more.get(name, 0) == theirs.parameters
    assert published.folded == theirs.folded
