"""Two campaigns, point by point: faster, slower, same or undecided, corrected for the number of points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from paraedge.analyze.plain import plain_dict
from paraedge.analyze.points import target_labels
from paraedge.analyze.statistics import CONFIDENCE, Correction, Floats, adjust, log_t_interval, t_quantile, welch
from paraedge.analyze.table import good, numbers, require_columns
from paraedge.core.errors import BadInput, short
from paraedge.core.estimate import Estimate

Verdict = Literal["faster", "slower", "same", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("faster", "slower", "same", "undecided")
NOISE_FLOOR = 0.03
"""Medians of fresh processes of one model lie up to 3 % apart where nothing changed; `docs/measuring.md`."""
ALWAYS = ("spec_id", "device", "threads", "kernels")
"""Columns of a point's key that campaigns of every release have."""
FEW_ROUNDS = "fewer than two rounds on a side"
EXACT = 1e-9
"""Relative difference below which two simulated latencies are the same number, written and read again."""


@dataclass(frozen=True, kw_only=True)
class CompareResult:
    """Verdicts on `new` against `base`; a speed-up is base latency / new latency, above 1 faster.

    counts: points by verdict. means: for measured and for simulated points, the geometric mean of the speed-up over
    those good in both. Its interval is the wider of two, each Student's t on the logs: from the spread between points,
    and from that between the rounds' own means, for what a busy host does to all points of a round.
    geometric_mean: the measured one, or the simulated one where nothing is measured; never of both.
    overall: the verdict on it. tested: points that the correction counts.
    only_base, only_new: points good in one campaign only, as `spec_id target`, with the reason. points: the keys and
    parameters, `base_ms`, `new_ms`, `speedup`, `low`, `high` (95 %, of this point alone), `p`, `p_adjusted`,
    `verdict`, `reason`.
    """

    base_name: str
    new_name: str
    floor: float
    alpha: float
    correction: Correction
    counts: Mapping[str, int]
    tested: int
    geometric_mean: Estimate | None
    means: Mapping[str, Estimate]
    overall: Verdict | None
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    notes: tuple[str, ...]
    points: pd.DataFrame

    def as_dict(self) -> dict[str, object]:
        """For JSON; unknown is None."""
        return plain_dict(self)


def compare(
    base: pd.DataFrame,
    new: pd.DataFrame,
    *,
    floor: float = NOISE_FLOOR,
    alpha: float = 0.05,
    correction: Correction = "holm",
    base_name: str = "base",
    new_name: str = "new",
) -> CompareResult:
    """Compare the points (see `points`) of two campaigns that have the same model and target.

    Measured points: Welch's test on the logs of the round medians, its p-values corrected over all points tested.
    same: the 95 % interval of the speed-up lies within the noise floor, [1 / (1 + floor), 1 + floor]. faster or slower:
    significant after correction and beyond the floor. All else, and points with fewer than two rounds on a side,
    are undecided. Simulated points are exact: the same number, or faster or slower.
    Raises BadInput where a device is measured in one and simulated in the other, or where no point is in both.
    """
    if not (math.isfinite(floor) and floor >= 0):
        raise BadInput(f"the noise floor is {floor:g}; it must be a share of zero or more, such as 0.03")
    for table, name in ((base, base_name), (new, new_name)):
        require_columns(table, (*ALWAYS, "round_medians_ms", "origin", "log_mean", "log_sd", "n_rounds"), name)
    _check_origins(base, new, base_name, new_name)
    left, right = _keyed(base), _keyed(new)
    joined = left.merge(right[["key", *SIDE_COLUMNS]], on="key", suffixes=("_base", "_new"))
    if joined.empty:
        there = f"{base_name} has {_devices(base)}, {new_name} has {_devices(new)}"
        raise BadInput(f"no point is in both: {there}; `analyze speedup` compares different devices")
    both = joined[(joined["status_base"] == "ok") & (joined["status_new"] == "ok")].reset_index(drop=True)
    judged, tested = _judge(both, floor, alpha, correction)
    # sorted: measured comes before simulated
    means = {str(o): _mean(part, both.loc[part.index]) for o, part in judged.groupby("origin", sort=True)}
    mean = next(iter(means.values()), None)
    return CompareResult(
        base_name=base_name, new_name=new_name, floor=floor, alpha=alpha, correction=correction,
        counts={verdict: int((judged["verdict"] == verdict).sum()) for verdict in VERDICTS},
        tested=tested, geometric_mean=mean, means=means, overall=_overall(mean, floor),
        only_base=_only(left, right), only_new=_only(right, left),
        notes=_notes(judged), points=judged,
    )  # fmt: skip


