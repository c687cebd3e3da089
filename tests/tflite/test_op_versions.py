"""What the generators ask for is what published models have, which the frozen Edge TPU compiler took."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from paraedge.core.graph import LayerGraph
from paraedge.models.versions import LOWEST_VERSION
from paraedge.tflite import parse_graph, read_graph, write_model

PUBLISHED = [
    "movenet_single_pose_lightning_ptq",
    "posenet_mobilenet_v1_075_353_481_16_quant_decoder",
    "keras_lstm_mnist_ptq",
]
"""Post-training int8 models of the Edge TPU's own test data, as they went into the compiler."""


def published_versions(folder: Path) -> dict[str, set[int]]:
    found: dict[str, set[int]] = defaultdict(set)
    for name in PUBLISHED:
        graph = read_graph(folder / "models" / f"{name}.tflite")
        for layer in graph.layers:
            if graph.tensors[layer.inputs[0]].dtype == "int8":
                found[layer.op].add(layer.version)
    return found


def test_int8_versions_are_those_of_published_models(edgetpu_data: Path) -> None:
    found = published_versions(edgetpu_data)
    shared = set(found) & set(LOWEST_VERSION)
    assert {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "PAD"} <= shared
    for op in shared:
        assert LOWEST_VERSION[op]["int8"] == min(found[op]), op


@pytest.mark.parametrize(
    ("op", "version"),
    [("FULLY_CONNECTED", 4), ("CONV_2D", 3), ("DEPTHWISE_CONV_2D", 3), ("ADD", 2), ("MEAN", 2), ("MAX_POOL_2D", 2)],
)
def test_int8_versions_are_those_of_the_converter(op: str, version: int) -> None:
    """As a converter of 2020 to 2024 wrote them (`op_version.cc` of TensorFlow)."""
    assert LOWEST_VERSION[op]["int8"] == version
    assert LOWEST_VERSION[op]["float32"] == 1


def test_files_carry_these_versions(small_graph: LayerGraph) -> None:
    graph = parse_graph(write_model(small_graph), "g")
    precision = graph.tensors[graph.inputs[0]].dtype
    assert graph.layers
    for layer in graph.layers:
        assert layer.version == LOWEST_VERSION[layer.op][precision], layer.op


def test_files_suit_the_edge_tpu_compiler(int8_graph: LayerGraph) -> None:
    """int8 in and out, at most four dimensions, weights of FULLY_CONNECTED per tensor and of CONV_2D per channel."""
    graph = parse_graph(write_model(int8_graph), "g")
    assert all(graph.tensors[i].dtype == "int8" for i in (*graph.inputs, *graph.outputs))
    assert all(len(tensor.shape) <= 4 and min(tensor.shape) >= 1 for tensor in graph.tensors)
    for layer in graph.layers:
        if layer.op in ("FULLY_CONNECTED", "CONV_2D"):
            weights = graph.tensors[layer.inputs[1]]
            assert weights.quantization is not None
            assert set(weights.quantization.zero_points) == {0}
            channels = 1 if layer.op == "FULLY_CONNECTED" else weights.shape[0]
            assert len(weights.quantization.scales) == channels
            assert graph.tensors[layer.inputs[2]].dtype == "int32"
