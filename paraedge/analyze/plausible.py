"""Whether a point is faster than its machine can be, whatever memory held its data."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from paraedge.analyze.points import invokes
from paraedge.analyze.table import numbers
from paraedge.core.device import Roof

TOLERANCE = 0.05
"""A measured roof is itself uncertain: a point within 5 % above it is not flagged."""


def explain_implausible(
    group: pd.DataFrame, compute_gops_per_s: pd.Series[float], roofs: Sequence[Roof]
) -> pd.Series[str]:
    """For each point of one target a sentence if it lies above every roof that could hold it, else None.

    The bytes that must move are few: weights, input and output, each once an invoke (activations between layers may
    stay in registers). What exceeds a memory's capacity must come from a farther one, so the shortest possible time
    is the largest of ops / compute and (bytes - capacity of the nearer memories) / bandwidth, over the levels.
    On a host link, all of `link_bytes` must move. Needs the columns `latency_median_ms` and `ops`.
    """
    limits = {"its compute roof": group["ops"] / compute_gops_per_s * 1e-6} | _memory_limits_ms(group, roofs)
    shortest = pd.DataFrame(limits, index=group.index).astype(float)
    latency = numbers(group, "latency_median_ms")
    least = shortest.max(axis=1)
    above = latency * (1 + TOLERANCE) < least
    names = shortest.fillna(-1.0).idxmax(axis=1)
    sentences = [
        f"takes {time:.3g} ms, but {name} allows no less than {limit:.3g} ms" if flag else None
        for flag, name, time, limit in zip(above, names, latency, least, strict=True)
    ]
    return pd.Series(sentences, index=group.index, dtype=object)


def _memory_limits_ms(group: pd.DataFrame, roofs: Sequence[Roof]) -> dict[str, pd.Series[float]]:
    """The shortest time that each memory allows, by what to call it."""
    count = invokes(group)
    held = numbers(group, "weight_bytes").fillna(0)
    found: dict[str, pd.Series[float]] = {}
    slopes = [roof for roof in roofs if roof.kind == "bandwidth"]
    for roof in slopes:
        if roof.level == "host link":
            found["its host link"] = numbers(group, "link_bytes") / roof.value * 1e-6
        elif roof.level == "on chip":
            found["its on-chip memory"] = held * count / roof.value * 1e-6
    ends = numbers(group, "input_bytes").fillna(0) + numbers(group, "output_bytes").fillna(0)
    held = held + ends / count  # the archive has the ends of the whole batch, the weights of an invoke
    caches = [roof for roof in slopes if roof.level not in ("host link", "on chip")]
    caches.sort(key=lambda roof: math.inf if roof.capacity_bytes is None else roof.capacity_bytes)
    nearer = 0
    for position, roof in enumerate(caches):
        # a farther memory that measures faster (noise, prefetching) may serve these bytes too
        fastest = max(other.value for other in caches[position:])
        found[f"the bandwidth of its {roof.level}"] = (held - nearer).clip(lower=0) * count / fastest * 1e-6
        nearer = roof.capacity_bytes or nearer
    return found
