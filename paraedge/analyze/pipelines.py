"""Pipelines and data parallel runs: speed-up over the fewest devices, what is super-linear, and which of both pays."""

from __future__ import annotations

from typing import Literal, TypeAlias

import pandas as pd

from paraedge.analyze.table import good

DATA = "data"
"""The strategy of whole models on several devices; every other one cuts."""

SAME = ("spec_id", "device", "threads", "kernels", "inputs")
"""Columns in which runs agree that differ only in how many devices they had and how they were cut."""

MARGIN = 0.02
"""Data parallel and a pipeline within this share of each other are called even."""

Winner: TypeAlias = Literal["data", "pipeline", "even"]


def pipeline_rows(points: pd.DataFrame) -> pd.DataFrame:
    """Points of `analyze.points` that ran over devices; none where the table has no such columns."""
    if "segments" not in points.columns:
        return points.iloc[:0]
    chosen: pd.DataFrame = points[points["segments"].notna()]
    return chosen


def over_fewest(points: pd.DataFrame) -> pd.DataFrame:
    """The good pipeline rows with their speed-up over the fewest devices that have a result.

    Time is that of one input (`latency_median_ms`). New columns: `base_segments`, the fewest devices of the same
    model, device and number of inputs; `base_ms`, the best time with them; `speedup`, base_ms by the row's; `share`, of
    what as many times more devices would give; `is_superlinear`, share above 1. The base rows are among them.
    """
    fine = good(pipeline_rows(points))
    if fine.empty:
        return fine.assign(
            base_segments=pd.Series(dtype=float), base_ms=0.0, speedup=0.0, share=0.0, is_superlinear=False
        )
    keys = [name for name in SAME if name in fine.columns]
    group = fine.groupby(keys, dropna=False, sort=False)
    base_segments = group["segments"].transform("min").astype(float)
    at_base = fine["latency_median_ms"].where(fine["segments"].astype(float) == base_segments)
    base_ms = at_base.groupby([fine[name] for name in keys], dropna=False, sort=False).transform("min").astype(float)
    speedup = base_ms / fine["latency_median_ms"].astype(float)
    share = speedup * base_segments / fine["segments"].astype(float)
    return fine.assign(
        base_segments=base_segments, base_ms=base_ms, speedup=speedup, share=share, is_superlinear=share > 1
    )


def data_or_pipeline(points: pd.DataFrame) -> pd.DataFrame:
    """Where both ran: one row a model, device, number of inputs and of devices.

    Columns: those of SAME, `segments`, `family`, `weight_bytes`, `data_ms` and `pipeline_ms` (the best cut's),
    `strategy` (that cut's), `ratio` (data_ms by pipeline_ms) and `winner`.
    """
    fine = good(pipeline_rows(points))
    several = fine[fine["strategy"].notna()] if len(fine) else fine
    keys = [name for name in (*SAME, "segments") if name in several.columns]
    if several.empty:
        return pd.DataFrame(
            columns=[*keys, "family", "weight_bytes", "data_ms", "pipeline_ms", "strategy", "ratio", "winner"]
        )
    is_data = several["strategy"] == DATA
    data = several[is_data][[*keys, "latency_median_ms"]].rename(columns={"latency_median_ms": "data_ms"})
    cuts = several[~is_data].sort_values("latency_median_ms", kind="stable").drop_duplicates(keys)
    cuts = cuts[[*keys, "family", "weight_bytes", "strategy", "latency_median_ms"]]
    both = data.merge(cuts.rename(columns={"latency_median_ms": "pipeline_ms"}), on=keys)
    both["ratio"] = both["data_ms"].astype(float) / both["pipeline_ms"].astype(float)
    return both.assign(winner=both["ratio"].map(winner)).reset_index(drop=True)


def winner(ratio: float) -> Winner:
    """Of data parallel's time by the pipeline's."""
    if abs(ratio - 1) <= MARGIN:
        return "even"
    return "data" if ratio < 1 else "pipeline"


def count_of(value: object) -> int:
    """A count as a group's key has it, which may be an integer of numpy or a float."""
    return round(float(str(value)))
