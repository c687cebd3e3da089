"""Intervals of fitted constants, and the digits that they are written with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

NORMAL_95 = 1.96
DIGITS = 6
"""Significant digits that constants are written with."""


def around(value: float, left_out: Sequence[float]) -> tuple[float, float]:
    """1.96 standard errors about a value, from its values with each row left out (jackknife); never below 0."""
    found = np.asarray(left_out, dtype=float)
    variance = (len(found) - 1) / len(found) * float(np.sum((found - found.mean()) ** 2))
    error = NORMAL_95 * math.sqrt(variance)
    return max(0.0, value - error), value + error


def rounded(value: float) -> float:
    """The value with the digits that are written."""
    return float(f"{value:.{DIGITS}g}")