SIDE_COLUMNS = ("round_medians_ms", "status", "latency_median_ms", "log_mean", "log_sd", "n_rounds", "error", "origin")


def _keyed(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with a text `key`: pandas joins an empty cell of a number column and one of a text column differently."""
    made = table.copy()
    if "error" not in made.columns:
        made["error"] = None
    made["key"] = made["spec_id"].astype(str) + " " + target_labels(made)
    return made.drop_duplicates("key")


def _check_origins(base: pd.DataFrame, new: pd.DataFrame, base_name: str, new_name: str) -> None:
    kinds = [table.dropna(subset="origin").groupby("device")["origin"].first() for table in (base, new)]
    for device in kinds[0].index.intersection(kinds[1].index):
        first, second = kinds[0][device], kinds[1][device]
        if first != second:
            raise BadInput(
                f"{device} is {first} in {base_name} and {second} in {new_name}; only like can be compared with like"
            )


def _judge(both: pd.DataFrame, floor: float, alpha: float, correction: Correction) -> tuple[pd.DataFrame, int]:
    """The verdict on each point that is good in both, and how many were tested."""
    base_ms, new_ms = numbers(both, "latency_median_ms_base"), numbers(both, "latency_median_ms_new")
    simulated = (both["origin_base"] == "simulated").to_numpy()
    testable = ~simulated & ((both["n_rounds_base"] >= 2) & (both["n_rounds_new"] >= 2)).to_numpy()
    log_ratio = np.where(testable, numbers(both, "log_mean_base") - numbers(both, "log_mean_new"), np.nan)
    log_ratio = np.where(testable, log_ratio, np.log(base_ms / new_ms))
    p, low, high = _tests(both, testable)
    adjusted = np.full(len(both), np.nan)
    adjusted[testable] = adjust(p[testable], correction)
    limit = math.log1p(floor)
    within = (low >= -limit) & (high <= limit)
    beyond = (adjusted < alpha) & (np.abs(log_ratio) > limit)
    sign = np.where(log_ratio > 0, "faster", "slower")
    verdict = np.where(within, "same", np.where(beyond, sign, "undecided"))
    verdict = np.where(simulated, np.where(np.abs(log_ratio) <= EXACT, "same", sign), verdict)
    reason = np.full(len(both), None, dtype=object)
    reason[~testable & ~simulated] = FEW_ROUNDS
    reason[testable & (verdict == "undecided")] = "the rounds spread too much to tell"
    dropped = [name for name in both.columns if str(name).endswith(("_base", "_new"))]
    kept = both.drop(columns=["key", *dropped, *(name for name in POINT_OUTCOME if name in both.columns)])
    made = kept.assign(
        origin=both["origin_base"], n_rounds_base=both["n_rounds_base"], n_rounds_new=both["n_rounds_new"],
        base_ms=base_ms, new_ms=new_ms, speedup=np.exp(log_ratio), low=np.exp(low), high=np.exp(high),
        p=p, p_adjusted=adjusted, verdict=verdict, reason=reason,
    )  # fmt: skip
    return made, int(testable.sum())


POINT_OUTCOME = (
    "latency_low_ms", "latency_high_ms", "latency_p90_ms", "latency_p99_ms", "latency_mean_ms", "latency_min_ms",
    "samples", "set_ms", "get_ms", "open_ms", "first_ms", "gops_per_s", "examples_per_s", "temperature_c", "warnings",
    "stop_reason", "within_low_ms", "within_high_ms", "between_spread", "n_failed",
)  # fmt: skip
"""What base's points alone measured; it doesn't belong beside a ratio."""


def _tests(both: pd.DataFrame, testable: npt.NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """P-value and 95 % interval of the log speed-up of each testable point; NaN for the others."""
    p, low, high = (np.full(len(both), np.nan) for _ in range(3))
    part = both[testable]
    if len(part):
        a = [part[f"{name}_base"].to_numpy(dtype=float) for name in ("log_mean", "log_sd", "n_rounds")]
        b = [part[f"{name}_new"].to_numpy(dtype=float) for name in ("log_mean", "log_sd", "n_rounds")]
        p[testable], error, degrees = welch(a[0], a[1], a[2], b[0], b[1], b[2])
        half = t_quantile(degrees, CONFIDENCE) * error
        low[testable], high[testable] = a[0] - b[0] - half, a[0] - b[0] + half
    return p, low, high


def _mean(judged: pd.DataFrame, both: pd.DataFrame) -> Estimate:
    """Geometric mean of the speed-ups of points, with the wider of the intervals between points and between rounds."""
    between_points = log_t_interval(judged["speedup"].to_numpy(), "ratio")
    sides = [_round_means(both, side) for side in ("base", "new")]
    if all(side.size == 0 for side in sides):  # simulated points are exact, and so is their mean
        return Estimate(value=between_points.value, low=between_points.value, high=between_points.value, unit="ratio")
    if between_points.low is None or between_points.high is None:
        return between_points
    if any(side.size < 2 for side in sides):  # one round can't tell a busy hour from a slower model
        return Estimate(value=between_points.value, low=None, high=None, unit="ratio")
    base, new = sides
    _, error, degrees = welch(base.mean(), base.std(ddof=1), base.size, new.mean(), new.std(ddof=1), new.size)
    half = float(t_quantile(degrees) * error)
    low, high = (between_points.value * math.exp(sign * half) for sign in (-1, 1))
    return Estimate(
        value=between_points.value, low=min(low, between_points.low), high=max(high, between_points.high), unit="ratio"
    )


def _round_means(both: pd.DataFrame, side: str) -> Floats:
    """Mean log latency of each round over the points that are good in all rounds; empty for simulated points."""
    column = f"round_medians_ms_{side}"
    measured = both[both["origin_base"] != "simulated"]
    if column not in measured.columns or measured.empty:
        return np.empty(0)
    whole = measured[column][measured[f"n_rounds_{side}"] == measured[f"n_rounds_{side}"].max()]
    return np.asarray(np.log(np.array(whole.tolist(), dtype=float)).mean(axis=0), dtype=float)


def _overall(mean: Estimate | None, floor: float) -> Verdict | None:
    if mean is None:
        return None
    if mean.low is None or mean.high is None:
        return "undecided"
    if mean.low >= 1 / (1 + floor) and mean.high <= 1 + floor:
        return "same"
    if mean.low > 1 and mean.value > 1 + floor:
        return "faster"
    return "slower" if mean.high < 1 and mean.value < 1 / (1 + floor) else "undecided"


def _only(here: pd.DataFrame, there: pd.DataFrame) -> tuple[str, ...]:
    """Points good here and not there, with what there is instead."""
    mine = good(here)
    other = there.set_index("key")
    found = []
    for key in mine["key"][~mine["key"].isin(good(there)["key"])]:
        error = other["error"].get(key) if key in other.index else None
        state = f"failed: {short(error, 120)}" if key in other.index else "not there"
        found.append(f"{key} ({state})")
    return tuple(found)


def _devices(table: pd.DataFrame) -> str:
    return f"{len(table)} points on {short(', '.join(sorted(set(table['device'].astype(str)))), 120)}"


def _notes(judged: pd.DataFrame) -> tuple[str, ...]:
    notes = []
    few = int((judged["reason"] == FEW_ROUNDS).sum())
    if few:
        notes.append(f"{few} points have fewer than two rounds on a side; no spread between rounds, no verdict")
    simulated = int((judged["origin"] == "simulated").sum())
    if 0 < simulated < len(judged):
        notes.append(
            f"{simulated} simulated points are judged as exact and don't count in the mean of the measured ones"
        )
    return tuple(notes)
