"""Placement as published compiled models tell it."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from compiled_files import compiled_model
from compiler_stand_in import compiled_twin

from paraedge.build.compiler_failures import OpStatus
from paraedge.build.compiler_output import OperatorCount
from paraedge.build.compiler_placement import UNSURE, compiler_placement, layers_on_cpu, reason_of
from paraedge.core.errors import BadModelFile
from paraedge.core.graph import LayerGraph
from paraedge.tflite import parse_graph, read_graph

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
    assert layers_on_cpu(graph, [read_graph(compiled)]) == (placement.on_cpu, True)
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


def renamed(graph: LayerGraph, name: Callable[[int], str]) -> LayerGraph:
    tensors = (dataclasses.replace(tensor, name=name(i)) for i, tensor in enumerate(graph.tensors))
    return dataclasses.replace(graph, tensors=tuple(tensors))


NAMES: dict[str, Callable[[int], str]] = {
    "missing": lambda _: "",
    "equal": lambda _: "Identity",
    "shared by pairs": lambda i: f"t{i // 2}",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("on_cpu", [(19,), (18, 19), tuple(range(5, 20)), (0,), (0, 18), ()])
def test_no_cpu_op_is_lost_where_names_do_not_decide(
    cnn_graph: LayerGraph, tmp_path: Path, name: str, on_cpu: tuple[int, ...]
) -> None:
    graph, file = renamed(cnn_graph, NAMES[name]), tmp_path / "twin.tflite"
    file.write_bytes(compiled_twin(graph, on_cpu=on_cpu, cached_bytes=1))
    placement = compiler_placement(graph, [file], ())
    assert len(placement.on_cpu) == len(on_cpu)
    assert [graph.layers[i].op for i in placement.on_cpu] == [graph.layers[i].op for i in on_cpu]
    assert sorted((*placement.on_cpu, *placement.on_device)) == list(range(20))
    if not on_cpu or on_cpu[-1] == 19:
        assert placement.on_cpu == on_cpu
    if name != "shared by pairs":
        assert all(UNSURE in reason for reason in placement.reasons.values())


def test_a_layer_without_a_name_does_not_hide_the_others(cnn_graph: LayerGraph, tmp_path: Path) -> None:
    last = cnn_graph.layers[19].outputs[0]
    graph, file = renamed(cnn_graph, lambda i: "" if i == last else f"t{i}"), tmp_path / "twin.tflite"
    file.write_bytes(compiled_twin(graph, on_cpu=(18, 19), cached_bytes=1))
    assert compiler_placement(graph, [file], ()).on_cpu == (18, 19)


def test_the_number_of_a_tensor_without_a_name_is_not_a_name(cnn_graph: LayerGraph) -> None:
    """What the file's last convolution makes has the number that in the model the first one's has."""
    convolutions = [i for i, layer in enumerate(cnn_graph.layers) if layer.op == "CONV_2D"]
    first, last = (cnn_graph.layers[convolutions[end]].outputs[0] for end in (0, -1))
    swapped = {first: last, last: first}
    graph = renamed(cnn_graph, lambda i: f"tensor_{i}")  # as it is read from a file without names
    layers = tuple(
        dataclasses.replace(layer, **{
            side: tuple(swapped.get(i, i) for i in getattr(layer, side)) for side in ("inputs", "outputs")
        })
        for layer in graph.layers
    )  # fmt: skip
    graph = dataclasses.replace(graph, layers=layers)
    twin = parse_graph(compiled_twin(renamed(cnn_graph, lambda _: ""), on_cpu=convolutions[-1:]), "twin")
    assert layers_on_cpu(graph, [twin]) == ((convolutions[-1],), False)


def test_names_that_point_at_other_layers_are_not_followed(cnn_graph: LayerGraph) -> None:
    """The names of the file are those of other ops of the model, and two of them are of one op."""
    last, add = cnn_graph.layers[19].outputs[0], next(la for la in cnn_graph.layers if la.op == "ADD").outputs[0]
    other = renamed(cnn_graph, lambda i: {last: "t-add", add: "t-last"}.get(i, f"t{i}"))
    graph = renamed(cnn_graph, lambda i: {last: "t-last", add: "t-add"}.get(i, f"t{i}"))
    twin = parse_graph(compiled_twin(other, on_cpu=(19,), cached_bytes=1), "twin")
    assert layers_on_cpu(graph, [twin]) == ((19,), False)
    twin = parse_graph(compiled_twin(graph, on_cpu=(19,), cached_bytes=1), "twin")
    assert layers_on_cpu(graph, [twin]) == ((19,), True)
    found, sure = layers_on_cpu(graph, [twin, twin])
    assert (len(found), sure) == (2, False)


def test_ops_that_the_model_does_not_have_are_counted_all_the_same(cnn_graph: LayerGraph) -> None:
    twin = parse_graph(compiled_model(cached_bytes=1, cpu_ops=("ABS", "NEG")), "twin")
    assert layers_on_cpu(cnn_graph, [twin]) == ((18, 19), False)
    assert layers_on_cpu(cnn_graph, [twin] * 20) == (tuple(range(20)), False)


def test_a_compiled_file_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "compiled.tflite"
    file.write_bytes(compiled_model(compiled_ops=2, cached_bytes=1, cpu_ops=("ABS", "NEG")))
    assert compiler_placement(read_graph(file), [file], ()).on_cpu == (2, 3)


def test_a_file_without_a_compiled_op_is_refused(cnn_graph: LayerGraph, cnn_model: Path, tmp_path: Path) -> None:
    with pytest.raises(BadModelFile, match="no op is compiled"):
        compiler_placement(cnn_graph, [cnn_model], ())
    segment = tmp_path / "segment.tflite"
    segment.write_bytes(compiled_twin(cnn_graph, cached_bytes=9))
    assert compiler_placement(cnn_graph, [segment, cnn_model], ()).on_chip_bytes == 9
