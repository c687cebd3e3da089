"""A judged split: its stages on named devices, its bounds, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partition_problems import additive, all_splits, chain, latency_ms, period_ms, problems, spans_of

from paraedge.core.errors import BadInput
from paraedge.core.partition import Objective
from paraedge.partition.judge import judge
from paraedge.partition.optimal import optimal
from paraedge.partition.problem import Assigned, Problem

INF = float("inf")


@settings(max_examples=200, deadline=None)
@given(
    problem=problems(layers=4, devices=4, intervals=True),
    objective=st.sampled_from(["throughput", "latency"]),
    data=st.data(),
)
def test_any_split_is_above_its_bounds(problem: Problem, objective: Objective, data: st.DataObject) -> None:
    split = data.draw(st.sampled_from([*all_splits(problem, replicate=True), None]))
    if split is None:
        return
    if period_ms(problem, split) == INF:
        with pytest.raises(BadInput, match="can't hold or run layers"):
            judge(problem, "random", split, objective=objective)
        return
    found = judge(problem, "random", split, objective=objective)
    assert (found.bottleneck_ms, found.latency_ms) == (period_ms(problem, split), latency_ms(problem, split))
    assert found.any_bound_ms <= found.lower_bound_ms <= found.value_ms
    assert found.best_ms[-1] == found.lower_bound_ms
    assert found.worst_ms is not None
    assert found.worst_ms >= found.bottleneck_ms
    assert found.regret is not None
    assert 0 <= found.regret <= 1
    if problem.handover_ms is None or problem.handover_overlaps:
        assert found.value_ms * (1 - found.regret) <= found.lower_bound_ms + 1e-9  # times as they are lie in the box
    named = [name for stage in found.stages for name in stage.devices] + list(found.unused)
    assert sorted(named) == sorted(name for kind in problem.types for name in kind.devices)
    assert found.cuts == tuple(stage.first for stage in split[1:])


def stages(*ends: int, types: tuple[int, ...], replicas: tuple[int, ...] | None = None) -> list[Assigned]:
    firsts = (0, *ends[:-1])
    rows = zip(firsts, ends, types, replicas or (1,) * len(ends), strict=True)
    return [Assigned(first=first, end=end, type=kind, replicas=number) for first, end, kind, number in rows]


def test_by_hand() -> None:
    problem = chain((2, additive([1.0, 2.0, 3.0])), (2, additive([2.0, 4.0, 6.0])), host_ms=0.5)
    found = judge(problem, "manual", stages(1, 3, types=(1, 0)), objective="throughput")
    assert [stage.devices for stage in found.stages] == [("b0",), ("a0",)]
    assert found.unused == ("a1", "b1")
    assert (found.bottleneck_ms, found.limit, found.latency_ms) == (5.0, "stage 2", 7.5)
    assert (found.lower_bound_ms, found.best_ms) == (3.0, (6.0, 3.0, 3.0, 3.0))
    assert found.any_bound_ms == 3.0
    assert found.gap == pytest.approx(2 / 3)
    assert found.worst_ms is found.regret is None
    assert found.stages[0].on_chip_bytes is found.stages[0].low_ms is None


@pytest.mark.parametrize("objective", ["throughput", "latency"])
def test_the_best_over_few_of_the_devices_is_not_blamed_for_the_others(objective: Objective) -> None:
    kind = chain((4, additive([1.0, 1.0, 1.0, 1.0]))).types[0]
    known = replace(kind, spans=replace(kind.spans, low_ms=kind.spans.busy_ms, high_ms=kind.spans.busy_ms))
    fast = replace(known, devices=("fast",), spans=spans_of(*[additive([0.5] * 4)] * 3))
    for problem in (Problem(model="m", layers=4, types=(known,)), Problem(model="m", layers=4, types=(known, fast))):
        best = optimal(problem, objective=objective, most_devices=2)
        assert best is not None
        found = judge(problem, "optimal", best.assigned, objective=objective, best=best)
        assert (found.regret, found.gap) == (0.0, 0.0)
    assert found.any_bound_ms == pytest.approx(4 / 3 if objective == "throughput" else 2.0, rel=0.01)


def test_replicas_take_devices_in_order_and_are_compared_with_replicas() -> None:
    problem = chain((4, additive([1.0, 5.0])))
    found = judge(problem, "data", stages(2, types=(0,), replicas=(4,)), objective="throughput")
    assert found.stages[0].devices == ("a0", "a1", "a2", "a3")
    assert found.stages[0].period_ms == found.bottleneck_ms == found.lower_bound_ms == 1.5


def test_hand_overs_that_keep_both_ends_busy_are_in_receive_and_send() -> None:
    handover = np.full((1, 1, 3), 2.0)
    beside = chain((2, additive([1.0, 1.0])), handover_ms=handover)
    split = stages(1, 2, types=(0, 0))
    first, second = judge(beside, "manual", split, objective="throughput").stages
    assert (first.send_ms, first.handover_ms, first.busy_ms, second.receive_ms) == (0.0, 2.0, 1.0, 0.0)
    found = judge(replace(beside, handover_overlaps=False), "manual", split, objective="throughput")
    first, second = found.stages
    assert (first.send_ms, first.handover_ms, first.busy_ms, second.receive_ms) == (2.0, 0.0, 3.0, 2.0)
    assert (found.bottleneck_ms, found.latency_ms) == (3.0, 4.0)


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (stages(4, types=(0,)), "a0 can't hold or run layers 0 to 3 of chain"),
        (stages(2, 3, 4, types=(0, 0, 0)), "3 devices like a0 are asked for, and 2 are there"),
        (stages(1, 4, types=(0, 0)), "no cut is possible before layer 1"),
        (stages(2, types=(0,)), "layers 2 to 4 are on no device"),
        (stages(2, 5, types=(0, 0)), "in order: 2 to 5"),
        (stages(2, 2, 4, types=(0, 0, 0)), "in order: 2 to 2"),
        (stages(4, types=(1,)), "no such devices"),
        (stages(4, types=(0,), replicas=(0,)), "no such devices"),
        ([], "no stages"),
    ],
)
def test_what_is_no_split_is_refused(split: list[Assigned], words: str) -> None:
    busy = additive([1.0] * 4)
    busy[0, 4] = INF
    problem = chain((2, busy), cuttable=(2, 3))
    with pytest.raises(BadInput, match=words):
        judge(problem, "manual", split, objective="throughput")


def test_hosts_that_are_not_connected() -> None:
    handover = np.zeros((2, 2, 3))
    handover[0, 1] = INF
    problem = chain((1, additive([1.0, 1.0])), (1, additive([1.0, 1.0])), handover_ms=handover)
    with pytest.raises(BadInput, match="aren't connected"):
        judge(problem, "manual", stages(1, 2, types=(0, 1)), objective="throughput")
    assert judge(problem, "manual", stages(1, 2, types=(1, 0)), objective="throughput").gap == 0
