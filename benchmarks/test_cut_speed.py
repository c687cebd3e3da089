"""Cutting a network of ResNet-50's size (26 MB) in four, against writing it once."""

from __future__ import annotations

import time

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.core.spec import ModelSpec
from paraedge.models import CnnParams, build_graph
from paraedge.tflite import cut_model, write_model

MOST_WRITES = 3.0
"""Cutting copies the weights that writing draws, and reads and copies the tables on top: 1.3 to 2 on two cores."""


@pytest.mark.benchmark(group="cut")
def test_cut_a_network_of_26_mb(benchmark: BenchmarkFixture) -> None:
    params = CnnParams(kind="bottleneck", blocks=(3, 4, 6, 3), filter=64, image=224, output=1000)
    graph = build_graph(ModelSpec(family="cnn", params=params))
    data = write_model(graph)
    layers, writing_s = len(graph.layers), []
    cuts = [layers // 4, layers // 2, 3 * layers // 4]

    def write_then_cut() -> tuple[tuple[memoryview, list[int]], dict[str, object]]:
        began = time.perf_counter()
        write_model(graph)
        writing_s.append(time.perf_counter() - began)
        return (data, cuts), {}

    segments = benchmark.pedantic(cut_model, setup=write_then_cut, rounds=20, warmup_rounds=2)
    ratio = benchmark.stats["min"] / min(writing_s)
    benchmark.extra_info.update(megabytes=round(len(data) / 1e6, 1), ops=layers, cutting_to_writing=round(ratio, 2))
    assert 25e6 < len(data) < 27e6
    assert abs(sum(len(segment.data) for segment in segments) - len(data)) < 0.01 * len(data)
    assert ratio < MOST_WRITES
