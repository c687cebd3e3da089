"""Inception v3 and Inception-ResNet v2 against keras.applications: sizes, and values for one set of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from keras_sizes import Sizes, needs_keras, sizes_of
from keras_values import keras_values
from lite_run import XNNPACK, Ran

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import ZooParams, build_graph
from paraedge.models.zoo import MODELS
from paraedge.tflite import write_model

pytestmark = needs_keras

KERAS = {"inception_v3": "InceptionV3", "inception_resnet_v2": "InceptionResNetV2"}
POINTS = [(name, image) for name in KERAS for image in (75, 130, 299)]


@pytest.fixture(scope="module")
def keras_sizes() -> dict[str, Sizes]:
    return sizes_of(*(f"{KERAS[name]}:{image}" for name, image in POINTS))


def graph(name: str, image: int, precision: Precision = "int8") -> LayerGraph:
    params = ZooParams(model=name, image=image, output=1000)
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, seed=3))


@pytest.mark.parametrize(("name", "image"), POINTS)
def test_sizes_are_keras(name: str, image: int, keras_sizes: dict[str, Sizes]) -> None:
    theirs, made = keras_sizes[f"{KERAS[name]}:{image}"], graph(name, image)
    assert (made.macs, made.parameters + theirs.folded, theirs.unfolded) == (theirs.macs, theirs.parameters, 0)


@pytest.mark.parametrize("name", KERAS)
def test_the_published_figures_are_keras(name: str, keras_sizes: dict[str, Sizes]) -> None:
    theirs, published = keras_sizes[f"{KERAS[name]}:299"], MODELS[name].published
    assert published is not None
    one_more = {"inception_v3": 2048 + 1}  # of TF-Slim's 1001 classes
    assert published.parameters - one_more.get(name, 0) == theirs.parameters
    assert published.folded == theirs.folded


@pytest.mark.parametrize("name", KERAS)
def test_values_are_keras(name: str, tmp_path: Path) -> None:
    """With our weights in Keras' layers and a batch normalisation that only adds our biases: the same probabilities."""
    made = graph(name, 107, "float32")
    ran, file = Ran(made, XNNPACK), tmp_path / "model.tflite"
    file.write_bytes(write_model(made))
    theirs = keras_values(KERAS[name], file, ran.image)
    np.testing.assert_allclose(ran.values(made.outputs[0]), theirs, rtol=1e-3, atol=1e-6)
    assert theirs.max() > 5 / 1000  # well above what all would have if they were alike
