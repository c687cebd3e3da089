"""What quantization gives: every model in another precision against itself in float32, on the same target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paraedge.analyze.compare import NOISE_FLOOR
from paraedge.analyze.plain import plain_dict
from paraedge.analyze.points import parameter_columns, target_labels, whole
from paraedge.analyze.statistics import geometric_mean, log_t_interval, t_quantile, welch
from paraedge.analyze.table import good, numbers, require_columns
from paraedge.core.estimate import Estimate
from paraedge.core.words import plural

BASE = "float32"
SIZES = ("small", "middle", "large")
"""Thirds of the models by their MACs."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Speed-up over float32 of the models of a target, precision, and `kind` (`all`, a `family` or a `size`) `name`.

    mean: geometric, over `count` models; its 95 % interval is from the spread between the rounds' own means (Student's
    t on the logs), with two rounds or more. least, most: of single models. slower: how many are slower than in float32.
    """

    target: str
    precision: str
    kind: str
    name: str
    count: int
    mean: Estimate
    least: float
    most: float
    slower: int


@dataclass(frozen=True, kw_only=True)
class PrecisionResult:
    """Speed-ups over the same model in float32.

    pairs: one row a model, target and precision other than float32, with the columns of its point, and `base_ms`,
    `new_ms`, `speedup` (above 1: faster than float32), `low` and `high` (its 95 % interval, Welch's on the logs of the
    round medians; NaN with fewer than two rounds on a side), `bytes_share` (weights as stored, over float32's), `size`.
    unmatched: good points without a good partner, by precision.
    """

    pairs: pd.DataFrame
    gains: tuple[Gain, ...]
    unmatched: dict[str, int]

    def of(self, target: str, kind: str) -> tuple[Gain, ...]:
        """The gains of a target and kind."""
        return tuple(gain for gain in self.gains if (gain.target, gain.kind) == (target, kind))

    def as_dict(self) -> dict[str, object]:
        """For JSON; unknown is None."""
        return plain_dict(self)


def precision_gains(points: pd.DataFrame) -> PrecisionResult:
    """Match the good points (see `points`) of a campaign that are equal but for their precision, float32 the base.

    Equal are family, hyperparameters, batch, target, origin, and how the file was made. Of points that differ in
    nothing but their seed the first counts. Pipelines are left out. Raises BadInput for a table without the columns.
    """
    require_columns(points, ("family", "precision", "device", "origin", "latency_median_ms"), "the campaign")
    table = whole(good(points))
    table = table.assign(target=target_labels(table))
    same = ["target", "origin", "family", *parameter_columns(table), *(n for n in OTHER_KEYS if n in table.columns)]
    table = table.assign(key=table.groupby(same, dropna=False).ngroup()).drop_duplicates(["key", "precision"])
    base, others = table[table["precision"] == BASE], table[table["precision"] != BASE]
    joined = others.merge(base[["key", *(n for n in SIDE if n in base.columns)]], on="key", suffixes=("", "_base"))
    alone = others[~others["key"].isin(base["key"])]["precision"].value_counts()
    pairs = _sized(_speedups(joined))
    return PrecisionResult(
        pairs=pairs,
        gains=tuple(_gains(pairs)),
        unmatched={str(name): int(count) for name, count in alone.items()},
    )


OTHER_KEYS = ("builder", "series")
"""Columns that tell apart models or campaigns where a table has them, besides family, hyperparameters and target."""

SIDE = ("latency_median_ms", "log_mean", "log_sd", "n_rounds", "round_medians_ms", "weight_bytes")


def sentences(result: PrecisionResult) -> Iterator[str]:
    """One for each target: how many times as fast each precision is, and which models the best one speeds up most."""
    for target in dict.fromkeys(gain.target for gain in result.gains):
        ranks = sorted(result.of(target, "all"), key=lambda one: -one.mean.value)
        parts = [f"{one.precision} is {_times(one.mean)} ({one.least:.2g} to {one.most:.2g})" for one in ranks]
        origin = result.pairs.loc[result.pairs["target"] == target, "origin"].iloc[0]
        models = plural(max(one.count for one in ranks), "model")
        start = (
            f"On {target} ({origin}), compared with float32, {_joined(parts)}: geometric means over {models}, in "
            "brackets from the one that gains least to the one that gains most."
        )
        faster = [one.precision for one in ranks if _verdict(one.mean) == "faster"]
        yield " ".join([start, *(_extremes(result, target, faster[0]) if faster else ())])


def _extremes(result: PrecisionResult, target: str, precision: str) -> Iterator[str]:
    families = sorted(_own(result, target, "family", precision), key=lambda one: -one.mean.value)
    if len(families) > 1:
        most, least = (f"{one.name} ({one.mean.value:.2g})" for one in (families[0], families[-1]))
        yield f"{precision} gives most to {most} and least to {least}."
    sizes = {one.name: one.mean.value for one in _own(result, target, "size", precision)}
    if {"small", "large"} <= set(sizes):
        yield f"By size: {sizes['small']:.2g} for the third with the fewest MACs, {sizes['large']:.2g} for the largest."


def _own(result: PrecisionResult, target: str, kind: str, precision: str) -> tuple[Gain, ...]:
    return tuple(gain for gain in result.of(target, kind) if gain.precision == precision)


def _times(mean: Estimate) -> str:
    ratio, verdict = mean.value, _verdict(mean)
    if verdict == "same":
        return "as fast"
    said = f"{ratio:.3g} times as fast" if ratio > 1 else f"{1 / ratio:.3g} times slower"
    return f"{said}, but undecided by the rounds" if verdict == "undecided" else said


def _verdict(mean: Estimate) -> str:
    if 1 / (1 + NOISE_FLOOR) <= mean.value <= 1 + NOISE_FLOOR:
        return "same"
    if mean.low is not None and mean.high is not None and mean.low <= 1 <= mean.high:
        return "undecided"
    return "faster" if mean.value > 1 else "slower"


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def _speedups(joined: pd.DataFrame) -> pd.DataFrame:
    """The pairs with their ratio and, where both sides have two rounds or more, its interval."""
    base_ms, new_ms = numbers(joined, "latency_median_ms_base"), numbers(joined, "latency_median_ms")
    rounds = [numbers(joined, f"n_rounds{side}").fillna(0) for side in ("_base", "")]
    several = ((rounds[0] >= 2) & (rounds[1] >= 2)).to_numpy()
    means = [numbers(joined, f"log_mean{side}") for side in ("_base", "")]
    spreads = [numbers(joined, f"log_sd{side}") for side in ("_base", "")]
    ratio = np.where(several, means[0] - means[1], np.log(base_ms / new_ms))
    half = np.full(len(joined), math.nan)
    if several.any():
        sides = [values[several] for side in range(2) for values in (means[side], spreads[side], rounds[side])]
        _, error, degrees = welch(*sides)
        half[several] = t_quantile(degrees) * error
    return joined.drop(columns="key").assign(
        base_ms=base_ms, new_ms=new_ms, speedup=np.exp(ratio), low=np.exp(ratio - half), high=np.exp(ratio + half),
        bytes_share=numbers(joined, "weight_bytes") / numbers(joined, "weight_bytes_base"),
    )  # fmt: skip


def _sized(pairs: pd.DataFrame) -> pd.DataFrame:
    """With `size`: the third that the model's MACs fall into, among the models of the table."""
    macs = numbers(pairs, "macs")
    known = np.sort(macs.dropna().unique())
    if len(known) < len(SIZES):
        return pairs.assign(size=None)
    edges = [known[len(known) * i // len(SIZES)] for i in (1, 2)]
    names = pd.Series(np.array(SIZES, dtype=object)[np.searchsorted(edges, macs.fillna(0), side="right")], pairs.index)
    return pairs.assign(size=names.where(macs.notna()))


def _gains(pairs: pd.DataFrame) -> Iterator[Gain]:
    for (target, precision), part in pairs.groupby(["target", "precision"], sort=False):
        yield _gain(str(target), str(precision), "all", "all", part)
        for kind, names in (("family", part["family"].unique()), ("size", SIZES)):
            for name in names:
                mine = part[part[kind] == name]
                if len(mine):
                    yield _gain(str(target), str(precision), kind, str(name), mine)


def _gain(target: str, precision: str, kind: str, name: str, part: pd.DataFrame) -> Gain:
    ratios = part["speedup"]
    return Gain(
        target=target, precision=precision, kind=kind, name=name, count=len(part), mean=_mean(part),
        least=float(ratios.min()), most=float(ratios.max()), slower=int((ratios < 1).sum()),
    )  # fmt: skip


def _mean(part: pd.DataFrame) -> Estimate:
    """Geometric mean of the speed-ups, with the spread of the means that each round gives."""
    value = geometric_mean(part["speedup"].to_numpy())
    rounds = _round_means(part)
    if len(rounds) < 2:
        return Estimate(value=value, low=None, high=None, unit="ratio")
    spread = log_t_interval(rounds, "ratio")
    low, high = (value * (end or math.nan) / spread.value for end in (spread.low, spread.high))
    return Estimate(value=value, low=low, high=high, unit="ratio")


def _round_means(part: pd.DataFrame) -> list[float]:
    """For each round the geometric mean over those models that are good in all rounds, in both precisions."""
    if "round_medians_ms" not in part.columns:
        return []
    pairs = list(zip(part["round_medians_ms_base"], part["round_medians_ms"], strict=True))
    most = max(len(times) for pair in pairs for times in pair)
    full = [np.divide(base, new) for base, new in pairs if len(base) == len(new) == most]
    return [geometric_mean(ratios) for ratios in np.transpose(full)] if full else []
