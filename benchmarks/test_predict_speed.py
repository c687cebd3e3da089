"""One prediction of a network of some 250 ops, and one with what would mend it, once their graphs are read."""

from __future__ import annotations

import dataclasses

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models import CnnParams, build_graph
from paraedge.models.zoo import ZooParams
from paraedge.simulate import explain, load_hardware, predict, sentences

DEVICE = "sim-edgetpu-usb3"


def fresh(graph: LayerGraph) -> LayerGraph:
    """The same network without what an earlier prediction found out about it."""
    return dataclasses.replace(graph)


@pytest.mark.benchmark(group="predict")
def test_predict_250_ops(benchmark: BenchmarkFixture) -> None:
    params = CnnParams(kind="bottleneck", blocks=(3, 24, 30, 3), filter=16, image=224, output=1000)
    graph = build_graph(ModelSpec(family="cnn", params=params))
    hardware = load_hardware(DEVICE)
    prediction = benchmark.pedantic(predict, setup=lambda: ((fresh(graph), hardware), {}), rounds=200, warmup_rounds=5)
    benchmark.extra_info.update(ops=len(graph.layers), milliseconds=round(1e3 * benchmark.stats["mean"], 2))
    assert 240 <= len(graph.layers) <= 260
    assert prediction.latency_ms > 0


@pytest.mark.benchmark(group="predict")
def test_predict_why_of_inception_v3(benchmark: BenchmarkFixture) -> None:
    graph = build_graph(ModelSpec(family="zoo", params=ZooParams(model="inception_v3")))
    hardware = load_hardware(DEVICE)

    def why(graph: LayerGraph) -> list[str]:
        prediction = predict(graph, hardware)
        return sentences(explain(prediction, graph, hardware), prediction, graph)

    told = benchmark.pedantic(why, setup=lambda: ((fresh(graph),), {}), rounds=10, warmup_rounds=1)
    benchmark.extra_info.update(ops=len(graph.layers), milliseconds=round(1e3 * benchmark.stats["mean"], 2))
    assert any("To mend it by width" in sentence for sentence in told)
