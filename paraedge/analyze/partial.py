"""Simulated latencies that leave ops of a model out: parts of it, which nothing may be compared with."""

from __future__ import annotations

import re

import pandas as pd

from paraedge.core.device import Origin
from paraedge.core.errors import short
from paraedge.core.macs import MACS

_WITH_MACS = rf"\b({'|'.join(map(re.escape, MACS))})\b"
LEFT_OUT = re.compile(rf"leaves out [^;:]*{_WITH_MACS}|leaves out [^;:]*: mapped, but|leaves out .*\.\.\.$")
"""Of a row's warnings: an op with MACs that the simulation leaves out, one on the device that it has no time for, or a
list too long to tell."""


def without_parts(points: pd.DataFrame) -> pd.DataFrame:
    """The points, those that were simulated only in part turned into failed ones with the reason.

    The simulator has no costs for a host's CPU. A latency without ops that hold MACs would be a speed-up that no device
    gives; one that lacks only a last SOFTMAX or the like stands.
    """
    if not {"warnings", "origin"} <= set(points.columns):
        return points
    warnings = points["warnings"].astype("string").fillna("")
    partly = (points["origin"] == Origin.SIMULATED.value) & (points["status"] == "ok")
    partly &= warnings.map(lambda text: LEFT_OUT.search(text) is not None).astype(bool)
    if not partly.any():
        return points
    made = points.copy()
    made["error"] = made["error"].astype(object)
    made.loc[partly, "error"] = warnings[partly].map(_reason).astype(object)
    made.loc[partly, "status"] = "failed"
    results = [name for name in RESULTS if name in made.columns]
    made.loc[partly, results] = float("nan")
    return made


def _reason(warnings: str) -> str:
    """The first op that is left out stands for all."""
    first, *others = warnings.split("; ")
    return short(f"incomplete prediction: {first}{'; and more' if others else ''}", 200)


RESULTS = (
    "latency_median_ms", "latency_low_ms", "latency_high_ms", "latency_p90_ms", "latency_p99_ms", "latency_mean_ms",
    "latency_min_ms", "first_ms", "gops_per_s", "examples_per_s", "throughput_per_s", "steady_per_s", "pass_ms",
    "fill_ms", "drain_ms", "bottleneck_ms", "lower_bound_ms", "gap",
)  # fmt: skip
