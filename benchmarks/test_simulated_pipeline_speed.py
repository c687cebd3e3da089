"""A simulated pipeline: a million inputs of constant times, and one whose times never repeat, event by event."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.simulate import SimStage, simulate_pipeline

EVENTFUL = 2_000
MANY = 1_000_000


def stages(compute_ms: Sequence[Sequence[float]]) -> list[SimStage]:
    return [
        SimStage(first=k, end=k + 1, devices=(f"d{k}",), receive_ms=0.2, compute_ms=times, send_ms=0.1)
        for k, times in enumerate(compute_ms)
    ]


@pytest.mark.benchmark(group="simulated pipeline")
def test_a_million_inputs_over_four_stages(benchmark: BenchmarkFixture) -> None:
    """An input of times that repeat costs less than a twentieth of one that has all its events."""
    draw = random.Random(0).uniform
    drawn = stages([[draw(1, 2) for _ in range(EVENTFUL)] for _ in range(4)])
    begin = time.perf_counter()
    simulate_pipeline(drawn, inputs=EVENTFUL, host_ms=0.5)
    eventful_us = 1e6 * (time.perf_counter() - begin) / EVENTFUL
    constant = stages([[1.7], [1.9], [1.8], [1.6]])
    made = benchmark.pedantic(
        simulate_pipeline, args=(constant,), kwargs={"inputs": MANY, "host_ms": 0.5}, rounds=5, warmup_rounds=1
    )
    repeated_us = 1e6 * benchmark.stats["mean"] / MANY
    benchmark.extra_info.update(eventful_us=round(eventful_us, 1), repeated_us=round(repeated_us, 3))
    assert made.inputs == MANY
    assert repeated_us < eventful_us / 20
