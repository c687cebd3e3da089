"""How much each hyperparameter weighs: least squares on standardised values (ParaDnn, section 4.1).

Y. Wang, G.-Y. Wei and D. Brooks, "A Systematic Methodology for Analysis of Deep Learning Hardware and Software
Platforms", MLSys 2020.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paraedge.analyze.plain import plain_dict
from paraedge.analyze.points import INTEGER_OPTIONS, TARGET_KEYS
from paraedge.analyze.statistics import Floats
from paraedge.analyze.table import good, numbers, require_columns
from paraedge.core.errors import BadInput

GROUP_COLUMNS = ("family", "precision", *TARGET_KEYS, "origin")
"""One line over different machines or kinds of network has no meaning; each of their combinations is a group."""
FEW_POINTS = 30
"""Below this many points the robust intervals are rough, HC3 the best of them (Long and Ervin 2000)."""
RANK_TOLERANCE = 1e-8


@dataclass(frozen=True, kw_only=True)
class Weight:
    """Standard deviations that the target moves for one of the feature; None for a feature that was left out."""

    feature: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class WeightsGroup:
    """One line through the points of one group, or the reason why there is none.

    where: the columns and values that make the group. n: points used; n_dropped: rows without a usable number.
    """

    name: str
    where: Mapping[str, object]
    n: int
    n_dropped: int
    r2: float | None
    weights: tuple[Weight, ...]
    notes: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class WeightsResult:
    """Weights of `features` on `target`, by group; `log2` says whether the features are logarithms."""

    features: tuple[str, ...]
    target: str
    log2: bool
    target_log2: bool
    groups: tuple[WeightsGroup, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON; unknown is None."""
        return plain_dict(self)


def weights(
    table: pd.DataFrame,
    features: Sequence[str],
    target: str,
    *,
    log2: bool = False,
    target_log2: bool = False,
    by: Sequence[str] | None = None,
    source: str = "the table",
) -> WeightsResult:
    """Standardised least squares of `target` on `features`, with R2 and HC3 95 % intervals (Student's t).

    Features and target have mean 0 and standard deviation 1 (ddof 0) within each group. Groups are the combinations of
    `by` (default: those of GROUP_COLUMNS that are there and vary), and on-chip and streamed points apart where
    there is a column `off_chip_bytes`: one line over the memory cliff has no meaning. Only rows with status ok count.
    Raises BadInput for no features, a feature twice, a missing column or one that holds text.
    """
    names = tuple(features)
    if not names:
        raise BadInput("weights needs at least one feature")
    if len(set(names)) < len(names) or target in names:
        raise BadInput(f"features must differ from each other and from the target {target!r}")
    require_columns(table, (*names, target), source, numeric=True)
    rows = good(table)
    columns = _group_columns(rows, names, target) if by is None else list(by)
    require_columns(table, columns, source)
    notes = [f"{len(table) - len(rows)} failed rows are left out"] if len(rows) < len(table) else []
    groups = tuple(
        _fit_group(where, part, names, target, log2=log2, target_log2=target_log2)
        for where, part in _groups(rows, columns)
    )
    return WeightsResult(
        features=names, target=target, log2=log2, target_log2=target_log2, groups=groups, notes=tuple(notes)
    )


def _group_columns(rows: pd.DataFrame, features: Sequence[str], target: str) -> list[str]:
    used = {*features, target}
    return [n for n in GROUP_COLUMNS if n in rows.columns and n not in used and rows[n].nunique(dropna=False) > 1]


def _groups(rows: pd.DataFrame, columns: Sequence[str]) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """The rows of each combination of `columns` and of the place of the weights, with what makes it."""
    marked = rows
    columns = list(columns)
    if "off_chip_bytes" in rows.columns and bool(rows["off_chip_bytes"].notna().any()):
        off_chip = numbers(rows, "off_chip_bytes")
        place = pd.Series(np.where(off_chip > 0, "streamed", "on chip"), index=rows.index, dtype=object)
        marked = rows.assign(weights_place=place.where(off_chip.notna(), None))
        columns.append("weights_place")
    if not columns:
        return [({}, rows)]
    found: list[tuple[dict[str, object], pd.DataFrame]] = []
    for _, part in marked.groupby(columns, dropna=False, sort=False):
        first = part[columns].iloc[0].dropna()
        found.append(({str(name): value for name, value in first.items()}, part))
    return found


