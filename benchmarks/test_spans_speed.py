"""All spans of a network of some 250 ops, and of one four times as long, against predicting one by one."""

from __future__ import annotations

import dataclasses
import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models import CnnParams, build_graph
from paraedge.simulate import load_hardware, predict, spans

HARDWARE = load_hardware("sim-edgetpu-pcie")
SMALL = dataclasses.replace(HARDWARE, wide_memory_bytes=HARDWARE.wide_memory_bytes / 4)
"""A device that streams most of the longer spans."""


def network(*blocks: int) -> LayerGraph:
    params = CnnParams(kind="bottleneck", blocks=blocks, filter=16, image=224, output=1000)
    return build_graph(ModelSpec(family="cnn", params=params))


def prediction_s(graph: LayerGraph) -> float:
    """The median time of one prediction."""
    times = []
    for _ in range(21):
        copy = dataclasses.replace(graph)  # without what an earlier prediction found out about it
        started = time.perf_counter()
        predict(copy, SMALL)
        times.append(time.perf_counter() - started)
    return sorted(times)[10]


@pytest.mark.benchmark(group="spans")
@pytest.mark.parametrize("blocks", [(3, 24, 30, 3), (3, 124, 120, 3)], ids=["250", "1000"])
def test_all_spans(benchmark: BenchmarkFixture, blocks: tuple[int, ...]) -> None:
    """No longer than half a prediction for each op, where one by one takes half as many as ops for each op."""
    graph = network(*blocks)
    again = {"setup": lambda: ((dataclasses.replace(graph), SMALL), {}), "rounds": 5, "warmup_rounds": 1}
    found = benchmark.pedantic(spans, **again)
    layers = len(graph.layers)
    ratio = benchmark.stats["median"] / prediction_s(graph) / layers
    benchmark.extra_info.update(ops=layers, predictions_an_op=round(ratio, 3))
    print(f"\n{layers} ops: {1e3 * benchmark.stats['median']:.0f} ms, {ratio:.2f} predictions an op")
    assert (found.off_chip_bytes[0] > 0).any()
    assert ratio <= 0.5
