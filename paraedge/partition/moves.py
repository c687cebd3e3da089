"""Every stage that a split may hold, as arrays: what the dynamic programme chooses from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from paraedge.core.partition import Objective
    from paraedge.core.spans import Sizes, Times
    from paraedge.partition.problem import Problem


@dataclass(frozen=True, kw_only=True, eq=False)
class Move:
    """A stage on `replicas` devices of a type and its cost between any two of the m + 1 boundaries; inf: not possible.

    What a stage costs can depend on the types before and after it. What must be known of them when a boundary is
    crossed is the boundary's label; `before` and `after` are the labels that this stage can begin and end with. inner:
    (before, after, m + 1, m + 1). first: (after, m + 1), of a stage that begins with the first layer. last: (before,
    m + 1), of one that ends with the last. whole: of one that holds all layers.
    """

    type: int
    replicas: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    inner: Times
    first: Times
    last: Times
    whole: float

    def at(self, places: Sizes) -> Move:
        """The same stage between these boundaries alone, the first and the last among them."""
        return replace(
            self,
            inner=self.inner[:, :, places[:, None], places],
            first=self.first[:, places],
            last=self.last[:, places],
        )

    def reach(self, before: int, limit: float) -> Sizes:
        """(m + 1,): the last boundary that a stage from each one reaches at a cost of `limit`; 0 where it reaches none.

        before: place of its label in `before`.
        """
        ends = (np.isfinite(self.inner[before]) & (self.inner[before] <= limit)).any(axis=0)
        found: Sizes = (ends * np.arange(ends.shape[1])).max(axis=1)
        return found

    def within(self, limit: float, cost: Times) -> Move:
        """The same stage where it costs `limit` at most, but at another cost, (m + 1, m + 1)."""
        return replace(
            self,
            inner=np.where(self.inner <= limit, cost, np.inf),
            first=np.where(self.first <= limit, cost[0], np.inf),
            last=np.where(self.last <= limit, cost[:, -1], np.inf),
            whole=float(cost[0, -1]) if self.whole <= limit else np.inf,
        )


def boundaries(problem: Problem) -> tuple[int, ...]:
    """Where a stage may begin or end, in order."""
    inner = range(1, problem.layers) if problem.cuttable is None else sorted(set(problem.cuttable))
    return (0, *(at for at in inner if 0 < at < problem.layers), problem.layers)


def between(times: Times, at: Sequence[int]) -> Times:
    """Times of the spans that begin and end at these boundaries, (m + 1, m + 1); inf where none does."""
    picked = times[np.ix_(at, at)]
    return np.where(np.triu(np.ones(picked.shape, bool), k=1), picked, np.inf)


def stage_moves(problem: Problem, objective: Objective, *, replicate: bool) -> tuple[Move, ...]:
    """Every stage with what it adds to the objective: the period that it can keep up, or its latency.

    The label of a boundary is the type of the next device where there are hand-overs, and the types of both where a
    hand-over keeps both its ends busy; where there are none, all boundaries are labelled 0. Replicas don't shorten the
    way of one input, so the latency knows none.
    """
    most = [len(kind.devices) if replicate and objective == "throughput" else 1 for kind in problem.types]
    return tuple(
        _move(problem, objective, kind, replicas)
        for kind in range(len(problem.types))
        for replicas in range(1, most[kind] + 1)
    )


def _move(problem: Problem, objective: Objective, kind: int, replicas: int) -> Move:
    at, kinds = boundaries(problem), range(len(problem.types))
    busy = between(problem.types[kind].spans.busy_ms, at)
    overlaps = objective == "throughput" and problem.handover_overlaps
    both_busy = objective == "throughput" and not overlaps
    before: tuple[int, ...] = (0,)
    after: tuple[int, ...] = (0,)
    into = out = np.zeros((1, len(at)))
    if problem.handover_ms is not None:
        out = problem.handover_ms[kind][:, at]
        before, after = (kind,), tuple(kinds)
    if problem.handover_ms is not None and both_busy:
        into = problem.handover_ms[:, kind][:, at]
        before = tuple(len(kinds) * sender + kind for sender in kinds)
        after = tuple(len(kinds) * kind + receiver for receiver in kinds)

    def cost(received: Times | float, sent: Times | float) -> Times:
        return np.maximum((received + busy) / replicas, sent) if overlaps else (received + busy + sent) / replicas

    return Move(
        type=kind,
        replicas=replicas,
        before=before,
        after=after,
        inner=cost(into[:, None, :, None], out[None, :, None, :]),
        first=cost(0.0, out[:, None, :])[:, 0],
        last=cost(into[:, :, None], 0.0)[:, :, -1],
        whole=float(cost(0.0, 0.0)[0, -1]),
    )
