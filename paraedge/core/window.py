"""A stretch of a sustained run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """What was seen in a second or so of invoking without pause.

    end_s: its end, in seconds since the run began. The median and the 99th percentile are over its timed blocks, of
    one invoke each unless an invoke is shorter than a block may be. temperature_c: at its end, None where unknown.
    """

    end_s: float
    invokes: int
    latency_median_ms: float
    latency_p99_ms: float
    temperature_c: float | None
