"""What a split is worth, what sets its period, and tables that are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_problems import additive, all_splits, chain, latency_ms, period_ms, problems

from paraedge.core.errors import BadInput
from paraedge.partition.problem import Assigned, DeviceType, Problem, evaluate

SPLIT = [Assigned(first=0, end=1, type=0), Assigned(first=1, end=3, type=0)]


@settings(max_examples=200, deadline=None)
@given(problem=problems(buses=2), data=st.data())
def test_worth_is_what_the_cost_model_says(problem: Problem, data: st.DataObject) -> None:
    split = data.draw(st.sampled_from([*all_splits(problem, replicate=True), None]))
    if split is not None:
        value = evaluate(problem, split)
        assert (value.bottleneck_ms, value.latency_ms) == (period_ms(problem, split), latency_ms(problem, split))
        assert value.feasible == (value.bottleneck_ms < float("inf"))


@pytest.mark.parametrize(
    ("others", "period", "limit"),
    [
        ({}, 2.0, "stage 2"),
        ({"host_ms": 2.5}, 2.5, "host"),
        ({"handover_ms": np.full((1, 1, 4), 3.0)}, 3.0, "hand-over 1"),
        ({"handover_ms": np.full((1, 1, 4), 3.0), "handover_overlaps": False}, 5.0, "stage 2"),
    ],
)
def test_what_sets_the_period(others: dict[str, Any], period: float, limit: str) -> None:
    value = evaluate(chain((3, additive([1.0, 1.0, 1.0])), **others), SPLIT)
    assert (value.bottleneck_ms, value.limit) == (period, limit)


def test_a_shared_bus_carries_what_all_its_stages_move() -> None:
    problem = chain((3, additive([1.0, 1.0, 1.0])))
    kind = replace(problem.types[0], bus="usb", bus_ms=np.full((4, 4), 1.25))
    shared = replace(problem, types=(kind,))
    assert evaluate(shared, SPLIT).bottleneck_ms == 2.5
    assert evaluate(shared, SPLIT).limit == "bus usb"
    assert evaluate(shared, [replace(SPLIT[0], end=3, replicas=3)]).limit == "bus usb"  # replicas share it too


def test_one_device_is_no_pipeline() -> None:
    problem = chain((2, additive([1.0, 1.0, 1.0])), host_ms=9.0)
    alone = Assigned(first=0, end=3, type=0)
    assert evaluate(problem, [alone]).bottleneck_ms == evaluate(problem, [alone]).latency_ms == 3.0
    assert evaluate(problem, [replace(alone, replicas=2)]).bottleneck_ms == 9.0


TABLE = additive([1.0, 1.0])
NAN = np.where(np.arange(9).reshape(3, 3) == 1, np.nan, TABLE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": 3}, "another model"),
        ({"handover_ms": np.zeros((2, 2, 3))}, "handover_ms has another shape"),
        ({"handover_ms": np.full((1, 1, 3), np.nan)}, "no time"),
        ({"types": ()}, "name at least one"),
        ({"host_ms": float("nan")}, "must be a time"),
    ],
)
def test_problems_that_are_none(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        replace(chain((2, TABLE)), **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bus": "usb"}, "goes with its times"),
        ({"bus": "usb", "bus_ms": np.zeros((2, 2))}, "another shape"),
        ({"bus": "usb", "bus_ms": NAN}, "no time"),
    ],
)
def test_types_that_are_none(change: dict[str, Any], words: str) -> None:
    kind: DeviceType = chain((2, TABLE)).types[0]
    with pytest.raises(BadInput, match=words):
        replace(kind, **change)


def test_times_that_are_none_or_devices_named_twice() -> None:
    with pytest.raises(BadInput, match="no time"):
        chain((2, NAN))
    with pytest.raises(BadInput, match="no time"):
        chain((2, -TABLE))
    problem = chain((2, TABLE))
    with pytest.raises(BadInput, match="each once"):
        replace(problem, types=(problem.types[0], problem.types[0]))
