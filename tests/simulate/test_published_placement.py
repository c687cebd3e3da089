"""The estimated partition against compiled models whose originals are published."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraedge.build.compiler_placement import compiler_placement
from paraedge.simulate import Hardware, predict
from paraedge.tflite import read_graph

PAIRS = (
    "deeplabv3_mnv2_dm05_pascal_quant",
    "keras_lstm_mnist_ptq",
    "mobilenet_v1_0.25_128_quant",
    "mobilenet_v1_0.5_160_quant",
    "mobilenet_v1_0.75_192_quant",
    "mobilenet_v1_1.0_224_quant_embedding_extractor",
    "movenet_single_pose_lightning_ptq",
    "posenet_mobilenet_v1_075_353_481_16_quant_decoder",
    "split_concat",
)
"""All of which both files are published."""


@pytest.mark.parametrize("name", PAIRS)
def test_the_estimated_partition_is_the_compilers(edgetpu_data: Path, pcie: Hardware, name: str) -> None:
    folder = edgetpu_data / "models"
    graph = read_graph(folder / f"{name}.tflite")
    compiled = compiler_placement(graph, [folder / f"{name}_edgetpu.tflite"], ())
    assert predict(graph, pcie).placement.on_device == compiled.on_device
