"""The best of all contiguous splits in the graph's order: exact, for devices that differ in speed, memory and link."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paraedge.partition.buses import share_buses
from paraedge.partition.memo import once
from paraedge.partition.moves import Move, between, boundaries, stage_moves
from paraedge.partition.problem import Assigned, Problem, Value, evaluate
from paraedge.partition.programme import ceilings, sweep

if TYPE_CHECKING:
    from paraedge.core.partition import Objective
    from paraedge.core.spans import Times


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The best split, and the best values with fewer devices.

    value_ms: its bottleneck or latency. bound_ms: no split does better; below value_ms only where several buses are
    shared and the search was given up. best_ms: with at most 1, 2, ... devices, the best that was found in that case;
    inf where so few can't hold it.
    """

    assigned: tuple[Assigned, ...]
    value: Value
    value_ms: float
    bound_ms: float
    best_ms: tuple[float, ...]


@once
def optimal(
    problem: Problem, *, objective: Objective = "throughput", replicate: bool = False, most_devices: int | None = None
) -> Solution | None:
    """The split with the least bottleneck or latency; None: the model fits nowhere.

    Of equals it is one with the fewest devices; and where no bus is shared, of those one whose stages are busy for the
    least time in all. Types may come in any order along the network, and devices may be left unused. replicate: a
    stage may take several devices of a type, which doesn't help the latency. most_devices: of all together. Time ~
    prod(c_t + 1) K m^2 for c_t devices of each of K types and m places to cut, times the replicas of a stage; times K^2
    for hand-overs that keep both ends busy; times the logarithm of the number of stage times for a shared bus.
    """
    most = problem.devices if most_devices is None else min(most_devices, problem.devices)
    on_bus = objective == "throughput" and _shares_a_bus(problem)
    found = _search(problem, objective, replicate, most if on_bus else problem.devices)
    values = found.values[: most + 1]
    best = np.minimum.accumulate(values)
    if not np.isfinite(best[-1]):
        return None
    devices = int(np.argmin(values))
    assigned = found.split(devices)
    if objective == "throughput" and not on_bus:
        assigned = _least_busy(problem, found.moves, float(best[-1]), devices)
    return Solution(
        assigned=assigned,
        value=evaluate(problem, assigned),
        value_ms=float(best[-1]),
        bound_ms=min(found.bound, float(best[-1])) if on_bus else float(best[-1]),
        best_ms=tuple(best[1:].tolist()),
    )


def best_by_count(problem: Problem, *, objective: Objective, replicate: bool = False) -> tuple[float, ...]:
    """The best value with at most 1, 2, ... of the devices, in milliseconds; inf where so few can't hold the model."""
    values = _search(problem, objective, replicate, problem.devices).values
    return tuple(np.minimum.accumulate(values)[1:].tolist())


def lower_bound(
    problem: Problem, *, objective: Objective, replicate: bool = False, most_devices: int | None = None
) -> float:
    """What no split over the devices, or so many of them, gets below; inf where the model fits nowhere."""
    most = problem.devices if most_devices is None else min(most_devices, problem.devices)
    return _search(problem, objective, replicate, most).bound


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """Best values with exactly 0, 1, ... devices, a bound that none gets below, and the split for a number of them.

    A number that can't beat a smaller one may be left at inf.
    """

    moves: tuple[Move, ...]
    values: Times
    bound: float
    split: Callable[[int], tuple[Assigned, ...]]


@functools.lru_cache(maxsize=2)  # for strategies that look at one problem in turn with a smaller one
def _search(problem: Problem, objective: Objective, replicate: bool, most: int) -> _Found:
    moves = stage_moves(problem, objective, replicate=replicate)
    counts = tuple(len(kind.devices) for kind in problem.types)
    join = np.maximum if objective == "throughput" else np.add
    if objective == "throughput" and _shares_a_bus(problem):
        table = sweep(moves, counts, join, most=most)
        values, bound, split = share_buses(problem, moves, table, most)
        return _Found(moves=moves, values=values, bound=bound, split=split)
    table = sweep(moves, counts, join, most=most, limits=ceilings(moves, counts, join, most=most))
    values = table.by_count()[: most + 1]
    if objective == "throughput":
        values[2:] = np.maximum(values[2:], problem.host_ms)
    else:
        values[2:] += problem.host_ms
    at = boundaries(problem)
    return _Found(moves=moves, values=values, bound=float(values.min()), split=lambda devices: table.split(devices, at))


def _shares_a_bus(problem: Problem) -> bool:
    return any(kind.bus is not None for kind in problem.types)


def _least_busy(problem: Problem, moves: tuple[Move, ...], period: float, devices: int) -> tuple[Assigned, ...]:
    """Of the splits over exactly so many devices that keep this period up, one with the least sum of busy times."""
    at = boundaries(problem)
    busy = [between(kind.spans.busy_ms, at) for kind in problem.types]
    capped = tuple(move.within(period, busy[move.type]) for move in moves)
    counts = tuple(len(kind.devices) for kind in problem.types)
    return sweep(capped, counts, np.add, most=devices).split(devices, at)
