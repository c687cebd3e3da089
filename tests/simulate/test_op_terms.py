"""A prediction op by op: it adds up, and each op has what it would have alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from paraedge import models, simulate
from paraedge.core.cut import cut
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.cnn import CnnParams
from paraedge.models.fc import FcParams
from paraedge.models.rnn import RnnParams
from paraedge.simulate.op_terms import op_terms
from paraedge.tflite import read_graph

POINTS: dict[str, Params] = {
    "fc": FcParams(input=1000, layer=6, node=2048, output=100),
    "cnn": CnnParams(kind="bottleneck", block=2, filter=64, image=64, output=1000),
    "rnn": RnnParams(cell="lstm", layer=2, embed=900, length=5, vocab=32),
}


def graph_of(family: str) -> LayerGraph:
    return models.build_graph(ModelSpec(family=family, params=POINTS[family]))


def check(graph: LayerGraph, device: str) -> None:
    hardware = simulate.load_hardware(device)
    prediction, found = simulate.predict(graph, hardware), op_terms(graph, hardware)
    assert tuple(found.by_op) == prediction.placement.on_device
    added = math.fsum([*(ms for op in found.by_op.values() for ms in op.values()), *found.other_ms.values()])
    assert added == pytest.approx(prediction.latency_ms, rel=1e-12)
    for name in ("compute_ms", "weights_ms"):
        mine = math.fsum(op.get(name, 0.0) for op in found.by_op.values())
        setup = found.other_ms.get("stream_setup_ms", 0.0) if name == "weights_ms" else 0.0
        assert mine + setup == pytest.approx(prediction.terms[name], rel=1e-12)
    assert {index for index, op in found.by_op.items() if "weights_ms" in op} == set(
        prediction.placement.off_chip or ()
    )
    for name in ("input_ms", "output_ms", "instructions_ms", "overhead_ms"):
        assert found.other_ms[name] == prediction.terms[name]


@pytest.mark.parametrize("device", simulate.hardware_names())
@pytest.mark.parametrize("family", POINTS)
def test_the_parts_are_the_prediction(family: str, device: str) -> None:
    check(graph_of(family), device)


def test_the_parts_of_real_models_are_the_prediction(edgetpu_data: Path) -> None:
    files = [path for path in sorted((edgetpu_data / "models").rglob("*.tflite")) if "edgetpu" not in path.name]
    graphs = [graph for graph in map(read_graph, files) if not graph.is_compiled]
    assert graphs
    for graph in graphs:
        check(graph, "sim-edgetpu-usb3")


@pytest.mark.parametrize("family", POINTS)
def test_an_op_computes_as_long_as_it_would_alone(family: str) -> None:
    graph, hardware = graph_of(family), simulate.load_hardware("sim-edgetpu-pcie")
    for index, terms in op_terms(graph, hardware).by_op.items():
        alone = simulate.predict(cut(graph, range(index, index + 1)), hardware)
        assert terms["compute_ms"] == pytest.approx(alone.terms["compute_ms"], rel=1e-12)
