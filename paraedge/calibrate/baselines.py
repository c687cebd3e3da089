"""What a simulator has to beat: a constant, and interpolation between the neighbours in size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paraedge.calibrate.row import Row

MOST_LOG = 50.0
"""A line that goes on far beyond wild rows ends here, at e^50 ms."""


def constant(row: Row, known: Sequence[Row]) -> float | None:
    """Geometric mean of the other rows of the series, in ms; None where there are none."""
    latencies = [float(other.latency_ms or 0) for other in _series(row, known)]
    return float(np.exp(np.mean(np.log(latencies)))) if latencies else None


def interpolation(row: Row, known: Sequence[Row]) -> float | None:
    """Linear in the logarithms of size and latency between the nearest smaller and larger row of the series, in ms.

    Rows of one size count as one, their geometric mean. Beyond the ends the line through the last two goes on. None
    with fewer than two sizes, and for a size of 0.
    """
    sizes: dict[float, list[float]] = {}
    for other in _series(row, known):
        if other.size > 0:
            sizes.setdefault(other.size, []).append(float(other.latency_ms or 0))
    if len(sizes) < 2 or row.size <= 0:
        return None
    x = np.log(sorted(sizes))
    y = np.array([np.mean(np.log(sizes[size])) for size in sorted(sizes)])
    at = float(np.log(row.size))
    right = int(np.clip(np.searchsorted(x, at), 1, len(x) - 1))
    slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1])
    return float(np.exp(np.clip(y[right - 1] + slope * (at - x[right - 1]), -MOST_LOG, MOST_LOG)))


def _series(row: Row, known: Sequence[Row]) -> list[Row]:
    return [other for other in known if other.series == row.series and other.latency_ms]
