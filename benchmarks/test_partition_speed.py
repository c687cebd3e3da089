"""How long the best split takes, given the costs of all spans: seconds are printed, nothing is asserted of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.core.spans import Spans
from paraedge.partition.judge import judge
from paraedge.partition.optimal import optimal
from paraedge.partition.problem import DeviceType, Problem

if TYPE_CHECKING:
    from paraedge.core.spans import Times


def spans(busy: Times, moved: Times) -> Spans:
    count = np.zeros(busy.shape, np.int64)
    return Spans(
        receive_ms=moved,
        compute_ms=busy - moved,
        send_ms=np.zeros(busy.shape),
        busy_ms=busy,
        low_ms=0.95 * busy,
        high_ms=1.05 * busy,
        input_bytes=count,
        output_bytes=count,
        link_bytes=count,
        on_chip_bytes=count,
        off_chip_bytes=count,
    )


def problem(layers: int, counts: tuple[int, ...], *, handover: bool | None = None, buses: int = 0) -> Problem:
    """Layers that differ, devices that differ in speed and memory, a cliff; handover: None, or whether it overlaps."""
    random = np.random.default_rng(layers)
    work, sizes = random.uniform(0.1, 3.0, layers), random.uniform(0.01, 1.0, layers)
    crossing = random.uniform(0.0, 1.0, layers + 1)
    moved = crossing[:, None] + crossing[None, :]
    kinds = []
    for index, count in enumerate(counts):
        sums, weights = (np.concatenate([[0.0], np.cumsum(row)]) for row in (work, sizes))
        within = np.maximum(weights[None, :] - weights[:, None], 0)
        busy = 0.1 + (1 + index / 2) * np.maximum(sums[None, :] - sums[:, None], 0)
        busy = busy + moved + 2 * np.maximum(within - 8.0, 0)
        kind = DeviceType(devices=tuple(f"d{index}.{at}" for at in range(count)), spans=spans(busy, moved))
        kinds.append(replace(kind, bus=f"bus{index % buses}", bus_ms=3 * moved) if buses else kind)
    return Problem(
        model="bench",
        layers=layers,
        types=tuple(kinds),
        host_ms=0.5,
        handover_ms=None if handover is None else random.uniform(0.0, 1.0, (len(counts), len(counts), layers + 1)),
        handover_overlaps=bool(handover),
    )


CASES = {
    "250 ops, 8 equal devices": (problem(250, (8,)), False),
    "250 ops, 8 equal devices, replicas": (problem(250, (8,)), True),
    "250 ops, 8 equal devices on a bus": (problem(250, (8,), buses=1), False),
    "200 layers, 16 devices of 2 types": (problem(200, (8, 8)), False),
    "200 layers, 16 of 2 types, busy hand-overs": (problem(200, (8, 8), handover=False), False),
    "200 layers, 16 of 2 types, busy hand-overs, replicas": (problem(200, (8, 8), handover=False), True),
    "200 layers, 16 devices of 3 types": (problem(200, (6, 5, 5)), False),
    "200 layers, 16 of 3 types, hand-overs": (problem(200, (6, 5, 5), handover=True), False),
    "200 layers, 16 of 3 types, busy hand-overs": (problem(200, (6, 5, 5), handover=False), False),
    "200 layers, 16 of 3 types, busy hand-overs, replicas": (problem(200, (6, 5, 5), handover=False), True),
    "200 layers, 16 of 3 types on a bus": (problem(200, (6, 5, 5), buses=1), False),
    "200 layers, 16 of 2 types on two buses": (problem(200, (8, 8), buses=2), False),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.benchmark(group="optimal")
def test_optimal(benchmark: BenchmarkFixture, name: str) -> None:
    of, replicate = CASES[name]
    solution = benchmark.pedantic(optimal, args=(of,), kwargs={"replicate": replicate}, rounds=1)
    print(f"\noptimal: {name}: {benchmark.stats['mean']:.3f} s")
    assert solution is not None
    assert solution.best_ms[-1] == solution.value_ms


@pytest.mark.parametrize("name", CASES)
@pytest.mark.benchmark(group="judge")
def test_judge(benchmark: BenchmarkFixture, name: str) -> None:
    of, replicate = CASES[name]
    solution = optimal(of, replicate=replicate)
    assert solution is not None
    judged = benchmark.pedantic(
        judge,
        args=(of, "optimal", solution.assigned),
        kwargs={"objective": "throughput", "replicate": replicate},
        rounds=1,
    )
    print(f"\njudge: {name}: {benchmark.stats['mean']:.3f} s, gap {100 * judged.gap:.2f} %")
    assert judged.gap >= 0
