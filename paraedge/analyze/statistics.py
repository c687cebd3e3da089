"""Means, medians, intervals and corrections that the other analyses share. 95 % intervals unless said otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from paraedge.core.errors import BadInput
from paraedge.core.estimate import Estimate

Floats: TypeAlias = "npt.NDArray[np.float64]"
Correction: TypeAlias = Literal["holm", "bh"]

CONFIDENCE = 0.95


def geometric_mean(values: Sequence[float] | Floats) -> float:
    """The exponential of the mean of logs; NaN for no values; raises BadInput for a value that is not above zero."""
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        return math.nan
    if not bool(np.all(array > 0)):
        raise BadInput("a geometric mean needs values above zero")
    return float(np.exp(np.mean(np.log(array))))


def t_quantile(degrees: npt.ArrayLike, confidence: float = CONFIDENCE) -> Floats:
    """Two-sided quantile of Student's t; NaN for less than one degree of freedom (Welch's may be a fraction)."""
    array = np.asarray(degrees, dtype=float)
    safe = np.where(array > 0, array, 1.0)
    return np.where(array > 0, stats.t.ppf(0.5 + confidence / 2, safe), np.nan)


def log_t_interval(values: Sequence[float] | Floats, unit: str, confidence: float = CONFIDENCE) -> Estimate:
    """Geometric mean with Student's t interval on the logs; no interval for fewer than two values.

    For ratios and latencies, whose errors multiply. Raises BadInput for values that are not above zero.
    """
    array = np.asarray(values, dtype=float)
    centre = geometric_mean(array)
    if array.size < 2:
        return Estimate(value=centre, low=None, high=None, unit=unit)
    half = float(t_quantile(array.size - 1, confidence)) * float(np.std(np.log(array), ddof=1)) / math.sqrt(array.size)
    return Estimate(value=centre, low=centre * math.exp(-half), high=centre * math.exp(half), unit=unit)


def median_interval(values: Sequence[float] | Floats, unit: str, confidence: float = CONFIDENCE) -> Estimate:
    """Median with its distribution-free interval from order statistics (binomial with p = 1/2).

    The interval is the narrowest symmetric pair of order statistics that covers at least `confidence`;
    none where even the extremes cover less (fewer than 6 values at 95 %).
    """
    array = np.sort(np.asarray(values, dtype=float))
    if array.size == 0:
        return Estimate(value=math.nan, low=None, high=None, unit=unit)
    middle = float(np.median(array))
    # the largest rank whose lower tail stays within (1 - confidence) / 2
    rank = int(stats.binom.ppf((1 - confidence) / 2, array.size, 0.5))
    if stats.binom.cdf(rank, array.size, 0.5) > (1 - confidence) / 2:
        rank -= 1
    if rank < 0:
        return Estimate(value=middle, low=None, high=None, unit=unit)
    return Estimate(value=middle, low=float(array[rank]), high=float(array[-1 - rank]), unit=unit)


def adjust(p_values: Sequence[float] | Floats, method: Correction = "holm") -> Floats:
    """P-values corrected for their number, in the given order.

    holm: family-wise error (Holm 1979). bh: false discovery rate (Benjamini and Hochberg 1995). No NaN allowed.
    """
    p = np.asarray(p_values, dtype=float)
    n = p.size
    if n == 0:
        return p
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, n + 1)
    if method == "holm":
        stepped = np.maximum.accumulate(p[order] * (n + 1 - ranks))
    elif method == "bh":
        stepped = np.minimum.accumulate((p[order] * n / ranks)[::-1])[::-1]
    else:
        raise BadInput(f"unknown correction {method!r}; there are: holm, bh")
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def welch(
    mean_a: npt.ArrayLike,
    sd_a: npt.ArrayLike,
    n_a: npt.ArrayLike,
    mean_b: npt.ArrayLike,
    sd_b: npt.ArrayLike,
    n_b: npt.ArrayLike,
) -> tuple[Floats, Floats, Floats]:
    """Welch's test of `mean_a - mean_b`, element by element: the two-sided p-value, standard error and degrees.

    Without any spread on both sides the difference is exact: p is 0 where the means differ, 1 where they don't, and
    the degrees are those of the pooled test. Needs at least two values a side (Welch 1947).
    """
    values = [np.asarray(value, dtype=float) for value in (mean_a, sd_a, n_a, mean_b, sd_b, n_b)]
    first, second = values[:3], values[3:]
    part_a, part_b = first[1] ** 2 / first[2], second[1] ** 2 / second[2]
    error = np.sqrt(part_a + part_b)
    spread = error > 0
    scale = np.where(spread, error, 1.0)
    # shares of the variance, not the variances: squares of tiny spreads underflow
    share_a, share_b = part_a / scale**2, part_b / scale**2
    below = share_a**2 / (first[2] - 1) + share_b**2 / (second[2] - 1)
    degrees = np.where(spread, 1.0 / np.where(below > 0, below, 1.0), first[2] + second[2] - 2)
    difference = first[0] - second[0]
    p = 2 * stats.t.sf(np.abs(difference) / scale, degrees)
    exact = np.where(difference == 0, 1.0, 0.0)
    return np.where(spread, p, exact), error, degrees
