"""Shared buses: the best split where, besides the stages, the bus times of all stages on a bus must fit a period."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from paraedge.partition.labels import GivenUp, better_split
from paraedge.partition.moves import Move, between, boundaries
from paraedge.partition.problem import Assigned, Problem, evaluate
from paraedge.partition.programme import Sweep, sweep

if TYPE_CHECKING:
    from paraedge.core.spans import Times


class Found:
    """The best split for each exact number of devices, of those that came along."""

    def __init__(self, problem: Problem, most: int) -> None:
        self.problem = problem
        self.values = np.full(most + 1, np.inf)
        self.splits: dict[int, tuple[Assigned, ...]] = {}

    def note(self, split: tuple[Assigned, ...]) -> None:
        """Keep it where it is better."""
        devices = sum(stage.replicas for stage in split)
        value = evaluate(self.problem, split).bottleneck_ms
        if value < self.values[devices]:
            self.values[devices], self.splits[devices] = value, split

    def up_to(self, devices: int) -> float:
        """The best value with at most so many."""
        return float(self.values[: devices + 1].min())


def share_buses(
    problem: Problem, moves: tuple[Move, ...], table: Sweep, most: int
) -> tuple[Times, float, Callable[[int], tuple[Assigned, ...]]]:
    """Best periods with exactly 0, 1, ... devices, a bound that none gets below, and the split for a number of them.

    table: of the same moves, joined by their maximum, without regard to buses. Several buses: any weighted mean of them
    is a bus that no period can be shorter than, which gives bounds and splits; where those differ, labels decide.
    """
    names = sorted({kind.bus for kind in problem.types if kind.bus is not None})
    weights = [{name: float(name == chosen) for name in names} for chosen in names]
    mean = [dict.fromkeys(names, 1 / len(names))] if len(names) > 1 else []
    found, bounds = Found(problem, most), np.zeros(most + 1)
    for weight in (*weights, *mean):
        periods, splits = share_one_bus(problem, moves, table, most, weight)
        bounds = np.maximum(bounds, np.minimum.accumulate(periods))
        for split in splits:
            found.note(split)
    buses = np.stack([_bus_times(problem, weight) for weight in weights])
    for devices in range(1, most + 1):
        if bounds[devices] < found.up_to(devices):
            limits = (float(bounds[devices]), found.up_to(devices))
            try:
                better = better_split(problem, moves, buses, devices, limits)
            except GivenUp:
                break
            if better:
                found.note(better)
            bounds[devices] = found.up_to(devices)
    return found.values, float(bounds[-1]), found.splits.__getitem__


def share_one_bus(
    problem: Problem, moves: tuple[Move, ...], table: Sweep, most: int, weights: Mapping[str, float]
) -> tuple[Times, list[tuple[Assigned, ...]]]:
    """Best periods with exactly 0, 1, ... devices where all buses are one, their times weighted; and the splits.

    S(T), the least bus time of splits whose stages take T at most, falls as T grows. So the best period is max(T, S(T))
    at the smallest T with S(T) <= T or at the next smaller one, and only times of stages need be tried. A number that
    can't beat a smaller one is left at inf.
    """
    at, free = boundaries(problem), table.by_count()
    capped = _Capped(problem, moves, most, weights, float(free.min()))
    values, splits = np.full(most + 1, np.inf), []
    for devices in range(1, most + 1):
        if free[devices] >= values.min():
            continue
        floor = max(float(free[devices]), problem.host_ms if devices > 1 else 0.0)
        split = table.split(devices, at)
        upper = evaluate(problem, split).bottleneck_ms
        values[devices] = floor
        if upper > floor:
            index = capped.best(devices, float(free[devices]), min(upper, float(values[:devices].min())))
            values[devices] = max(floor, capped.period(index, devices))
            split = capped.sweep(index).split(devices, at) if np.isfinite(values[devices]) else ()
        if split:
            splits.append(split)
    return values, splits


class _Capped:
    """The least bus time S(T) of splits whose stages take T at most, for all times T that stages take."""

    def __init__(
        self, problem: Problem, moves: tuple[Move, ...], most: int, weights: Mapping[str, float], least: float
    ) -> None:
        self.moves, self.most = moves, most
        self.counts = tuple(len(kind.devices) for kind in problem.types)
        self.bus = _bus_times(problem, weights)
        self.times = _stage_times(moves, least)
        self.tried: dict[int, Times] = {}

    def sweep(self, index: int) -> Sweep:
        """Joined by sums of bus time, at one of the times."""
        moves = tuple(move.within(self.times[index], self.bus[move.type]) for move in self.moves)
        return sweep(moves, self.counts, np.add, most=self.most)

    def period(self, index: int, devices: int) -> float:
        """max(T, S(T)) with exactly so many devices."""
        if index not in self.tried:
            self.tried[index] = self.sweep(index).by_count()
        return max(float(self.times[index]), float(self.tried[index][devices]))

    def best(self, devices: int, low: float, high: float) -> int:
        """Which of the times from `low` to `high` gives the least period."""
        first, end = (int(index) for index in np.searchsorted(self.times, (low, high)))
        options = range(first, min(end + 1, len(self.times)))
        fits = bisect.bisect_left(options, True, key=lambda index: self.period(index, devices) <= self.times[index])
        return min(options[max(fits - 1, 0) : fits + 1], key=lambda index: self.period(index, devices))


def _stage_times(moves: tuple[Move, ...], least: float) -> Times:
    """All times that a stage can take, from `least` on, each once, in order."""
    costs = [
        times.ravel() for move in moves for times in (move.inner, move.first, move.last, np.atleast_1d(move.whole))
    ]
    times = np.concatenate([part[np.isfinite(part) & (part >= least)] for part in costs])
    return np.unique(times)


def _bus_times(problem: Problem, weights: Mapping[str, float]) -> tuple[Times, ...]:
    """For each type, (m + 1, m + 1): weighted time that a stage takes of its bus."""
    at = boundaries(problem)
    nothing = np.zeros((problem.layers + 1,) * 2)
    return tuple(
        between(
            weights[str(kind.bus)] * kind.bus_ms if kind.bus_ms is not None and weights[str(kind.bus)] else nothing, at
        )
        for kind in problem.types
    )
