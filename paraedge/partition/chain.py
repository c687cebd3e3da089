"""Dynamic programmes over the contiguous segments of a chain, all spans at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from paraedge.core.spans import Times

Cuts: TypeAlias = tuple[int, ...]
"""Indices of the first op of each segment but the first, ascending."""


def forward(cost: Times) -> Times:
    """`cost` with inf where a span has no ops."""
    return np.where(np.triu(np.ones(cost.shape, dtype=bool), 1), cost, np.inf)


def smallest(cost: Times, most: int, join: np.ufunc) -> tuple[Times, npt.NDArray[np.intp]]:
    """Of the splits of layers [0, j) into k segments the smallest cost, and where the last segment begins.

    cost: of each span, shape (n + 1, n + 1), inf where it is not allowed. join: how the segments' costs make the
    split's, `np.maximum` or `np.add`. Both results have shape (most + 1, n + 1).
    """
    points = cost.shape[0]
    best = np.full((most + 1, points), np.inf)
    before = np.zeros((most + 1, points), dtype=np.intp)
    best[0, 0] = 0.0
    for count in range(1, most + 1):
        joined = join(best[count - 1][:, None], cost)
        before[count] = joined.argmin(axis=0)
        best[count] = joined.min(axis=0)
    return best, before


def evenest(cost: Times, segments: int) -> Cuts | None:
    """The split into `segments` segments whose dearest costs least and, of these, whose squares add up to the least.

    cost: of each span, shape (n + 1, n + 1), inf where it is not allowed, also where a span has no ops. None where no
    split is allowed.
    """
    bound = smallest(cost, segments, np.maximum)[0][segments, -1]
    if not np.isfinite(bound):
        return None
    _, before = smallest(np.where(cost <= bound, cost, np.inf) ** 2, segments, np.add)
    cuts: list[int] = []
    end = cost.shape[0] - 1
    for count in range(segments, 1, -1):
        end = int(before[count, end])
        cuts.append(end)
    return tuple(reversed(cuts))
