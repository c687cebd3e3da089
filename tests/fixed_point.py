"""Fixed-point multiplication as LiteRT's reference kernels round it: once after a FULLY_CONNECTED, else twice."""

from __future__ import annotations

import math

import numpy as np

Array = np.ndarray


def fixed_point(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier / 2^31 * 2^shift and 2^30 <= multiplier < 2^31."""
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    return (multiplier // 2, shift + 1) if multiplier == 2**31 else (multiplier, shift)


def rescale(sums: Array, real: float) -> Array:
    """Return sums * real in fixed point, rounded twice."""
    return multiply(sums, *fixed_point(real))


def multiply(sums: Array, multiplier: int, shift: int) -> Array:
    """Return sums * multiplier * 2^(shift - 31): high product to the nearest, then right shift to the nearest."""
    product = sums.astype(np.int64) * 2 ** max(shift, 0) * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))  # C divides towards zero
    down = max(-shift, 0)
    mask = (1 << down) - 1
    return (high >> down) + ((high & mask) > (mask >> 1) + (high < 0))  # halves away from zero


def rescale_once(sums: Array, real: float) -> Array:
    """Return sums * real in fixed point, rounded once, halves up: of one in a thousand to the other side."""
    multiplier, shift = fixed_point(real)
    return (sums.astype(np.int64) * multiplier + (1 << (30 - shift))) >> (31 - shift)
