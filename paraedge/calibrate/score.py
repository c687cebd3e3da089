"""How well predictions agree with measurements: one summary for every group and every way of leaving rows out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.9
"""Share of the measurements that an interval is to hold."""
FEW = 1.5
"""By so much the largest error is widened where there are too few rows to bound 90 % of them."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of ratios predicted / measured: absolute percentage errors as shares (0.05 is 5 %), and the median signed one."""

    rows: int
    median_ape: float
    p90_ape: float
    within_10: float
    bias: float


def score(ratios: Sequence[float]) -> Score:
    """The summary of predicted / measured ratios; raises ValueError where there are none."""
    if not len(ratios):
        raise ValueError("no rows to score")
    signed = np.asarray(ratios, dtype=float) - 1
    errors = np.abs(signed)
    return Score(
        rows=len(errors),
        median_ape=float(np.median(errors)),
        p90_ape=float(np.quantile(errors, 0.9)),
        within_10=float(np.mean(errors <= 0.1)),
        bias=float(np.median(signed)),
    )


def spread(ratios: Sequence[float]) -> float:
    """The factor within which a further row lies with 90 % probability, from rows that were left out of their fit.

    Conformal: the ceil(0.9 (n + 1))-th smallest of |log ratio| (Vovk et al.); with fewer than 9 rows that is beyond the
    largest, which is widened instead.
    """
    errors = sorted(abs(math.log(ratio)) for ratio in ratios)
    rank = math.ceil(COVERAGE * (len(errors) + 1))
    return math.exp(errors[rank - 1] if rank <= len(errors) else FEW * errors[-1])
