"""Several shared buses: all beginnings of splits that may still become the best one, kept as labels of boundaries.

A label costs its slowest stage and its time on each bus. It is kept unless another on the same devices and up to the
same boundary costs no more in any of these, or what is left to place can't keep all of them below the best known.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paraedge.core.errors import ParaedgeError
from paraedge.partition.moves import Move, boundaries
from paraedge.partition.problem import Assigned, Problem
from paraedge.partition.programme import Used, without

if TYPE_CHECKING:
    from paraedge.core.spans import Sizes, Times

MOST_LABELS = 50_000
"""A search that needs more is given up: it takes seconds by then."""

BLOCK = 256
"""Labels that are worked on at once, for the memory's sake."""


class GivenUp(ParaedgeError):
    """There are too many labels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """Beginnings on the same devices, L of them.

    boundary: that they reach. mark: what the next stage must know of the last, as `Move.before` has it. costs: (L, 1 +
    buses). move: index of the last stage. parent: index among the labels of the devices without it, -1 for none.
    """

    boundary: Sizes
    mark: Sizes
    costs: Times
    move: Sizes
    parent: Sizes

    def pick(self, index: Sizes) -> Labels:
        """Some of them, in this order."""
        return Labels(**{name: column[index] for name, column in vars(self).items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class Origins:
    """Labels that a stage may follow: their boundary, costs and index, and what the stage costs after each of them.

    onward: (L, after, m + 1), to each boundary and mark. last: (L,), where it is the last one.
    """

    boundary: Sizes
    costs: Times
    index: Sizes
    onward: Times
    last: Times


def better_split(
    problem: Problem, moves: tuple[Move, ...], buses: Times, most: int, limits: tuple[float, float]
) -> tuple[Assigned, ...] | None:
    """The best split over at most `most` devices, if it is below the second limit; none is below the first.

    buses: (buses, K, m + 1, m + 1), how long a stage takes of each. GivenUp where there are too many labels.
    """
    # A span that can't run has no time on a bus; that its stage costs inf is enough, and inf can't be weighted by 0.
    search = _Search(moves, np.where(np.isfinite(buses), buses, 0.0), problem.host_ms, limits)
    search.run(tuple(len(kind.devices) for kind in problem.types), most)
    return search.split(boundaries(problem))


class _Search:
    def __init__(self, moves: tuple[Move, ...], buses: Times, host_ms: float, limits: tuple[float, float]) -> None:
        self.moves, self.buses, self.host_ms = moves, buses, host_ms
        self.lower, self.upper = limits
        self.mixes = np.vstack([np.eye(len(buses)), np.full(len(buses), 1 / len(buses))])
        self.left = np.stack([self._left(mix) for mix in self.mixes])
        self.best: tuple[Used, int, int] | None = None
        """Devices of the best split, its last stage, and the label before that; -1: none."""
        self.found: dict[Used, Labels] = {}

    def run(self, counts: Used, most: int) -> None:
        """Go through all beginnings."""
        kept = 0
        for used in itertools.product(*(range(count + 1) for count in counts)):
            if 0 < sum(used) <= most:
                self.found[used] = _undominated(list(self._extended(used)))
                kept += len(self.found[used].boundary)
            if kept > MOST_LABELS:
                raise GivenUp(f"more than {MOST_LABELS} beginnings of splits over several buses")

    def split(self, at: Sequence[int]) -> tuple[Assigned, ...] | None:
        """The best split that was found; at: the layers of the boundaries."""
        if self.best is None:
            return None
        (used, index, parent), end = self.best, len(at) - 1
        stages: list[Assigned] = []
        while True:
            move = self.moves[index]
            used = without(used, move)
            first = int(self.found[used].boundary[parent]) if any(used) else 0
            stages.append(Assigned(first=at[first], end=at[end], type=move.type, replicas=move.replicas))
            if not any(used):
                return tuple(reversed(stages))
            index, parent, end = int(self.found[used].move[parent]), int(self.found[used].parent[parent]), first

    def _left(self, mix: Times) -> Times:
        """(m + 1,): the least time that the layers from a boundary on take of the buses, weighted so."""
        times = np.full(self.buses.shape[2:], np.inf)
        for move in self.moves:
            inner = move.inner.min(axis=(0, 1))
            inner[:, -1] = move.last.min(axis=0)
            times = np.minimum(
                times, np.where(inner < self.upper, np.tensordot(mix, self.buses[:, move.type], 1), np.inf)
            )
        left = np.zeros(len(times))
        for first in range(len(times) - 2, -1, -1):
            left[first] = (times[first, first + 1 :] + left[first + 1 :]).min()
        return left

    def _extended(self, used: Used) -> Iterator[Labels]:
        """Every beginning on these devices that may become a better split; notes the splits that are."""
        for index, move in enumerate(self.moves):
            if move.replicas > used[move.type]:
                continue
            for origins in self._origins(without(used, move), move):
                bus = origins.costs[:, 1:].T[:, :, None] + self.buses[:, move.type][:, origins.boundary]
                ends = np.maximum(np.maximum(origins.costs[:, 0], origins.last), bus[:, :, -1].max(axis=0))
                ends = np.maximum(ends, self.host_ms if sum(used) > 1 else 0.0)
                best = int(np.argmin(ends))
                if ends[best] < self.upper:
                    self.upper, self.best = float(ends[best]), (used, index, int(origins.index[best]))
                slowest = np.maximum(np.maximum(origins.costs[:, 0, None, None], origins.onward), self.lower)
                least: Times = np.tensordot(self.mixes, bus, 1) + self.left[:, None]
                fits = np.all(least < self.upper, axis=0)
                row, after, boundary = np.nonzero((slowest < self.upper) & fits[:, None, :])
                yield Labels(
                    boundary=boundary,
                    mark=np.array(move.after)[after],
                    costs=np.column_stack([slowest[row, after, boundary], bus[:, row, boundary].T]),
                    move=np.full(len(row), index),
                    parent=origins.index[row],
                )

    def _origins(self, rest: Used, move: Move) -> Iterator[Origins]:
        if not any(rest):
            nothing = np.zeros((1, 1 + len(self.buses)))
            start, whole = np.zeros(1, int), np.array([move.whole])
            yield Origins(boundary=start, costs=nothing, index=start - 1, onward=move.first[None], last=whole)
            return
        labels = self.found[rest]
        for before, mark in enumerate(move.before):
            picked = np.flatnonzero(labels.mark == mark)
            for index in (picked[first : first + BLOCK] for first in range(0, len(picked), BLOCK)):
                at = labels.boundary[index]
                onward, last = move.inner[before][:, at].swapaxes(0, 1), move.last[before, at]
                yield Origins(boundary=at, costs=labels.costs[index], index=index, onward=onward, last=last)


def _undominated(parts: Sequence[Labels]) -> Labels:
    """Of labels with the same boundary and mark, those that no other costs no more than in everything."""
    if not parts:
        none = np.zeros(0, int)
        return Labels(boundary=none, mark=none, costs=np.zeros((0, 1)), move=none, parent=none)
    labels = Labels(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})
    order = np.lexsort((*labels.costs.T[::-1], labels.boundary, labels.mark))
    place = np.stack([labels.mark[order], labels.boundary[order]])
    borders = np.flatnonzero((place[:, 1:] != place[:, :-1]).any(axis=0)) + 1
    kept = [group[_front(labels.costs[group])] for group in np.split(order, borders) if len(group)]
    return labels.pick(np.concatenate([order[:0], *kept]))


def _front(costs: Times) -> Sizes:
    """Indices of the rows, in lexicographic order, that no earlier row is at most as large as in all columns."""
    kept = np.zeros(0, int)
    for first in range(0, len(costs), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(costs)))
        rows = rows[~(costs[kept][:, None] <= costs[rows]).all(axis=-1).any(axis=0)]
        inside = (costs[rows][:, None] <= costs[rows]).all(axis=-1)
        kept = np.concatenate([kept, rows[~np.triu(inside, k=1).any(axis=0)]])
    return kept
