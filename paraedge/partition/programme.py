"""The dynamic programme over all splits: boundaries in order, and the devices that are used up to each of them.

State: how many devices of each type hold the layers before a boundary, and the boundary's label. Its value: the least
cost of such a beginning, the costs of stages joined by their maximum or their sum. All boundaries go at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from paraedge.core.errors import BadInput
from paraedge.partition.problem import Assigned

if TYPE_CHECKING:
    from paraedge.core.spans import Sizes, Times
    from paraedge.partition.moves import Move

Used: TypeAlias = tuple[int, ...]
"""How many devices of each type."""

LARGEST = float(np.finfo(float).max)
FEW_BOUNDARIES = 128
"""So few need no ceilings."""
COARSER = 4
MOST_STATES = 100_000
"""Of choices of devices times labels; with 200 layers so many take minutes and 160 MB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """The least costs of all beginnings, and of all splits.

    heads: (c1 + 1, ..., cK + 1, labels, m + 1), the layers before a boundary on exactly so many devices of each type.
    ends: (c1 + 1, ..., cK + 1), all layers.
    """

    moves: tuple[Move, ...]
    join: np.ufunc
    heads: Times
    ends: Times

    @cached_property
    def devices(self) -> Sizes:
        """How many devices each element of `ends` uses."""
        used: Sizes = np.indices(self.ends.shape).sum(axis=0)
        return used

    def by_count(self) -> Times:
        """(N + 1,): the least cost with exactly k devices."""
        best = np.full(sum(self.ends.shape) - self.ends.ndim + 1, np.inf)
        np.minimum.at(best, self.devices.ravel(), self.ends.ravel())
        return best

    def split(self, devices: int, at: Sequence[int]) -> tuple[Assigned, ...]:
        """The cheapest split over exactly so many devices; at: the layers of the boundaries."""
        costs = np.where(self.devices == devices, self.ends, np.inf)
        used: Used = tuple(int(count) for count in np.unravel_index(np.argmin(costs), costs.shape))
        label, end, cost = None, len(at) - 1, float(costs[used])
        stages: list[Assigned] = []
        while any(used):
            move, label, first, cost = self._last_stage(used, label, end, cost)
            stages.append(Assigned(first=at[first], end=at[end], type=move.type, replicas=move.replicas))
            used, end = without(used, move), first
        return tuple(reversed(stages))

    def _last_stage(self, used: Used, label: int | None, end: int, cost: float) -> tuple[Move, int | None, int, float]:
        """A stage before boundary `end` that explains the cost; the label, boundary and cost that it begins with."""
        for move in fitting(self.moves, used):
            if label is not None and label not in move.after:
                continue
            after = None if label is None else move.after.index(label)
            rest = without(used, move)
            if not any(rest):
                if cost == (move.whole if after is None else move.first[after, end]):
                    return move, None, 0, 0.0
                continue
            heads = self.heads[rest][list(move.before)]
            found = np.argwhere(self.join(heads, move.last if after is None else move.inner[:, after, :, end]) == cost)
            if len(found):
                before, first = (int(index) for index in found[0])
                return move, move.before[before], first, float(heads[before, first])
        raise AssertionError("a cost that no stage explains")


def without(used: Used, move: Move) -> Used:
    """The devices that are left when a stage gives its own back."""
    return (*used[: move.type], used[move.type] - move.replicas, *used[move.type + 1 :])


def fitting(moves: Sequence[Move], used: Used) -> Iterator[Move]:
    """Stages that take no more devices than these."""
    return (move for move in moves if move.replicas <= used[move.type])


def ceilings(moves: tuple[Move, ...], counts: Used, join: np.ufunc, *, most: int) -> Times:
    """(N + 1,): what the best split over at most k devices costs at most: cut at some of the boundaries alone."""
    last = moves[0].first.shape[-1] - 1
    if last <= FEW_BOUNDARIES:
        return np.full(sum(counts) + 1, np.inf)
    places = np.unique([*range(0, last, COARSER), last])
    coarse = tuple(move.at(places) for move in moves)
    limits = ceilings(coarse, counts, join, most=most)
    found: Times = np.minimum.accumulate(sweep(coarse, counts, join, most=most, limits=limits).by_count())
    return found


def sweep(moves: tuple[Move, ...], counts: Used, join: np.ufunc, *, most: int, limits: Times | None = None) -> Sweep:
    """All splits over at most `most` devices, of each type at most `counts`; time ~ prod(counts + 1) K m^2.

    join: np.maximum or np.add. Where hand-overs keep both ends busy it is K^2 times as much. limits: (N + 1,), falling:
    splits over k devices that cost more than the k-th are of no interest, and may be left out.
    """
    shape = tuple(count + 1 for count in counts)
    labels = 1 + max(label for move in moves for label in move.after)
    if math.prod(shape) * labels > MOST_STATES:
        raise BadInput(f"{sum(counts)} devices of {len(counts)} types are too many to choose from: make fewer types")
    heads = np.full((*shape, labels, moves[0].first.shape[-1]), np.inf)
    ends = np.full(shape, np.inf)
    stretch = _Stretch(moves, join)
    for used in np.ndindex(shape):
        if not 0 < sum(used) <= most:
            continue
        limit = np.inf if limits is None else float(limits[min(sum(used) + 1, most)])
        for move in fitting(moves, used):
            rest, after = without(used, move), list(move.after)
            if not any(rest):
                ends[used] = min(ends[used], move.whole)
                heads[used][after] = np.minimum(heads[used][after], move.first)
            for place, label in enumerate(move.before):
                before = heads[rest][label]
                ends[used] = min(ends[used], join(before, move.last[place]).min())
                if sum(used) < most:
                    to, costs = stretch(before, move, place, limit)
                    heads[used][after, to] = np.minimum(heads[used][after, to], costs)
    return Sweep(moves=moves, join=join, heads=heads, ends=ends)


class _Stretch:
    """Beginnings made longer by a stage, looking only where both cost no more than a limit."""

    def __init__(self, moves: Sequence[Move], join: np.ufunc) -> None:
        self.join = join
        self.room = np.empty(max(move.inner[0].size for move in moves))
        self.reach: dict[tuple[Move, int, float], Sizes] = {}

    def __call__(self, before: Times, move: Move, place: int, limit: float) -> tuple[slice, Times]:
        """The boundaries that it can end at, and (after, boundaries) the least costs until there."""
        begins = np.flatnonzero(before <= min(limit, LARGEST))
        if not len(begins):
            return slice(0, 0), np.empty((len(move.after), 0))
        key = (move, place, limit)
        if key not in self.reach:
            self.reach[key] = move.reach(place, limit)
        rows = slice(int(begins[0]), int(begins[-1]) + 1)
        to = slice(rows.start + 1, max(rows.start, int(self.reach[key][rows].max())) + 1)
        inner = move.inner[place, :, rows, to]
        room = self.room[: inner.size].reshape(inner.shape)
        return to, self.join(before[rows, None], inner, out=room).min(axis=1, initial=np.inf)
