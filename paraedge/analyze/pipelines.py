"""Pipelines and data parallel runs: speed-up over the fewest devices, what is super-linear, and which of both pays."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import pandas as pd

from paraedge.analyze.table import good

DATA = "data"
"""The strategy of whole models on several devices; every other one cuts."""

SAME = ("spec_id", "device", "threads", "kernels", "inputs")
"""Columns in which runs agree that differ only in how many devices they had and how they were cut."""

MARGIN = 0.02
"""Times within this share of each other are called even."""

Winner: TypeAlias = Literal["one", "data", "pipeline", "even"]

VERDICT = ("family", "weight_bytes", "strategy", "data_ms", "pipeline_ms", "one_ms", "ratio", "winner")
"""Columns of `data_or_pipeline` behind its keys."""


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
    what as many times more devices would give; `is_superlinear`, share above 1 by the margin; `by_memory`, of these
    whether fewer parameters are streamed than in the base row (False where that isn't known). The base rows are among
    them.
    """
    fine = good(pipeline_rows(points)).reset_index(drop=True)
    time_ms, segments = fine["latency_median_ms"].astype(float), fine["segments"].astype(float)
    keys = [fine[name] for name in SAME if name in fine.columns]
    base_segments = segments.groupby(keys, dropna=False, sort=False).transform("min")
    at_base = time_ms.where(segments == base_segments)
    place = at_base.groupby(keys, dropna=False, sort=False).transform("idxmin") if len(fine) else pd.Series(dtype=int)
    base_ms = time_ms.iloc[place].set_axis(fine.index)
    speedup = base_ms / time_ms
    share = speedup * base_segments / segments
    streamed = pd.to_numeric(fine["off_chip_bytes"]) if "off_chip_bytes" in fine.columns else pd.Series(0, fine.index)
    fewer = (streamed.iloc[place].set_axis(fine.index) > streamed).fillna(value=False).astype(bool)
    is_superlinear = share > 1 + MARGIN
    return fine.assign(
        base_segments=base_segments, base_ms=base_ms, speedup=speedup, share=share, is_superlinear=is_superlinear,
        by_memory=is_superlinear & fewer,
    )  # fmt: skip


def best_row(table: pd.DataFrame) -> pd.Series[Any]:
    """The row with the most speed-up; of those within a thousandth `optimal`, then the one with the fewest devices."""
    near = table[table["speedup"] >= table["speedup"].max() * 0.999]
    order = near.assign(other=near["strategy"] != "optimal").sort_values(["other", "segments"], kind="stable")
    found: pd.Series[Any] = order.iloc[0]
    return found


def data_or_pipeline(points: pd.DataFrame) -> pd.DataFrame:
    """Whole models on several devices against the best cut over as many: one row a model, inputs and devices.

    Columns: those of SAME, `segments`, `family`, `weight_bytes`, `data_ms`, `pipeline_ms` (of the best cut that uses
    two devices or more), `strategy` (that cut's), `one_ms` (one device alone, NaN where that has no result), `ratio`
    (data_ms by pipeline_ms) and `winner`. Only where both ran.
    """
    fine = good(pipeline_rows(points))
    keys = [name for name in (*SAME, "segments") if name in fine.columns]
    if fine.empty:
        return pd.DataFrame(columns=[*keys, *VERDICT])
    is_data = fine["strategy"] == DATA
    is_cut = fine["strategy"].notna() & ~is_data
    if "devices_used" in fine.columns:  # a cut may leave all devices but one unused
        is_cut &= fine["devices_used"].fillna(2) > 1
    data = fine[is_data][[*keys, "latency_median_ms"]].rename(columns={"latency_median_ms": "data_ms"})
    cuts = fine[is_cut].sort_values("latency_median_ms", kind="stable").drop_duplicates(keys)
    cuts = cuts[[*keys, "family", "weight_bytes", "strategy", "latency_median_ms"]]
    both = data.merge(cuts.rename(columns={"latency_median_ms": "pipeline_ms"}), on=keys)
    alone = fine[fine["segments"] == 1].drop_duplicates(keys[:-1])[[*keys[:-1], "latency_median_ms"]]
    both = both.merge(alone.rename(columns={"latency_median_ms": "one_ms"}), on=keys[:-1], how="left")
    both["ratio"] = both["data_ms"].astype(float) / both["pipeline_ms"].astype(float)
    times = both[["one_ms", "data_ms", "pipeline_ms"]].astype(float)
    both["winner"] = [winner(*row) for row in times.itertuples(index=False, name=None)]
    return both.reset_index(drop=True)


def winner(one_ms: float, data_ms: float, pipeline_ms: float) -> Winner:
    """The fastest; more devices must gain more than the margin over one, and one of both over the other."""
    best = min(data_ms, pipeline_ms)
    if one_ms <= best * (1 + MARGIN):
        return "one"
    if max(data_ms, pipeline_ms) <= best * (1 + MARGIN):
        return "even"
    return "data" if data_ms < pipeline_ms else "pipeline"


def count_of(value: object) -> int:
    """A count as a group's key has it, which may be an integer of numpy or a float."""
    return round(float(str(value)))