def _fit_group(
    where: Mapping[str, object],
    part: pd.DataFrame,
    features: Sequence[str],
    target: str,
    *,
    log2: bool,
    target_log2: bool,
) -> WeightsGroup:
    values = pd.DataFrame({name: numbers(part, name) for name in (*features, target)})
    logged = [*(features if log2 else ()), *([target] if target_log2 else [])]
    for name in logged:
        values[name] = np.log2(values[name].where(values[name] > 0))
    usable = values.dropna()
    dropped = len(values) - len(usable)
    notes = [f"{dropped} rows without a usable number are left out"] if dropped else []
    notes += _left_out_notes(usable, kept := _independent(usable, features), features)
    reason = _why_no_line(usable, kept, target)
    found: dict[str, Weight] = {}
    r2 = None
    if reason is None:
        found, r2 = _least_squares(usable, kept, target)
        if len(usable) < FEW_POINTS:
            notes.append(f"{len(usable)} points only: the intervals are rough")
        if any(weight.low is None for weight in found.values()):
            notes.append("a point that alone decides a weight leaves no interval")
    missing = {name: Weight(feature=name, value=None, low=None, high=None) for name in features}
    rows = tuple((missing | found)[name] for name in features) if reason is None else ()
    name = " · ".join(_shown(key, value) for key, value in where.items()) or "all points"
    return WeightsGroup(
        name=name, where=dict(where), n=len(usable), n_dropped=dropped, r2=r2, weights=rows, notes=tuple(notes),
        reason=reason,
    )  # fmt: skip


def _shown(name: str, value: object) -> str:
    if name not in INTEGER_OPTIONS:
        return str(value)
    return f"{name}={int(value) if isinstance(value, float) else value}"


def standardised(column: pd.Series[float]) -> Floats:
    """Mean 0 and standard deviation 1 (ddof 0); zeros for a column that doesn't vary."""
    array = column.to_numpy(dtype=float)
    centred = array - array.mean() if array.size else array
    spread = float(np.sqrt(np.mean(centred**2))) if array.size else 0.0
    # a constant column keeps a spread of rounding errors; it must not be blown up to 1
    constant = spread <= 1e-12 * float(np.max(np.abs(array), initial=0.0))
    return np.zeros(array.size) if constant else np.asarray(centred / spread, dtype=float)


def _independent(values: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """The features that vary and are not linear combinations of those before them."""
    basis = np.empty((len(values), 0))
    kept: list[str] = []
    for name in features:
        column = standardised(values[name])
        length = float(np.linalg.norm(column))
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)  # twice is enough (Kahan)
        left = float(np.linalg.norm(rest))
        if length > 0 and left > RANK_TOLERANCE * length:
            basis = np.column_stack([basis, rest / left])
            kept.append(name)
    return kept


def _left_out_notes(values: pd.DataFrame, kept: Sequence[str], features: Sequence[str]) -> list[str]:
    notes = []
    for name in (name for name in features if name not in kept and len(values)):
        if not standardised(values[name]).any():
            notes.append(f"{name} doesn't vary here and is left out")
        else:
            notes.append(f"{name} follows linearly from the features before it and is left out")
    return notes


def _why_no_line(values: pd.DataFrame, kept: Sequence[str], target: str) -> str | None:
    if values.empty:
        return "no row has all the numbers"
    if not kept:
        return "no feature varies"
    if len(values) < len(kept) + 2:
        return f"{len(values)} points are too few for {len(kept)} features; at least {len(kept) + 2} are needed"
    if not standardised(values[target]).any():
        return f"{target} doesn't vary"
    return None


def _least_squares(values: pd.DataFrame, kept: Sequence[str], target: str) -> tuple[dict[str, Weight], float]:
    """Weights with HC3 intervals, and R2. The constant is 0 after standardising, and costs a degree of freedom."""
    from statsmodels.regression.linear_model import OLS

    matrix = np.column_stack([np.ones(len(values)), *(standardised(values[name]) for name in kept)])
    orthogonal, _ = np.linalg.qr(matrix)
    # a point with a leverage of 1 has no residual of its own: HC3 divides 0 by 0
    known = float(np.max(np.sum(orthogonal**2, axis=1))) < 1 - RANK_TOLERANCE
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # statsmodels warns of that division; `known` tells it
        fit = OLS(standardised(values[target]), matrix).fit(cov_type="HC3", use_t=True)
        intervals = np.asarray(fit.conf_int(0.05), dtype=float)
    found: dict[str, Weight] = {}
    for position, name in enumerate(kept, start=1):
        low, high = (float(bound) if known else None for bound in intervals[position])
        found[name] = Weight(feature=name, value=float(fit.params[position]), low=low, high=high)
    return found, float(fit.rsquared)
