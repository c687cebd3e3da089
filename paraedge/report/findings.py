"""The headline findings: sentences computed from the data, each with the kind of number it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from paraedge.analyze.points import target_labels
from paraedge.analyze.speedup import speedup
from paraedge.core.errors import BadInput
from paraedge.report.data import ReportData, Series
from paraedge.report.figures.rounds import deviations
from paraedge.report.sections import fastest_base, regression_fits, under_roofs
from paraedge.report.tables import cell, parameter_text

MIB = 2**20
MOST_SENTENCES = 4
"""Of one kind: a reader of five devices doesn't want the same sentence five times over."""


def headlines(data: ReportData) -> list[str]:
    """Sentences in order of interest; none where no point has a result."""
    makers: tuple[Callable[[ReportData], Iterator[str]], ...] = (
        speedups, peaks, cliffs, weightiest, noise, implausible, failed,
    )  # fmt: skip
    if not (data.points["status"] == "ok").any():
        return []
    return [sentence for make in makers for sentence in list(make(data))[:MOST_SENTENCES]]


def speedups(data: ReportData) -> Iterator[str]:
    """How much faster the others are than the base."""
    base = fastest_base(data)
    for new in data.series if base else ():
        if base is None or new is base:
            continue
        try:
            result = speedup(data.of(base), data.of(new), ["spec_id"], "latency_median_ms")
        except BadInput:
            continue
        mean = result.geometric_mean
        verb = "is expected to be" if new.simulated else "is"
        how = f"{cell(mean, 3)} times as fast as" if mean >= 1 else f"{cell(1 / mean, 3)} times slower than"
        yield (
            f"{new.label} {verb} {how} {base.label} (geometric mean over {result.count} models, {new.origin} by {base.origin}): "
            f"faster on {100 * result.share_above_1:.0f} % of them, from {cell(result.min, 2)} to {cell(result.max, 3)} times."
        )


def peaks(data: ReportData) -> Iterator[str]:
    """The best rate of each device and its share of the peak."""
    for series in (*data.measured, *data.simulated[:1]):
        table = data.of(series)
        if table["gops_per_s"].notna().any():
            best = table.loc[table["gops_per_s"].astype(float).idxmax()]
            compute = [r["value"] for r in series.roofs if r.get("kind") == "compute" and r.get("level") == best["precision"]]
            share = f", {100 * best['gops_per_s'] / max(compute):.0f} % of its {best['precision']} roof" if compute else ""
            point = parameter_text(best, data.parameters(table[table["family"] == best["family"]]))
            yield (
                f"The best rate on {series.title} is {cell(best['gops_per_s'], 3)} GOPS/s{share}, by {best['family']} {point}; "
                f"half of its models stay below {cell(table['gops_per_s'].median(), 3)} GOPS/s."
            )


def cliffs(data: ReportData) -> Iterator[str]:
    """What happens where weights outgrow the on-chip memory: the largest model before, the smallest after."""
    for series in data.series:
        table = data.of(series)
        if not {"off_chip_bytes", "weight_bytes"} <= set(table.columns):
            continue
        for family in data.families:
            mine = table[(table["family"] == family) & (table["batch"] == table["batch"].min())].dropna(subset="off_chip_bytes")
            inside, outside = mine[mine["off_chip_bytes"] == 0], mine[mine["off_chip_bytes"] > 0]
            if inside.empty or outside.empty:
                continue
            before = inside.loc[inside["weight_bytes"].astype(float).idxmax()]
            after = outside.loc[outside["weight_bytes"].astype(float).idxmin()]
            ratio = float(after["latency_median_ms"] / before["latency_median_ms"])
            if ratio > 1.2:
                yield (
                    f"{family} on {series.title} falls off the memory cliff: from {cell(before['weight_bytes'] / MIB, 3)} MiB of "
                    f"weights, all on chip, to {cell(after['weight_bytes'] / MIB, 3)} MiB the latency goes from "
                    f"{cell(before['latency_median_ms'], 3)} to {cell(after['latency_median_ms'], 3)} ms, {cell(ratio, 2)} times."
                )
                break


def weightiest(data: ReportData) -> Iterator[str]:
    """The hyperparameter that moves the rate of each family most, on the first device."""
    for series in data.series[:1]:
        parts = []
        for family in data.families:
            for group in regression_fits(data, series, family):
                known = [weight for weight in group.weights if weight.value is not None]
                if known and group.r2 is not None and group.r2 >= 0.5:
                    most = max(known, key=lambda weight: abs(weight.value or 0))
                    parts.append(f"{most.feature} for {family} ({most.value:+.2f}, R² {group.r2:.2f})")
                    break
        if parts:
            yield f"What moves the rate on {series.title} most, by standardised regression: {', '.join(parts)}."


def noise(data: ReportData) -> Iterator[str]:
    """How far fresh processes lie apart."""
    for series in data.measured:
        runs = data.campaigns[int(data.of(series, only_good=False)["place"].iloc[0])].runs
        found = deviations(runs[(target_labels(runs) == series.target).to_numpy()])
        if not found.empty:
            spread = found.groupby("spec_id")["percent"].agg(lambda p: p.max() - p.min())
            middle, far = np.percentile(spread, [50, 90])
            yield (
                f"Fresh processes on {series.label} disagree: the rounds of a model lie {cell(float(middle), 2)} % apart in the "
                f"median and more than {cell(float(far), 2)} % for one model in ten. Smaller differences mean nothing."
            )


def implausible(data: ReportData) -> Iterator[str]:
    """How many points lie above every roof."""
    for series in data.series:
        flagged = _flagged(data, series)
        if flagged:
            yield f"{flagged} point{'s' if flagged > 1 else ''} on {series.title} lie above every roof that could hold them: see Rooflines."


def _flagged(data: ReportData, series: Series) -> int:
    try:
        points = under_roofs(data, series).points
    except BadInput:
        return 0
    return 0 if points.empty else int(points.loc[points["implausible"].notna(), "spec_id"].nunique())


def failed(data: ReportData) -> Iterator[str]:
    """How many points have no result, and the reason most of them give."""
    bad = data.points[data.points["status"] != "ok"]
    if len(bad):
        stage: pd.Series[str] = bad["error"].fillna("unknown").astype(str).str.split(":").str[:2].str.join(":")
        kind, count = stage.value_counts().index[0], int(stage.value_counts().iloc[0])
        yield (
            f"{len(bad)} of {len(data.points)} points have no result"
            + (f", {count} of them by {kind.strip()}" if count < len(bad) else f", all by {kind.strip()}")
            + "; each is listed under Failures."
        )
