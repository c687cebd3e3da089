"""Shared buses: where they decide the split, and what is said when the search over several is given up."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from partition_problems import FLEETS, additive, all_splits, period_ms, spans_of

from paraedge.partition import labels
from paraedge.partition.optimal import Solution, optimal
from paraedge.partition.problem import DeviceType, Problem


@st.composite
def crowded(draw: st.DrawFn, *, buses: int) -> Problem:
    """Layers that add up, boundaries that cost each bus something else, and every device on some bus."""
    counts = draw(st.sampled_from([counts for counts in FLEETS if len(counts) >= buses and sum(counts) <= 5]))
    random, n = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(2, 7))
    kinds = []
    for kind, count in enumerate(counts):
        moved = random.integers(0, 24, n + 1) / 8
        spans = spans_of(np.maximum(additive(random.integers(1, 24, n) / 8), 0))
        names = tuple(f"d{kind}.{index}" for index in range(count))
        bus_ms = moved[:, None] + moved[None, :]
        kinds.append(DeviceType(devices=names, spans=spans, bus=f"bus{kind % buses}", bus_ms=bus_ms))
    return Problem(model="crowded", layers=n, types=tuple(kinds))


def least_period(problem: Problem, *, replicate: bool) -> float:
    return min(period_ms(problem, split) for split in all_splits(problem, replicate=replicate))


@settings(max_examples=300, deadline=None)
@given(problem=st.integers(1, 3).flatmap(lambda buses: crowded(buses=buses)), replicate=st.booleans())
def test_equals_brute_force(problem: Problem, replicate: bool) -> None:
    solution = optimal(problem, replicate=replicate)
    assert isinstance(solution, Solution)
    assert solution.value_ms == solution.bound_ms == least_period(problem, replicate=replicate)
    event(solution.value.limit.split()[0])


def test_given_up_it_still_has_a_bound_and_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_LABELS", -1)
    gaps = 0

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(problem=st.integers(2, 3).flatmap(lambda buses: crowded(buses=buses)))
    def check(problem: Problem) -> None:
        nonlocal gaps
        solution = optimal(problem)
        assert isinstance(solution, Solution)
        assert solution.bound_ms <= least_period(problem, replicate=False) * (1 + 1e-12)
        assert solution.value_ms >= least_period(problem, replicate=False)
        assert period_ms(problem, solution.assigned) == solution.value_ms
        gaps += solution.bound_ms < solution.value_ms

    check()
    assert gaps > 0


def test_fewer_stages_when_the_bus_is_slow() -> None:
    layers = additive([1.0] * 8)
    kind = DeviceType(devices=("a", "b", "c", "d"), spans=spans_of(layers), bus="usb", bus_ms=np.full((9, 9), 1.5))
    problem = Problem(model="slow bus", layers=8, types=(kind,))
    found = optimal(problem)
    assert isinstance(found, Solution)
    assert (found.value_ms, len(found.assigned)) == (4.0, 2)  # three would keep the bus busy for 4.5
    own = replace(problem, types=(replace(kind, bus=None, bus_ms=None),))
    assert [stage.end for stage in (optimal(own) or found).assigned] == list(itertools.accumulate([2] * 4))
