"""What a split may lose: against all corners of the box of times, on small problems."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from partition_problems import additive, all_splits, chain, latency_ms, period_ms, problems, spans_of

from paraedge.core.partition import Objective
from paraedge.partition.problem import Assigned, DeviceType, Problem
from paraedge.partition.regret import regret, worst_ms

SPANS = 9
"""At most so many intervals: twice as many corners with each."""


def with_times(problem: Problem, which: list[tuple[int, int, int]], times: list[float]) -> Problem:
    tables = [kind.spans.busy_ms.copy() for kind in problem.types]
    for (kind, first, end), time in zip(which, times, strict=True):
        tables[kind][first, end] = time
    types = [
        replace(kind, spans=replace(kind.spans, busy_ms=table))
        for kind, table in zip(problem.types, tables, strict=True)
    ]
    return replace(problem, types=tuple(types))


@settings(max_examples=150, deadline=None)
@given(
    problem=problems(layers=3, devices=3, intervals=True),
    objective=st.sampled_from(["throughput", "latency"]),
    replicate=st.booleans(),
    data=st.data(),
)
def test_no_corner_loses_more(problem: Problem, objective: Objective, replicate: bool, data: st.DataObject) -> None:
    if objective == "throughput" and problem.handover_ms is not None:
        problem = replace(problem, handover_overlaps=True)
    worth = period_ms if objective == "throughput" else latency_ms
    splits = [s for s in all_splits(problem, replicate=replicate) if worth(problem, s) < float("inf")]
    assume(splits)
    chosen = data.draw(st.sampled_from(splits))
    which = sorted({(stage.type, stage.first, stage.end) for split in splits for stage in split})
    assume(len(which) <= SPANS)
    ends = [
        (problem.types[kind].spans.low_ms[first, end], problem.types[kind].spans.high_ms[first, end])
        for kind, first, end in which
    ]
    worst = 0.0
    for times in itertools.product(*ends):
        moved = with_times(problem, which, list(times))
        ours = worth(moved, chosen)
        if ours > 0:
            worst = max(worst, 1 - min(worth(moved, split) for split in splits) / ours)
    found = regret(problem, chosen, objective=objective, replicate=replicate)
    assert found == pytest.approx(worst, abs=1e-12)


def two_stages(low: float, high: float) -> tuple[Problem, list[Assigned]]:
    busy = additive([1.0, 1.0, 2.0])
    kind = DeviceType(devices=("a", "b"), spans=spans_of(busy, low * busy, high * busy))
    split = [Assigned(first=0, end=2, type=0), Assigned(first=2, end=3, type=0)]
    return Problem(model="small", layers=3, types=(kind,)), split


def test_by_hand() -> None:
    problem, split = two_stages(0.5, 1.5)
    assert worst_ms(problem, split) == 3.0
    # The first stage at 3, all else at its half: the other cut makes stages of 0.5 and 1.5.
    assert regret(problem, split, objective="throughput") == 0.5


def test_no_interval_no_loss() -> None:
    problem, split = two_stages(1.0, 1.0)
    assert worst_ms(problem, split) == 2.0
    assert regret(problem, split, objective="throughput") == 0.0
    assert regret(problem, split, objective="latency") == 0.0


def test_unknown_intervals_are_no_zero() -> None:
    problem = chain((2, additive([1.0, 1.0])))
    split = [Assigned(first=0, end=1, type=0), Assigned(first=1, end=2, type=0)]
    assert worst_ms(problem, split) is None
    assert regret(problem, split, objective="throughput") is None


def test_an_unknown_interval_elsewhere_leaves_the_worst_known() -> None:
    problem, split = two_stages(0.5, 1.5)
    low = problem.types[0].spans.low_ms.copy()
    low[0, 1] = np.nan
    kind = replace(problem.types[0], spans=replace(problem.types[0].spans, low_ms=low))
    problem = replace(problem, types=(kind,))
    assert worst_ms(problem, split) == 3.0
    assert regret(problem, split, objective="throughput") is None
