"""What the numbers say, in sentences. Each names the origin of what it claims: measured or simulated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from paraedge.analyze.points import invokes, parameter_columns, target_labels, whole
from paraedge.analyze.roofline import RooflineResult
from paraedge.analyze.speedup import speedup
from paraedge.analyze.statistics import log_t_interval
from paraedge.analyze.table import good, numbers
from paraedge.analyze.weights import Weight, weights
from paraedge.core.errors import BadInput, short

MIB = 2**20


def findings(points: pd.DataFrame, roofline: RooflineResult | None = None) -> list[str]:
    """Headline findings on the points (see `points`) of one campaign, most telling first; what it lacks is left out.

    Pipelines say nothing here: `analyze.pipelines` is about them.
    """
    table = whole(points)
    if table.empty:
        return []
    table = table.assign(target=target_labels(table))
    parts: Sequence[Callable[[], list[str]]] = (
        lambda: _rates(table),
        lambda: _roofs(roofline) if roofline is not None else [],
        lambda: _cliffs(table),
        lambda: _simulated_against_measured(table),
        lambda: _weights(table),
        lambda: _noise(table),
        lambda: _failures(table),
    )
    return [sentence for part in parts for sentence in part()]


def figure(value: float) -> str:
    """Three significant digits, without an exponent where people don't want one: 0.0123, 4.57, 1,230."""
    if not math.isfinite(value):
        return "?"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return f"{value:.3g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"


def point_name(row: pd.Series[Any], table: pd.DataFrame) -> str:
    """The family and those hyperparameters that vary within it: `fc layer=4 node=512`."""
    family = table[table["family"] == row["family"]]
    varying = [name for name in parameter_columns(family) if family[name].nunique() > 1]
    shown = [f"{name}={_cell(row[name])}" for name in varying if not pd.isna(row[name])]
    return " ".join([str(row["family"]), *shown])


def _largest(table: pd.DataFrame, column: str, sign: int = 1) -> pd.Series[Any]:
    """The row with the largest number of a column, or the smallest with sign -1; the first of equals."""
    ordered = (sign * numbers(table, column)).to_numpy()
    return table.iloc[int(np.nanargmax(ordered))]


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _origin(part: pd.DataFrame) -> str:
    return " and ".join(sorted(map(str, part["origin"].dropna().unique()))) or "of unknown origin"


def _rates(table: pd.DataFrame) -> list[str]:
    """The fastest and the slowest family of each target, by the median rate."""
    found = []
    for target, part in good(table).groupby("target", sort=False):
        rates = part.dropna(subset="gops_per_s") if "gops_per_s" in part.columns else part.iloc[:0]
        if rates.empty or "family" not in rates.columns:
            continue
        best = _largest(rates, "gops_per_s")
        peak = f"{figure(float(best['gops_per_s']))} GOPS/s ({point_name(best, table)})"
        middle = rates.groupby("family", sort=False)["gops_per_s"].median().sort_values()
        start = f"{target} ({_origin(part)}) reaches at most {peak}"
        if len(middle) < 2:
            found.append(f"{start}.")
            continue
        high, low = (f"{middle.index[i]} ({figure(float(middle.iloc[i]))} GOPS/s)" for i in (-1, 0))
        found.append(f"{start}; by the median of its points, {high} is its fastest family and {low} its slowest.")
    return found


def _roofs(result: RooflineResult) -> list[str]:
    """How near the best point of each target comes to its compute roof, and what limits the points."""
    found = []
    best = result.best()
    for target, part in best.groupby("target", sort=False) if len(best) else ():
        known = part[part["share_of_roof"].notna() & part["implausible"].isna()]
        if known.empty:
            continue
        top = _largest(known, "share_of_roof")
        share = f"{100 * float(top['share_of_roof']):.0f} %"
        bounds = part["bound"].value_counts()
        counted = ", ".join(f"{count} by {bound}" for bound, count in bounds.items())
        roof = "simulated" if _origin(part) == "simulated" else "measured"
        found.append(
            f"On {target} ({_origin(part)}), {point_name(top, part)} comes nearest to its {roof} roof, {share} of it; "
            f"its points are limited: {counted}."
        )
    odd = best.dropna(subset="implausible")
    for target, part in odd.groupby("target", sort=False) if len(odd) else ():
        example = part.iloc[0]
        found.append(
            f"{len(part)} points on {target} ({_origin(part)}) lie above every roof that could hold them and should "
            f"not be trusted, such as {point_name(example, best)}: {example['implausible']}."
        )
    return found


