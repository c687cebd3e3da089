"""Simulated latencies that leave out what stays on the CPU: parts of a model, which nothing may be compared with."""

from __future__ import annotations

import re

import pandas as pd

from paraedge.core.device import Origin
from paraedge.core.errors import short
from paraedge.core.macs import MACS

LEFT_OUT = re.compile(rf"\b({'|'.join(map(re.escape, MACS))})\b[^;]*: on the CPU|\.\.\.$")
"""Of a row's warnings: an op with MACs that the simulation places on the CPU, or a list too long to tell."""


def without_parts(points: pd.DataFrame) -> pd.DataFrame:
    """The points, those that were simulated only in part turned into failed ones with the reason.

    The simulator has no costs for a host's CPU. A latency without ops that hold MACs would be a speed-up that no device
    gives; one that lacks only a last SOFTMAX or the like stands.
    """
    if not {"placed", "warnings", "origin"} <= set(points.columns):
        return points
    placed, warnings = (points[name].astype("string").fillna("") for name in ("placed", "warnings"))
    on_cpu = placed.str.contains("on_cpu=", regex=False).astype(bool)
    partly = (points["origin"] == Origin.SIMULATED.value) & (points["status"] == "ok") & on_cpu
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
    "latency_min_ms", "first_ms", "gops_per_s", "examples_per_s",
)  # fmt: skip
