"""Speed-up of one table over another, on the rows that are good in both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pandas as pd

from paraedge.analyze.plain import plain_dict
from paraedge.analyze.points import TARGET_KEYS
from paraedge.analyze.statistics import geometric_mean
from paraedge.analyze.table import good, numbers, require_columns
from paraedge.core.errors import BadInput, short

Direction = Literal["higher is better", "lower is better"]
_Named: TypeAlias = "tuple[pd.DataFrame, str]"

LOWER_ENDINGS = ("_ms", "_us", "_ns", "_s", "_seconds")
LOWER_WORDS = ("latency", "time", "duration")
MIXED_COLUMNS = (*TARGET_KEYS, "precision", "origin")
"""Rows that differ in these are different things; their median has no meaning."""


@dataclass(frozen=True, kw_only=True)
class SpeedupResult:
    """Speed-ups of `new` over `base`; above 1 means that new is better, whichever way the metric points.

    count: matched rows with a number above zero on both sides; the statistics are over these. unmatched_base and
    unmatched_new: good keys of one side without a good one on the other. excluded: matched, but a value is missing or
    not above zero. origins: measured or simulated, by side, where the tables say so. pairs: the `on` columns, base's
    others, and `base`, `new`, `speedup`.
    """

    metric: str
    direction: Direction
    on: tuple[str, ...]
    base_name: str
    new_name: str
    count: int
    mean: float
    median: float
    geometric_mean: float
    min: float
    max: float
    share_above_1: float
    unmatched_base: int
    unmatched_new: int
    excluded: int
    origins: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    pairs: pd.DataFrame

    def as_dict(self) -> dict[str, object]:
        """For JSON; unknown is None."""
        return plain_dict(self)


def direction_of(metric: str) -> Direction:
    """Rates (`..._per_s`) and everything else point up; latencies and times (`..._ms`, `latency`, ...) point down."""
    name = metric.lower()
    if name.startswith(("s_per_", "ms_per_", "us_per_", "ns_per_", "latency_per_", "time_per_")):
        return "lower is better"
    if "_per_" in name or name.endswith(("gops", "flops", "throughput", "fps")):
        return "higher is better"
    if name.endswith(LOWER_ENDINGS) or any(word in name.split("_") for word in LOWER_WORDS):
        return "lower is better"
    return "higher is better"


def speedup(
    base: pd.DataFrame,
    new: pd.DataFrame,
    on: Sequence[str],
    metric: str,
    *,
    base_name: str = "base",
    new_name: str = "new",
) -> SpeedupResult:
    """Join on the columns `on` and divide: new / base for rates, base / new for latencies.

    Rows with the same keys are taken together by their median, which a note says. Raises BadInput for missing or text
    columns, for rows with the same keys of different devices or options, and where no row matches.
    """
    keys = _checked_keys(on, metric)
    notes: list[str] = []
    named = ((base, base_name), (new, new_name))
    sides = [_one_row_a_key(table, keys, metric, name, notes) for table, name in named]
    left, right = (side.rename(columns={metric: name}) for side, name in zip(sides, ("base", "new"), strict=True))
    _check_kinds(left, right, keys, named)
    left = left.drop(columns=[name for name in ("new", "speedup", "_merge") if name in left.columns])
    joined = left.merge(right[[*keys, "new"]], on=list(keys), how="outer", indicator=True)
    matched = joined[joined["_merge"] == "both"].drop(columns="_merge")
    unmatched = {side: int((joined["_merge"] == side).sum()) for side in ("left_only", "right_only")}
    if matched.empty:
        raise BadInput(_why_none(sides, keys, (base_name, new_name)))
    usable = matched[(matched["base"] > 0) & (matched["new"] > 0)].reset_index(drop=True)
    if usable.empty:
        raise BadInput(f"{len(matched)} rows match, but none has {metric!r} above zero in both")
    direction = direction_of(metric)
    ratio = usable["new"] / usable["base"] if direction == "higher is better" else usable["base"] / usable["new"]
    return SpeedupResult(
        metric=metric, direction=direction, on=keys, base_name=base_name, new_name=new_name,
        count=len(ratio), mean=float(ratio.mean()), median=float(ratio.median()),
        geometric_mean=geometric_mean(ratio.to_numpy()), min=float(ratio.min()), max=float(ratio.max()),
        share_above_1=float((ratio > 1).mean()),
        unmatched_base=unmatched["left_only"], unmatched_new=unmatched["right_only"],
        excluded=len(matched) - len(usable), origins=_origins(base, new), notes=tuple(notes),
        pairs=usable[[*keys, *(n for n in usable.columns if n not in keys)]].assign(speedup=ratio),
    )  # fmt: skip


def _checked_keys(on: Sequence[str], metric: str) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(on))
    if not keys:
        raise BadInput("a speed-up needs at least one column to match rows on")
    if metric in keys:
        raise BadInput(f"{metric!r} can't be both the metric and a column to match rows on")
    return keys


def _one_row_a_key(table: pd.DataFrame, keys: Sequence[str], metric: str, name: str, notes: list[str]) -> pd.DataFrame:
    """The good rows with one row a key: the median of the metric, the first of the rest."""
    require_columns(table, keys, name)
    require_columns(table, [metric], name, numeric=True)
    fine = good(table)
    keyed = fine[fine[list(keys)].notna().any(axis=1)]
    if len(keyed) < len(fine):
        notes.append(f"{len(fine) - len(keyed)} rows of {name} have none of the key columns and are left out")
    made = keyed.assign(**{metric: numbers(keyed, metric)})
    repeated = made.duplicated(list(keys), keep=False)
    if not repeated.any():
        return made
    twice = made[repeated]
    for column in MIXED_COLUMNS:
        if column in twice.columns and column not in keys:
            kinds = twice.groupby(list(keys), dropna=False)[column].nunique(dropna=False)
            if bool((kinds > 1).any()):
                there = short(", ".join(sorted(map(str, twice[column].unique()))), 120)
                raise BadInput(f"{name} has rows of the same keys with different {column} ({there}); choose one")
    groups = made.groupby(list(keys), dropna=False, sort=False)
    notes.append(f"{len(twice)} rows of {name} share their keys with others; the median of each key counts")
    middle = groups[metric].median()
    return groups.first().assign(**{metric: middle}).reset_index()


def _check_kinds(left: pd.DataFrame, right: pd.DataFrame, keys: Sequence[str], named: tuple[_Named, _Named]) -> None:
    for key in keys:
        kinds = [pd.api.types.is_numeric_dtype(side[key]) for side in (left, right)]
        if kinds[0] != kinds[1] and len(left) and len(right):
            text = named[0 if kinds[1] else 1][1]
            raise BadInput(f"column {key!r} holds text in {text} and numbers in the other; they can't match")
    _refuse_mixed_origins(named)


def _refuse_mixed_origins(named: tuple[_Named, _Named]) -> None:
    """One mean over measured and simulated rows would be neither."""
    for table, name in named:
        origins = sorted(good(table)["origin"].dropna().astype(str).unique()) if "origin" in table.columns else []
        if len(origins) > 1:
            raise BadInput(
                f"{name} holds {' and '.join(origins)} rows; choose one, as with --base-where origin={origins[0]}"
            )


def _why_none(sides: Sequence[pd.DataFrame], keys: Sequence[str], names: tuple[str, str]) -> str:
    for side, name in zip(sides, names, strict=True):
        if side.empty:
            return f"{name} has no good rows to match"
    left, right = (side.iloc[0] for side in sides)
    first, second = (", ".join(f"{key}={row[key]}" for key in keys) for row in (left, right))
    return short(f"no row matches on {', '.join(keys)}: {names[0]} has e.g. {first}; {names[1]} has e.g. {second}", 400)


def _origins(base: pd.DataFrame, new: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    return {
        side: tuple(sorted(map(str, table["origin"].dropna().unique())))
        for side, table in (("base", base), ("new", new))
        if "origin" in table.columns
    }