def _cliffs(table: pd.DataFrame) -> list[str]:
    """The jump of an invoke's latency between the last FC model on chip and the first streamed one."""
    if not {"off_chip_bytes", "family", "weight_bytes"} <= set(table.columns):
        return []
    fc = good(table)
    fc = fc[fc["family"] == "fc"]
    fc = fc[numbers(fc, "weight_bytes").notna()]
    fc = fc.assign(invoke_ms=numbers(fc, "latency_median_ms") / invokes(fc), off=numbers(fc, "off_chip_bytes"))
    found = []
    for target, part in fc.dropna(subset="off").groupby("target", sort=False):
        held, streamed = part[part["off"] == 0], part[part["off"] > 0]
        if held.empty or streamed.empty:
            continue
        last = _largest(held, "weight_bytes")
        first = _largest(streamed, "weight_bytes", sign=-1)
        sizes = [float(row["weight_bytes"]) / MIB for row in (last, first)]
        times = [float(row["invoke_ms"]) for row in (last, first)]
        found.append(
            f"On {target} ({_origin(part)}), an fc invoke takes {figure(times[0])} ms with the largest weights that "
            f"stay on chip ({figure(sizes[0])} MiB) and {figure(times[1])} ms with the smallest that are streamed "
            f"({figure(sizes[1])} MiB): {figure(times[1] / times[0])} times as long for "
            f"{figure(sizes[1] / sizes[0])} times the weights."
        )
    return found


def _main_measured(table: pd.DataFrame) -> pd.DataFrame:
    """The good points of the measured target that has most of them."""
    measured = good(table)
    measured = measured[measured["origin"] == "measured"]
    if measured.empty:
        return measured
    most = measured["target"].value_counts(sort=True).index[0]
    return measured.groupby("target").get_group(most)


def _simulated_against_measured(table: pd.DataFrame) -> list[str]:
    """Geometric-mean speed-up of each simulated target over the measured one."""
    base = _main_measured(table)
    found = []
    simulated = good(table)[good(table)["origin"] == "simulated"]
    for target, part in simulated.groupby("target", sort=False) if len(base) else ():
        try:
            result = speedup(base, part, ["spec_id"], "latency_median_ms")
        except BadInput:  # no point is good on both
            continue
        mean = log_t_interval(result.pairs["speedup"].to_numpy(), "ratio")
        interval = "" if mean.low is None or mean.high is None else f" [{figure(mean.low)}, {figure(mean.high)}]"
        found.append(
            f"By simulation, {target} is {figure(mean.value)}{interval} times as fast as measured on "
            f"{base['target'].iloc[0]} (geometric mean over {result.count} points good on both; it is ahead on "
            f"{100 * result.share_above_1:.0f} % of them): a prediction against a measurement."
        )
    return found


def _weights(table: pd.DataFrame) -> list[str]:
    """The hyperparameter that moves the rate most, for each family on the measured target."""
    part = _main_measured(table)
    if part.empty or not {"family", "gops_per_s"} <= set(part.columns):
        return []
    found = []
    for family, rows in part.groupby("family", sort=False):
        names = [name for name in parameter_columns(rows) if rows[name].nunique() > 1 and _all_numbers(rows[name])]
        if not names:
            continue
        group = weights(rows, names, "gops_per_s", log2=True, by=()).groups[0]
        sure = [weight for weight in group.weights if weight.low is not None and weight.low * (weight.high or 0) > 0]
        if not sure or group.r2 is None:
            continue
        top = max(sure, key=lambda weight: abs(weight.value or 0))
        found.append(
            f"For {family} on {part['target'].iloc[0]} (measured), {top.feature} moves GOPS/s most: {_shown(top)} "
            f"standard deviations for one of log2 {top.feature} (R2 {group.r2:.2f}, {group.n} points)."
        )
    return found


def _all_numbers(column: pd.Series[Any]) -> bool:
    return bool((pd.to_numeric(column, errors="coerce") > 0).all())


def _shown(weight: Weight) -> str:
    values = [value for value in (weight.value, weight.low, weight.high) if value is not None]
    return f"{values[0]:+.2f} [{values[1]:+.2f}, {values[2]:+.2f}]"


def _noise(table: pd.DataFrame) -> list[str]:
    """The median spread between rounds of each measured target."""
    found = []
    measured = good(table)
    measured = measured[(measured["origin"] == "measured") & measured["between_spread"].notna()]
    for target, part in measured.groupby("target", sort=False):
        spread = 100 * part["between_spread"].astype(float)
        middle, high = float(spread.median()), float(spread.quantile(0.9))
        rounds = int(np.median(part["n_rounds"]))
        found.append(
            f"Between {rounds} rounds, a point's latency on {target} (measured) spreads by {figure(middle)} % "
            f"(median over {len(part)} points; nine in ten stay below {figure(high)} %)."
        )
    return found


def _failures(table: pd.DataFrame) -> list[str]:
    """How many points failed on each target, and the commonest reasons."""
    bad = table[table["status"] != "ok"]
    if bad.empty:
        return [f"All {len(table)} points have a result."]
    found = []
    for target, part in bad.groupby("target", sort=False):
        reasons = part["error"].fillna("no reason was kept").map(lambda text: short(text, 120)).value_counts()
        named = "; ".join(f"{count} x {reason}" for reason, count in reasons.head(3).items())
        more = f"; and {len(reasons) - 3} other reasons" if len(reasons) > 3 else ""
        total = int((table["target"] == target).sum())
        verb = "has" if len(part) == 1 else "have"
        found.append(f"{len(part)} of {total} points on {target} ({_origin(part)}) {verb} no result: {named}{more}.")
    return found
