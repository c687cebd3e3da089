"""The direct writer against TensorFlow's converter: the same ops in the same order, and the same values bit for bit."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from converted_models import KERNELS, align, facts, laid_open, options_of, run, transplanted, wired

from paraedge import models
from paraedge.build.converter import Converter
from paraedge.core.outcome import Artifact
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import FAMILIES
from paraedge.tflite import read_graph, write_model

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None,
        reason="needs TensorFlow, as the reference: pip install 'paraedge[tensorflow]'",
    ),
]


def spec(family: str, precision: Precision = "int8", batch: int = 1, **params: object) -> ModelSpec:
    made = FAMILIES[family].params(**params)  # type: ignore[arg-type]
    return ModelSpec(family=family, params=made, precision=precision, batch=batch, seed=5)


SEQUENCE = {"embed": 12, "length": 4, "vocab": 8}
SMALL = [
    spec("fc", layer=3, node=24, input=16),
    spec("fc", layer=2, node=40, input=16, batch=3),
    spec("matmul", n=48),
    spec("conv_stack", layer=3, kernel=3, image=16, channel=3, filter=8),
    spec("conv_stack", layer=2, kernel=5, image=12, channel=4, filter=12, batch=2),
    spec("cnn", kind="residual", block=2, filter=8, image=32, output=10),
    spec("cnn", kind="bottleneck", block=2, filter=8, image=32, output=10),
    *(spec("rnn", cell=cell, layer=2, **SEQUENCE) for cell in ("rnn", "lstm", "gru")),
    spec("rnn", cell="gru", layer=1, embedding="gather", **SEQUENCE),
    spec("rnn", cell="lstm", layer=3, batch=3, **SEQUENCE),
    spec("conv_stack", layer=2, kernel=3, image=8, channel=3, filter=1),
]
ZOO = [
    spec("zoo", model="mobilenet_v1", width=25, image=64),
    spec("zoo", model="mobilenet_v2", width=25, image=64),
    spec("zoo", model="efficientnet_lite0", image=64),
    spec("zoo", model="squeezenet_1_0", image=64),
    spec("zoo", model="alexnet", image=96),
    spec("zoo", model="vgg16", image=64),
    spec("zoo", model="resnet50_v1", image=32),
    spec("zoo", model="resnet50_v2", image=32),
    spec("zoo", model="densenet121", image=32),
    spec("zoo", model="inception_v1", image=64),
    spec("zoo", model="inception_v3", image=75, width=25),
    spec("zoo", model="inception_v4", image=75),
    spec("zoo", model="inception_resnet_v2", image=75),
    spec("zoo", model="retinanet", image=64),
    spec("zoo", model="transformer_base", image=8),
    spec("zoo", model="vit_base", image=32, width=20),
    spec("zoo", model="block_cnn_3_1", image=32),
    spec("zoo", model="block_cnn_2_2", image=32),
]
"""One of each kind, with an image as small as it can be: what an op is doesn't depend on it."""


def explained(point: ModelSpec) -> tuple[set[str], set[str]]:
    """Ops that only ours may have, and only the converter's; docs/tensorflow.md gives the reasons."""
    if point.family == "rnn":
        return set(), {"QUANTIZE"}
    return ({"RESHAPE"} if "model=inception_v4" in point.label() else set()), set()


@pytest.fixture(scope="module")
def converter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Converter]:
    with Converter(tmp_path_factory.mktemp("log") / "tensorflow.log") as made:
        yield made


def converted(converter: Converter, point: ModelSpec, folder: Path) -> Path:
    made = converter.build(point, folder)
    assert isinstance(made, Artifact), made
    return made.path


@pytest.mark.parametrize("point", [*SMALL, *ZOO], ids=ModelSpec.label)
def test_int8_is_what_the_converter_makes(converter: Converter, point: ModelSpec, tmp_path: Path) -> None:
    path = converted(converter, point, tmp_path)
    ours, theirs = models.build_graph(point), read_graph(path)
    ours_only, theirs_only = explained(point)
    aligned = align(ours, theirs, ours_only, theirs_only)
    assert {ours.layers[i].op for i in aligned.only_ours} <= ours_only
    assert {theirs.layers[i].op for i in aligned.only_theirs} <= theirs_only
    assert not list(wired(ours, theirs, aligned))
    for a, b in aligned.pairs:
        assert facts(ours, a) == facts(theirs, b), f"op {a} of ours, {b} of the converter's"
        assert options_of(ours, a, theirs, b) == options_of(theirs, b, ours, a), f"op {a}"
    data = path.read_bytes()
    rebuilt = bytes(write_model(transplanted(ours, theirs, aligned), source=data))
    for kernels in KERNELS:
        same_values(laid_open(rebuilt), laid_open(data), kernels, point.seed)
        same_values(rebuilt, data, kernels, point.seed)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("point", SMALL, ids=ModelSpec.label)
def test_floats_are_what_the_converter_makes(
    converter: Converter, point: ModelSpec, precision: Precision, tmp_path: Path
) -> None:
    """The weights are the same, so nothing has to be transplanted."""
    same = dataclasses.replace(point, precision=precision)
    data = converted(converter, same, tmp_path).read_bytes()
    written = bytes(write_model(models.build_graph(same)))
    for kernels in KERNELS:
        same_outputs(written, data, kernels, point.seed)


@pytest.mark.parametrize("point", SMALL, ids=ModelSpec.label)
def test_dynamic_range_is_what_the_converter_makes(converter: Converter, point: ModelSpec, tmp_path: Path) -> None:
    """Given its int8 weights, whose scales are each channel's own."""
    same = dataclasses.replace(point, precision="dynamic_range")
    path = converted(converter, same, tmp_path)
    ours, theirs, data = models.build_graph(same), read_graph(path), path.read_bytes()
    aligned = align(ours, theirs)
    assert not aligned.only_ours
    assert not aligned.only_theirs
    assert not list(wired(ours, theirs, aligned))
    for a, b in aligned.pairs:
        assert facts(ours, a) == facts(theirs, b), f"op {a}"
    rebuilt = bytes(write_model(transplanted(ours, theirs, aligned), source=data))
    for kernels in KERNELS:
        same_values(rebuilt, data, kernels, point.seed)


def same_values(ours: bytes, theirs: bytes, kernels: str, seed: int) -> None:
    """Every value that both make is the same, by tensor id."""
    here, there = run(ours, kernels, seed), run(theirs, kernels, seed)
    assert here.keys() == there.keys()
    for tensor, values in there.items():
        np.testing.assert_array_equal(here[tensor], values, err_msg=f"tensor {tensor} under {kernels}")


def same_outputs(ours: bytes, theirs: bytes, kernels: str, seed: int) -> None:
    """The outputs are the same, in order."""
    for mine, other in zip(run(ours, kernels, seed).values(), run(theirs, kernels, seed).values(), strict=True):
        np.testing.assert_array_equal(mine, other, err_msg=kernels)
