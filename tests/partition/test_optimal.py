"""The best split: against brute force on random problems, and by hand where the answer is plain."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from partition_problems import additive, all_splits, chain, devices_of, latency_ms, period_ms, problems

from paraedge.core.errors import BadInput
from paraedge.core.partition import Objective
from paraedge.partition import programme
from paraedge.partition.optimal import best_by_count, optimal
from paraedge.partition.problem import Assigned, Problem, evaluate

INF = float("inf")


def brute_force(problem: Problem, objective: Objective, *, replicate: bool) -> list[float]:
    """The best value with at most 1, 2, ... devices, of all splits there are."""
    worth = period_ms if objective == "throughput" else latency_ms
    best = [INF] * problem.devices
    for split in all_splits(problem, replicate=replicate):
        used = devices_of(split) - 1
        best[used] = min(best[used], worth(problem, split))
    return list(itertools.accumulate(best, min))


def check_against_brute_force(problem: Problem, objective: Objective, *, replicate: bool) -> None:
    best = brute_force(problem, objective, replicate=replicate)
    assert list(best_by_count(problem, objective=objective, replicate=replicate)) == best
    for most in range(1, problem.devices + 1):
        solution = optimal(problem, objective=objective, replicate=replicate, most_devices=most)
        if solution is None:
            assert best[most - 1] == INF
            continue
        assert solution.value_ms == solution.bound_ms == best[most - 1]
        assert list(solution.best_ms) == best[:most]
        assert (period_ms if objective == "throughput" else latency_ms)(problem, solution.assigned) == best[most - 1]
        assert evaluate(problem, solution.assigned) == solution.value
        assert devices_of(solution.assigned) == 1 + best.index(best[most - 1])  # ties: the fewest devices
    event(f"{objective}, replicas {replicate}, fits {best[-1] < INF}")


@settings(max_examples=2000, deadline=None)
@given(problem=problems(buses=2), objective=st.sampled_from(["throughput", "latency"]), replicate=st.booleans())
def test_equals_brute_force(problem: Problem, objective: Objective, replicate: bool) -> None:
    check_against_brute_force(problem, objective, replicate=replicate)


@settings(max_examples=150, deadline=None)
@given(problem=problems(layers=9, devices=4, buses=3), replicate=st.booleans())
def test_equals_brute_force_on_longer_chains(problem: Problem, replicate: bool) -> None:
    check_against_brute_force(problem, "throughput", replicate=replicate)


@settings(max_examples=400, deadline=None)
@given(
    problem=problems(layers=9, devices=4),
    objective=st.sampled_from(["throughput", "latency"]),
    replicate=st.booleans(),
    coarser=st.integers(2, 5),
)
def test_equals_brute_force_where_coarse_cuts_limit_the_search(
    problem: Problem, objective: Objective, replicate: bool, coarser: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programme, "FEW_BOUNDARIES", 2)
        patch.setattr(programme, "COARSER", coarser)
        check_against_brute_force(problem, objective, replicate=replicate)


@pytest.mark.parametrize("objective", ["throughput", "latency"])
def test_a_long_chain_is_the_same_with_and_without_limits(objective: Objective) -> None:
    random = np.random.default_rng(7)
    layers = random.uniform(0.1, 3.0, 200)
    problem = chain((3, additive(layers, fixed=0.4)), (2, additive(2.5 * layers, fixed=0.1)))
    limited = optimal(problem, objective=objective)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programme, "FEW_BOUNDARIES", 10_000)
        free = optimal(replace(problem, model="the same again"), objective=objective)
    assert limited is not None
    assert free is not None
    assert (limited.best_ms, limited.value_ms) == (free.best_ms, free.value_ms)


@settings(max_examples=300, deadline=None)
@given(problem=problems(buses=0), replicate=st.booleans())
def test_of_equals_the_one_that_is_busy_for_the_least_time(problem: Problem, replicate: bool) -> None:
    def busy(split: tuple[Assigned, ...]) -> float:
        return sum(float(problem.types[stage.type].spans.busy_ms[stage.first, stage.end]) for stage in split)

    solution = optimal(problem, replicate=replicate)
    if solution is not None:
        used = devices_of(solution.assigned)
        equals = [
            busy(split)
            for split in all_splits(problem, replicate=replicate)
            if devices_of(split) == used and period_ms(problem, split) == solution.value_ms
        ]
        assert busy(solution.assigned) == min(equals)


@settings(max_examples=200, deadline=None)
@given(problem=problems(layers=12, devices=8), objective=st.sampled_from(["throughput", "latency"]))
def test_the_same_twice_and_never_worse_with_more(problem: Problem, objective: Objective) -> None:
    one, other = (optimal(problem, objective=objective, replicate=True) for _ in range(2))
    assert one == other
    values = best_by_count(problem, objective=objective, replicate=True)
    assert list(values) == sorted(values, reverse=True)
    assert all(a <= b for a, b in zip(values, best_by_count(problem, objective=objective), strict=True))


def solved(
    problem: Problem, objective: Objective = "throughput", *, replicate: bool = False
) -> tuple[float, list[int]]:
    """The value, and the ends of the stages."""
    solution = optimal(problem, objective=objective, replicate=replicate)
    assert solution is not None
    return solution.value_ms, [stage.end for stage in solution.assigned]


def test_equal_layers_are_shared_equally() -> None:
    assert solved(chain((4, additive([1.0] * 8)))) == (2.0, [2, 4, 6, 8])


def test_a_faster_device_takes_more_wherever_it_is_listed() -> None:
    slow, fast = additive([1.0] * 8), additive([0.25] * 8)
    assert solved(chain((1, slow), (1, fast)))[0] == 1.75
    assert solved(chain((1, fast), (1, slow)))[0] == 1.75


def test_a_device_that_does_not_help_is_left_unused() -> None:
    solution = optimal(chain((2, additive([4.0, 1.0])), (1, additive([9.0, 9.0]))))
    assert solution is not None
    assert [stage.type for stage in solution.assigned] == [0, 0]
    assert solution.best_ms == (5.0, 4.0, 4.0)


def test_a_host_that_costs_more_than_a_cut_saves() -> None:
    layers = additive([1.0, 1.0])
    assert solved(chain((2, layers), host_ms=3.0)) == (2.0, [2])
    assert solved(chain((2, layers), host_ms=3.0), "latency") == (2.0, [2])


def test_a_slow_layer_is_replicated() -> None:
    problem = chain((4, additive([1.0, 6.0])))
    assert solved(problem)[0] == 6.0
    assert solved(problem, replicate=True)[0] == 7 / 4  # the whole model on all four
    problem = chain((4, np.array([[INF, 1.0, INF], [INF, INF, 6.0], [INF, INF, INF]])))
    assert solved(problem, replicate=True) == (2.0, [1, 2])  # which doesn't fit here


def test_a_memory_cliff_is_worth_a_device() -> None:
    layers = additive([1.0] * 6)
    cliff = layers + 10 * np.maximum(layers - 2, 0)
    assert optimal(chain((4, cliff))).best_ms == (46.0, 13.0, 2.0, 2.0)  # type: ignore[union-attr]


def test_fits_nowhere() -> None:
    problem = chain((2, np.full((4, 4), INF)))
    assert optimal(problem) is None
    assert best_by_count(problem, objective="throughput") == (INF, INF)


def test_cuts_only_where_they_may_be() -> None:
    assert solved(chain((4, additive([1.0] * 8)), cuttable=(3, 7))) == (4.0, [3, 7, 8])
    assert solved(chain((4, additive([1.0] * 8)), cuttable=())) == (8.0, [8])


@pytest.mark.parametrize(("overlaps", "value"), [(True, 3.0), (False, 5.0)])
def test_a_hand_over_beside_the_work_or_in_it(overlaps: bool, value: float) -> None:
    handover = np.full((1, 1, 5), 2.0)
    problem = chain((2, additive([1.5] * 4)), handover_ms=handover, handover_overlaps=overlaps)
    assert solved(problem) == (value, [2, 4])
    assert evaluate(problem, [Assigned(first=0, end=2, type=0), Assigned(first=2, end=4, type=0)]).latency_ms == 8.0


def test_too_many_types_of_devices_are_refused_at_once() -> None:
    kind = chain((1, additive([1.0] * 4))).types[0]
    kinds = tuple(replace(kind, devices=(f"d{index}",)) for index in range(17))
    with pytest.raises(BadInput, match="17 devices of 17 types are too many"):
        optimal(Problem(model="mixed", layers=4, types=kinds))
