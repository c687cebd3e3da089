"""Placement as published compiled models tell it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from paraedge.build.compiler_failures import OpStatus
from paraedge.build.compiler_output import OperatorCount
from paraedge.build.compiler_placement import compiler_placement, reason_of
from paraedge.tflite import read_graph

PAIRS = {
    "deeplabv3_mnv2_dm05_pascal_quant": 8,
    "keras_lstm_mnist_ptq": 0,
    "mobilenet_v1_0.25_128_quant": 0,
    "mobilenet_v1_0.5_160_quant": 0,
    "movenet_single_pose_lightning_ptq": 59,
    "posenet_mobilenet_v1_075_353_481_16_quant_decoder": 1,
    "split_concat": 0,
}
"""Published models with the ordinary ops of their compiled file, counted with another reader."""


@pytest.mark.parametrize("name", PAIRS)
def test_every_ordinary_op_of_the_compiled_file_is_an_op_of_the_model(edgetpu_data: Path, name: str) -> None:
    models = edgetpu_data / "models"
    graph = read_graph(models / f"{name}.tflite")
    compiled = models / f"{name}_edgetpu.tflite"
    placement = compiler_placement(graph, [compiled], ())
    assert len(placement.on_cpu) == PAIRS[name]
    assert sorted((*placement.on_cpu, *placement.on_device)) == list(range(len(graph.layers)))
    ordinary = sorted(layer.op for layer in read_graph(compiled).layers if layer.custom_code != "edgetpu-custom-op")
    assert sorted(graph.layers[index].op for index in placement.on_cpu) == ordinary
    with (edgetpu_data / "compiled_models.csv").open() as file:
        key = (compiled.name, compiled.stat().st_size)
        rows = [row for row in csv.DictReader(file) if (Path(row["file"]).name, int(row["file_bytes"])) == key]
    cached = [int(row["param_bytes"]) for row in rows if row["type"] == "PARAM_CACHING"]
    streamed = [int(row["param_bytes"]) for row in rows if row["type"] != "PARAM_CACHING"]
    assert rows
    assert placement.source == "compiler"
    assert (placement.on_chip_bytes, placement.off_chip_bytes) == (sum(cached), sum(streamed))


def test_a_reason_is_the_tables_or_says_that_there_is_none() -> None:
    table = [
        OperatorCount(op="ADD", count=3, status=OpStatus.MAPPED, text=""),
        OperatorCount(op="ADD", count=1, status=OpStatus.VERSION, text=""),
        OperatorCount(op="ADD", count=1, status=OpStatus.SUBGRAPH, text=""),
        OperatorCount(op="MUL", count=1, status=OpStatus.MAPPED, text=""),
    ]
    assert reason_of("ADD", table) == "operation version not supported or more than one subgraph is not supported"
    assert reason_of("MUL", table) == reason_of("SUB", table) == "left on the CPU by the compiler"
