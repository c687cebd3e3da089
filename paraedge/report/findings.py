"""The headline findings: a few sentences over all devices, each with the kind of number it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from paraedge.analyze.findings import findings
from paraedge.analyze.pipelines import MARGIN, best_row, over_fewest
from paraedge.analyze.roofline import computed_in, roofline
from paraedge.analyze.speedup import SpeedupResult, speedup
from paraedge.core.device import Origin
from paraedge.core.errors import BadInput
from paraedge.report.data import ReportData, Series, joined, like
from paraedge.report.sections import fastest_base, quantization_headline, regression_fits, sort_of, under_roofs
from paraedge.report.tables import cell, point_text

MIB = 2**20


def headlines(data: ReportData) -> list[str]:
    """Sentences in order of interest, one a topic; none where no point has a result."""
    makers: tuple[Callable[[ReportData], Iterator[str]], ...] = (
        several_devices, speedups, quantization_headline, peaks, cliffs, weightiest, noise, implausible, failed,
    )  # fmt: skip
    if not any((table["status"] == "ok").any() for table in (data.pipelines, data.points)):
        return []
    return [sentence for make in makers for sentence in make(data)]


def details(data: ReportData) -> list[str]:
    """All findings of `analyze.findings`, campaign by campaign and device by device."""
    found = []
    for place, campaign in enumerate(data.campaigns):
        table = data.points[data.points["place"] == place]
        roofs = campaign.meta.get("roofs")
        if len(table):
            try:
                result = roofline(table, roofs) if isinstance(roofs, dict) else None
            except BadInput:  # the roofline's own section says what is wrong with it
                result = None
            name = f"{table['campaign'].iloc[0]}: " if len(data.campaigns) > 1 else ""
            found += [name + sentence for sentence in findings(table, result)]
    return found


def several_devices(data: ReportData) -> Iterator[str]:
    """What several devices gave at most, and where one was better, by device."""
    if data.pipelines.empty:
        return
    table = over_fewest(data.pipelines)
    table = table[table["inputs"] == table.groupby("device")["inputs"].transform("max")]  # fewer say less
    more = table[table["segments"].astype(float) > table["base_segments"]]
    for _, runs in more.groupby("origin", sort=False):
        found = [best_row(mine) for _, mine in runs.groupby("device", sort=False)]
        found.sort(key=lambda row: -float(row["speedup"]))
        best = found[0]
        least, models = int(best["base_segments"]), runs.groupby(["device", "spec_id"])["speedup"].max()
        start = "By simulation, " if best["origin"] == Origin.SIMULATED.value else "Measured: "
        if best["speedup"] <= 1 + MARGIN:
            yield f"{start}no cut and no copies over several devices are faster than {'one' if least == 1 else least}."
            continue
        why = ", more than as many times, since its parameters come on chip" if best["by_memory"] else ""
        others = [f"{cell(one['speedup'], 3)} on {one['device']}" for one in found[1:]]
        yield (
            f"{start}{int(best['segments'])} devices ({best['device']}, {best['strategy']}) give up to "
            f"{cell(best['speedup'], 3)} times the throughput of {'one' if least == 1 else f'{least}'}{why}: "
            f"{best['family']} with {cell(best['weight_bytes'] / MIB, 3)} MiB of weights."
            f"{f' At best {joined(others)}.' if others else ''} More devices are no more than {100 * MARGIN:.0f} % "
            f"faster for {int((models <= 1 + MARGIN).sum())} of {len(models)} models{' and devices' if others else ''}."
        )


def speedups(data: ReportData) -> Iterator[str]:
    """How much faster the others are than the base: measured ones, then simulated ones."""
    base = fastest_base(data)
    if base is None:
        return
    for group in (data.measured, data.simulated):
        found: list[tuple[Series, SpeedupResult]] = []
        for new in group:
            if new is not base:
                try:
                    found.append((new, speedup(data.of(base), data.of(new), ["spec_id"], "latency_median_ms")))
                except BadInput:  # no point is good on both; the section says so
                    continue
        if found:
            yield _speedups(base, sorted(found, key=lambda pair: -pair[1].geometric_mean))


def _speedups(base: Series, found: Sequence[tuple[Series, SpeedupResult]]) -> str:
    new, best = found[0]
    ranks = joined([f"{series.label} is {_times(r.geometric_mean)}" for series, r in found])
    start = "By simulation, " if new.simulated else ""
    against = f"{base.label}, as measured there" if new.simulated and not base.simulated else base.label
    return (
        f"{start}{ranks}, compared with {against} (geometric means over the models good on both). {new.label} is the "
        "faster of the "
        f"two on {100 * best.share_above_1:.0f} % of {best.count} models; its best is {_times(best.max)}, its worst "
        f"{_times(best.min)}."
    )


def _times(ratio: float) -> str:
    return f"{cell(ratio, 3)} times as fast" if ratio >= 1 else f"{cell(1 / ratio, 3)} times slower"


def peaks(data: ReportData) -> Iterator[str]:
    """The best rate of the first device of each kind and its share of the peak."""
    for series in (*data.measured, *data.simulated[:1]):
        table = data.of(series)
        table = table[~table["spec_id"].isin(_flagged(data, series))]
        if table["gops_per_s"].notna().any():
            best = _at_most(table, "gops_per_s")
            compute = [r for r in series.roofs if r.get("kind") == "compute" and {"level", "value"} <= r.keys()]
            known = {str(r["level"]): float(r["value"]) for r in compute}
            levels = computed_in(str(best["precision"]), known)
            level = max(levels, key=lambda name: known[name], default="")
            share = f", {100 * best['gops_per_s'] / known[level]:.0f} % of its {level} roof" if level else ""
            point = point_text(data, best)
            yield (
                f"The best rate on {series.title} is {cell(best['gops_per_s'], 3)} GOPS/s{share}, by "
                f"{best['family']} {point}; "
                f"half of its models stay below {cell(table['gops_per_s'].median(), 3)} GOPS/s."
            )


def cliffs(data: ReportData) -> Iterator[str]:
    """What happens where weights outgrow the on-chip memory: the largest model before, the smallest after."""
    for family in data.families:
        found: dict[str, list[str]] = {}
        for series in data.series:
            pair = _edge(data.of(series), family)
            if pair is not None and pair[1]["latency_median_ms"] > 1.2 * pair[0]["latency_median_ms"]:
                sizes = [cell(row["weight_bytes"] / MIB, 3) for row in pair]
                times = " to ".join(cell(row["latency_median_ms"], 3) for row in pair)
                where = f"from {sizes[0]} MiB of weights, all on chip, to {sizes[1]} MiB"
                found.setdefault(where, []).append(f"{times} ms on {series.title}")
        if found:
            parts = [f"{where} the latency goes from {joined(times)}" for where, times in found.items()]
            yield f"{family} falls off the memory cliff: {'; '.join(parts)}."
            return


def _edge(table: pd.DataFrame, family: str) -> tuple[pd.Series, pd.Series] | None:
    """The largest model all of whose weights stay on chip and the smallest that streams some, at the smallest batch."""
    mine = like(table[table["family"] == family]).dropna(subset="off_chip_bytes")
    inside, outside = mine[mine["off_chip_bytes"] == 0], mine[mine["off_chip_bytes"] > 0]
    if inside.empty or outside.empty:
        return None
    return _at_most(inside, "weight_bytes"), _at_most(outside, "weight_bytes", sign=-1)


def _at_most(table: pd.DataFrame, column: str, sign: int = 1) -> pd.Series:
    """The row with the largest number of a column, or the smallest with sign -1."""
    return table.iloc[int(np.nanargmax(sign * table[column].to_numpy(dtype=float, na_value=np.nan)))]


def weightiest(data: ReportData) -> Iterator[str]:
    """The hyperparameter that moves the rate of each family most, on the first device."""
    for series in data.series[:1]:
        parts = []
        for family in data.families:
            for group in regression_fits(data, series, family):
                sure = [w for w in group.weights if w.low is not None and w.high is not None and w.low * w.high > 0]
                if sure and group.r2 is not None:
                    most = max(sure, key=lambda weight: abs(weight.value or 0))
                    parts.append(f"{most.feature} for {sort_of(family, group)} ({most.value:+.2f}, R² {group.r2:.2f})")
        if parts:
            yield f"What moves the rate on {series.title} most, by standardised regression: {joined(parts)}."


def noise(data: ReportData) -> Iterator[str]:
    """How far fresh processes lie apart."""
    for series in data.measured:
        spread = 100 * data.of(series)["between_spread"].astype(float).dropna()
        if len(spread):
            yield (
                f"Fresh processes on {series.label} differ: the rounds of one model scatter by "
                f"{cell(spread.median(), 2)} % (standard "
                f"deviation, median over {len(spread)} models) and by more than {cell(spread.quantile(0.9), 2)} % "
                "for one in ten. "
                "Smaller differences mean nothing."
            )


def implausible(data: ReportData) -> Iterator[str]:
    """How many points lie above every roof."""
    counts = {series.title: len(_flagged(data, series)) for series in data.series}
    parts = [f"{count} on {title}" for title, count in counts.items() if count]
    if parts:
        yield f"Points faster than their roofs allow, not to be trusted: {joined(parts)}; see Rooflines."


def _flagged(data: ReportData, series: Series) -> set[str]:
    """The spec_id of each point above every roof."""
    try:
        points = under_roofs(data, series).points
    except BadInput:
        return set()
    return set() if points.empty else set(points.loc[points["implausible"].notna(), "spec_id"])


def failed(data: ReportData) -> Iterator[str]:
    """How many points have no result, and the reason most of them give."""
    together = pd.concat([data.points, data.pipelines])[["status", "error"]]
    bad = together[together["status"] != "ok"]
    if len(bad):
        reasons = bad["error"].fillna("unknown").astype(str).str.split(":").str[:2].str.join(":")
        kinds = reasons.str.replace(r" x\d+$", "", regex=True).value_counts()  # so many ops of that kind is no kind
        kind, count = str(kinds.index[0]).strip(), int(kinds.iloc[0])
        share = f"{count} of them by {kind}" if count < len(bad) else f"by {kind}"
        verb = "has" if len(bad) == 1 else "have"
        yield f"{len(bad)} of {len(together)} points {verb} no result, {share}; each is listed under Failures."
