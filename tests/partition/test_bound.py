"""The bound for any assignment: against all assignments of small models, with layers that add up and a memory cliff."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from partition_problems import additive, chain, problems, spans_of

from paraedge.core.partition import Objective
from paraedge.partition.bound import any_bound
from paraedge.partition.optimal import optimal
from paraedge.partition.problem import DeviceType, Problem

ROUNDING = 1e-12
"""Prices are no multiples of 1/8, so their sums are rounded."""


@dataclass(frozen=True)
class Device:
    """What a device does with any set of layers: runs of consecutive ones in turn, all its weights in one memory."""

    work: tuple[float, ...]
    sizes: tuple[float, ...]
    crossing: tuple[float, ...]
    fixed: float
    room: float
    limit: float

    def busy_ms(self, layers: frozenset[int]) -> float:
        if not layers:
            return 0.0
        weights = sum(self.sizes[layer] for layer in layers)
        if weights > self.limit:
            return float("inf")
        starts = [layer for layer in layers if layer - 1 not in layers]
        ends = [layer + 1 for layer in layers if layer + 1 not in layers]
        moved = sum(self.crossing[at] for at in (*starts, *ends))
        work = sum(self.work[layer] for layer in layers)
        return self.fixed * len(starts) + work + moved + 3 * max(0.0, weights - self.room)

    def table(self) -> np.ndarray:
        n = len(self.work)
        busy = np.full((n + 1, n + 1), np.inf)
        for first, end in itertools.combinations(range(n + 1), 2):
            busy[first, end] = self.busy_ms(frozenset(range(first, end)))
        return busy


@st.composite
def fleets(draw: st.DrawFn) -> list[Device]:
    """Devices of which some are the same object: one type each."""
    n = draw(st.integers(1, 6))
    eighths = st.integers(0, 40).map(lambda number: number / 8)
    row = st.tuples(*[eighths] * n)
    sizes, crossing = draw(row), draw(st.tuples(*[eighths] * (n + 1)))
    kinds = [
        Device(
            work=draw(row),
            sizes=sizes,
            crossing=crossing,
            fixed=draw(eighths),
            room=draw(eighths),
            limit=draw(st.sampled_from([float("inf"), 8.0])),
        )
        for _ in range(draw(st.integers(1, 2)))
    ]
    return [kind for kind in kinds for _ in range(draw(st.integers(1, 2 if n > 4 else 3)))][:4]


def problem_of(fleet: list[Device], host_ms: float) -> Problem:
    kinds = list(dict.fromkeys(map(id, fleet)))
    types = tuple(
        DeviceType(
            devices=tuple(f"d{index}" for index, device in enumerate(fleet) if id(device) == kind),
            spans=spans_of(next(device for device in fleet if id(device) == kind).table()),
        )
        for kind in kinds
    )
    return Problem(model="any", layers=len(fleet[0].work), types=types, host_ms=host_ms)


def all_assignments(fleet: list[Device]) -> Iterator[list[float]]:
    """How long each device that is used is busy, for every way to give the layers to devices."""
    for owners in itertools.product(range(len(fleet)), repeat=len(fleet[0].work)):
        sets = [frozenset(layer for layer, owner in enumerate(owners) if owner == index) for index in range(len(fleet))]
        yield [device.busy_ms(layers) for device, layers in zip(fleet, sets, strict=True) if layers]


@settings(max_examples=400, deadline=None)
@given(fleet=fleets(), host_ms=st.sampled_from([0.0, 1.0, 20.0]))
def test_no_assignment_gets_below(fleet: list[Device], host_ms: float) -> None:
    problem = problem_of(fleet, host_ms)
    assignments = list(all_assignments(fleet))
    period = min(max(*busy, host_ms) if len(busy) > 1 else busy[0] for busy in assignments)
    latency = min(sum(busy) + (host_ms if len(busy) > 1 else 0.0) for busy in assignments)
    for most in range(1, len(fleet)):
        few = min(max(*busy, host_ms) if len(busy) > 1 else busy[0] for busy in assignments if len(busy) <= most)
        assert any_bound(problem, "throughput", most_devices=most) <= few * (1 + ROUNDING)
    bound = any_bound(problem, "throughput")
    assert bound <= period * (1 + ROUNDING)
    assert any_bound(problem, "throughput", replicate=True) <= period * (1 + ROUNDING)
    assert any_bound(problem, "latency") <= latency * (1 + ROUNDING)
    best = optimal(problem)
    event("below the best contiguous split" if best and period < best.value_ms else "as good as the best split")
    event("tight" if bound >= period * (1 - ROUNDING) else "not tight")


@settings(max_examples=300, deadline=None)
@given(problem=problems(buses=2), objective=st.sampled_from(["throughput", "latency"]), replicate=st.booleans())
def test_no_split_gets_below(problem: Problem, objective: Objective, replicate: bool) -> None:
    best = optimal(problem, objective=objective, replicate=replicate)
    if best is not None:
        assert any_bound(problem, objective, replicate=replicate) <= best.value_ms * (1 + ROUNDING)


def test_a_bound_that_is_reached() -> None:
    alternating = additive([3.0, 1.0, 3.0, 1.0])
    assert any_bound(chain((2, alternating)), "throughput") == 4.0  # 3 + 1 and 3 + 1
    assert any_bound(chain((1, alternating)), "throughput") == 8.0
    assert any_bound(chain((2, alternating), host_ms=5.0), "throughput") == 5.0
    assert any_bound(chain((2, alternating)), "latency") == 8.0


def test_the_largest_layer_but_not_where_it_may_be_replicated() -> None:
    problem = chain((4, additive([6.0, 1.0, 1.0])))
    assert any_bound(problem, "throughput") == 6.0
    assert any_bound(problem, "throughput", replicate=True) == 2.0


def test_prices_weigh_a_slow_device_by_what_it_can_do() -> None:
    layers = np.ones(100)
    problem = chain((1, additive(layers)), (9, additive(9 * layers)))
    best = optimal(problem)
    assert best is not None
    assert any_bound(problem, "throughput") == pytest.approx(50.0, rel=0.01)  # half of it each
    assert any_bound(problem, "throughput") <= 50.0 * (1 + ROUNDING) <= best.value_ms * 1.05
