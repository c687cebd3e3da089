"""The order statistics that bound a median."""

from __future__ import annotations

import functools

TAIL_PER_MILLE = 25
"""Probability outside a 95 % interval, on each side."""


@functools.lru_cache(maxsize=8192)
def median_ranks(count: int) -> tuple[int, int] | None:
    """Indices (from 0) of the order statistics that bound the median of `count` values at 95 % confidence or more.

    The narrowest pair that covers so much, for every continuous distribution: the number of values below the
    median is binomial(count, 1/2), summed here in exact integers. None below 6 values, where even the extremes cover
    less. Source: Conover, Practical Nonparametric Statistics, section 3.2; David and Nagaraja, Order Statistics, 7.1.
    """
    limit, term, total, rank = 2**count * TAIL_PER_MILLE // 1000, 1, 0, 0
    while total + term <= limit:
        total += term
        term = term * (count - rank) // (rank + 1)
        rank += 1
    return (rank - 1, count - rank) if rank else None
