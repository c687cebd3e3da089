"""The page's sections: which figures and tables a reader gets, and a sentence for each that can't be had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paraedge.analyze.heatmap import heatmap
from paraedge.analyze.points import target_labels
from paraedge.analyze.roofline import RooflineResult, roofline
from paraedge.analyze.speedup import SpeedupResult, speedup
from paraedge.analyze.weights import WeightsGroup, weights
from paraedge.core.errors import BadInput
from paraedge.report import tables
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, Series
from paraedge.report.figures import heatmap as heatmap_figure
from paraedge.report.figures import latency, rounds
from paraedge.report.figures import roofline as roofline_figure
from paraedge.report.figures import speedup as speedup_figure
from paraedge.report.figures import weights as weights_figure
from paraedge.report.tables import Column, Table, cell

MOST_SERIES = 8
"""Most devices that get a panel of their own in a section; of more, the first ones."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page. `short` stands in the contents; `holes` say what is missing and why."""

    id: str
    short: str
    title: str
    texts: tuple[str, ...]
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    holes: tuple[str, ...] = ()


def sections(data: ReportData) -> list[Section]:
    """All sections in order; each is there in every report, if only to say what it lacks."""
    makers: tuple[Callable[[ReportData], Section], ...] = (
        latency_section, speedup_section, roofline_section, heatmap_section, weights_section, rounds_section,
        failures_section, points_section,
    )  # fmt: skip
    return [make(data) for make in makers]


def latency_section(data: ReportData) -> Section:
    """Latency against size: the memory cliff."""
    panels = [latency.draw(data, family) for family in data.families]
    holes = [
        f"No figure for {family}: fewer than two of its points have a result."
        for family, panel in zip(data.families, panels, strict=True)
        if panel is None
    ]
    return Section(
        id="latency", short="Latency and size", title="Latency against model size",
        texts=(
            "Each mark is a model. Where the marks of a device leave their line upwards, its weights have outgrown a memory: "
            "a cache of the CPU, or the on-chip memory of an Edge TPU, beyond which weights are sent again for every invoke. "
            "Bars are 95 % intervals between rounds, where there are several.",
        ),
        panels=_there(panels), holes=tuple(holes) or _none(panels, "No point has a latency."),
    )  # fmt: skip


def speedup_section(data: ReportData) -> Section:
    """Every other device against the first measured one."""
    base = fastest_base(data)
    if base is None or len(data.series) < 2:
        reason = "a speed-up needs two devices, and there is only one" if base else "no point has a result"
        return Section(id="speedup", short="Speed-up", title="Speed-up", texts=(), holes=(f"Nothing to compare: {reason}.",))
    found: list[tuple[Series, SpeedupResult]] = []
    holes: list[str] = []
    for new in data.series:
        if new is not base:
            try:
                found.append((new, _speedup(data, base, new)))
            except BadInput as error:
                holes.append(f"No speed-up of {new.title}: {error}.")
    panels: list[Panel | None] = [speedup_figure.draw_families(r, base, new, data.families) for new, r in found[:MOST_SERIES]]
    if found:
        panels += _by_parameter(data, base, *found[0])
    texts = [
        f"How many times faster than {base.title} the other devices are, on the points that are good on both. "
        "Above the dashed line (1) the other device is faster, below it the base is."
    ]
    if not base.simulated and data.simulated:
        texts.append(
            "A simulated latency is divided by a measured one here: read it as what the performance model expects, "
            "not as something that was timed."
        )
    table = (_speedup_table(base, found),) if found else ()
    return Section(
        id="speedup", short="Speed-up", title=f"Speed-up over {base.label}", texts=tuple(texts), panels=_there(panels),
        tables=table, holes=tuple(holes),
    )  # fmt: skip


def _speedup(data: ReportData, base: Series, new: Series) -> SpeedupResult:
    names = {"base_name": base.label, "new_name": new.label}
    return speedup(data.of(base), data.of(new), ["spec_id"], "latency_median_ms", **names)


def _by_parameter(data: ReportData, base: Series, new: Series, result: SpeedupResult) -> Iterable[Panel]:
    for family in data.families:
        mine = result.pairs[result.pairs["family"] == family]
        names = data.parameters(mine)
        best = speedup_figure.best_parameter(mine, names) if len(mine) > 3 else None
        if best:
            yield speedup_figure.draw_parameter(mine, base, new, family, best)


def _speedup_table(base: Series, found: list[tuple[Series, SpeedupResult]]) -> Table:
    rows = tuple(
        (
            new.label, speedup_figure.kinds(new, base), cell(r.count), cell(r.geometric_mean, 3), cell(r.median, 3),
            cell(r.mean, 3), cell(r.min, 3), cell(r.max, 3), f"{100 * r.share_above_1:.0f}",
            cell(r.unmatched_base + r.unmatched_new + r.excluded),
        )
        for new, r in found
    )  # fmt: skip
    numbers = ("geometric mean", "median", "mean", "least", "most")
    columns = (
        Column(title="device"), Column(title="what by what"), Column(title="points", number=True),
        *(Column(title=name, unit="×", number=True) for name in numbers),
        Column(title="faster", unit="% of points", number=True), Column(title="without a partner", number=True),
    )  # fmt: skip
    return Table(title=f"Speed-up over {base.title}", columns=columns, rows=rows)


def roofline_section(data: ReportData) -> Section:
    """A roofline for each device; the chip's own level once for devices that share it."""
    texts = (
        "How fast each model ran (vertical) against how many operations it does for each byte it moves (horizontal). The slope "
        "on the left is what the memory allows, the flat part what the arithmetic allows; a dash above a mark is what the "
        "shortest invoke there can be allows. A multiply-accumulate counts as two operations; padding doesn't count.",
    )
    panels: list[Panel | None] = []
    holes: list[str] = []
    flagged: list[tuple[str, ...]] = []
    drawn: set[tuple[object, ...]] = set()
    for series in data.series[: 2 * MOST_SERIES]:
        try:
            result = under_roofs(data, series)
        except BadInput as error:
            holes.append(f"No roofline of {series.title}: {error}.")
            continue
        holes += [f"{note[:1].upper()}{note[1:]}." for note in result.notes]
        panels += _roofline_panels(data, series, result, drawn)
        flagged += _implausible(data, series, result)
    columns = (Column(title="device"), Column(title="family"), Column(title="point"), Column(title="why", wide=True))
    rows = tuple(dict.fromkeys(flagged))
    table = Table(title="Implausible points", columns=columns, rows=rows, collapsed=len(rows) > 12)
    if not flagged and _there(panels):
        holes.append("No point lies above every roof that could hold it: none is flagged as implausible.")
    return Section(
        id="roofline", short="Rooflines", title="Rooflines", texts=texts, panels=_there(panels),
        tables=(table,) if flagged else (), holes=tuple(holes) or _none(panels, "No point has a rate."),
    )  # fmt: skip


def under_roofs(data: ReportData, series: Series) -> RooflineResult:
    """The good points of a series under its roofs; raises BadInput where there are none."""
    table = data.of(series)
    if table.empty:
        raise BadInput("none of its points has a result")
    return roofline(table, {series.target: list(series.roofs)} if series.roofs else {})


def _roofline_panels(
    data: ReportData, series: Series, result: RooflineResult, drawn: set[tuple[object, ...]]
) -> Iterable[Panel | None]:
    roofs = result.roofs.get(series.target, ())
    if not roofs:
        return
    points = result.points.copy()
    device_levels = [r.level for r in roofs if r.kind == "bandwidth" and r.level in ("host link", "on chip")]
    if not device_levels:
        yield roofline_figure.draw(series, points, roofs, None, data.families)
    for level in dict.fromkeys(device_levels):
        same_chip = (level, *((r.kind, r.level, r.value) for r in roofs if r.level != "host link" and r.kind != "floor"))
        if level == "on chip" and same_chip in drawn:
            continue  # the same chip behind another link
        drawn.add(same_chip)
        yield roofline_figure.draw(series, points[points["level"] == level], roofs, level, data.families)


def _implausible(data: ReportData, series: Series, result: RooflineResult) -> Iterable[tuple[str, ...]]:
    if result.points.empty:
        return
    flagged = result.points[result.points["implausible"].notna()]
    for _, row in flagged.iterrows():
        yield series.label, str(row["family"]), tables.point_text(data, row), str(row["implausible"])


def heatmap_section(data: ReportData) -> Section:
    """Rates over the two hyperparameters with most values, for the first measured and the first simulated device."""
    panels: list[Panel | None] = []
    holes: list[str] = []
    reasons: dict[tuple[str, ...], None] = {}
    for family in data.families:
        for series in _examples(data):
            table = data.of(series, only_good=False)
            table = table[table["family"] == family]
            axes = _two_parameters(data, table)
            if axes is None:
                continue
            result = heatmap(table, *axes, "gops_per_s", source=series.label)
            panels.append(heatmap_figure.draw(result, series, family, "1e9 operations a second"))
            if panels[-1] is None:
                holes.append(f"No heat map of {family} on {series.title}: none of its points has a result.")
            for line, y in zip(result.reasons, result.y_values, strict=True):
                for reason, x in zip(line, result.x_values, strict=True):
                    if reason is not None and reason.startswith("failed"):
                        where = f"{axes[0]}={cell(x)} {axes[1]}={cell(y)}"
                        reasons[series.label, family, where, reason.removeprefix("failed: ")] = None
        if not any(panel and panel.name.startswith(f"heatmap-{family}-") for panel in panels):
            holes.append(f"No heat map of {family}: fewer than two of its hyperparameters vary, or nothing has a result.")
    shown = ", ".join(series.title for series in _examples(data))
    columns = (Column(title="device"), Column(title="family"), Column(title="cell"), Column(title="reason", wide=True))
    table_of_holes = Table(title="Hatched cells", columns=columns, rows=tables.cut(list(reasons))[0])
    texts = (f"The rate over the two hyperparameters that take most values, for {shown or 'no device'}. Colours are scaled by panel.",)
    return Section(
        id="heatmaps", short="Heat maps", title="Heat maps", texts=texts, panels=_there(panels),
        tables=(table_of_holes,) if reasons else (), holes=tuple(dict.fromkeys(holes)),
    )  # fmt: skip


def _two_parameters(data: ReportData, table: pd.DataFrame) -> tuple[str, str] | None:
    """The hyperparameters with most values, x first; `batch` only where nothing else varies."""
    names = [name for name in data.parameters(table) if table[name].notna().all()]
    ranked = sorted(names, key=lambda name: (name == "batch", -table[name].nunique()))
    return (ranked[0], ranked[1]) if len(ranked) > 1 else None


RATE = "gops_per_s"


def weights_section(data: ReportData) -> Section:
    """Regression weights of each family's hyperparameters on the rate, all devices in the table, two in the figure."""
    panels: list[Panel | None] = []
    rows: list[tuple[str, ...]] = []
    holes: list[str] = []
    for family in data.families:
        features = _features(data, data.points[data.points["family"] == family])
        if not features:
            holes.append(f"No weights for {family}: none of its hyperparameters varies as a number.")
            continue
        fits = [(series, group) for series in data.series for group in regression_fits(data, series, family)]
        rows += [row for series, group in fits for row in _weight_rows(family, series, group)]
        chosen = [(series, group) for series, group in fits if series in _examples(data)]
        panels.append(weights_figure.draw(family, features, chosen, "GOPS/s"))
    columns = (
        Column(title="family"), Column(title="device"), Column(title="origin", badge=True), Column(title="weights lie"),
        Column(title="points", number=True), Column(title="R²", number=True), Column(title="hyperparameter"),
        Column(title="weight", number=True), Column(title="95 % interval", number=True), Column(title="remark", wide=True),
    )  # fmt: skip
    shown, note = tables.cut(rows)
    texts = (
        "Least squares on standardised values: by how many of its standard deviations the rate moves when the log2 of a "
        "hyperparameter moves by one of its own, with heteroscedasticity-robust 95 % intervals (HC3). Points whose weights lie on "
        "chip and points that stream them are fitted apart: one line over a cliff has no meaning.",
        f"The figures show {' and '.join(series.title for series in _examples(data)) or 'no device'}; the table has all devices.",
    )
    table = Table(title="All weights", columns=columns, rows=shown, note=note, collapsed=True)
    return Section(
        id="weights", short="Weights", title="What each hyperparameter weighs", texts=texts, panels=_there(panels),
        tables=(table,) if rows else (), holes=tuple(holes) or _none(panels, "No family has enough good points for a line."),
    )  # fmt: skip


def _features(data: ReportData, table: pd.DataFrame) -> list[str]:
    names = data.parameters(table)
    numeric = [name for name in names if pd.to_numeric(table[name], errors="coerce").gt(0).all()]
    return [name for name in numeric if not isinstance(table[name].iloc[0], str)]


def regression_fits(data: ReportData, series: Series, family: str) -> tuple[WeightsGroup, ...]:
    """The lines through a family's points on a series: on log2 of the hyperparameters, a group for each precision and place of weights."""
    features = _features(data, data.points[data.points["family"] == family])
    table = data.of(series)
    table = table[table["family"] == family]
    if table.empty or not features:
        return ()
    by = [name for name in ("precision",) if table[name].nunique() > 1]
    return weights(table, features, RATE, log2=True, by=by, source=series.label).groups


def _weight_rows(family: str, series: Series, group: WeightsGroup) -> Iterable[tuple[str, ...]]:
    place = str(group.where.get("weights_place", "") or "")
    head = (family, series.label, series.origin, place, cell(group.n))
    if group.reason:
        yield (*head, "", "", "", "", f"no line: {group.reason}")
    for weight in group.weights:
        interval = f"{weight.low:+.2f} to {weight.high:+.2f}" if weight.low is not None and weight.high is not None else ""
        value = "" if weight.value is None else f"{weight.value:+.3f}"
        r2 = "" if group.r2 is None else f"{group.r2:.3f}"
        yield (*head, r2, weight.feature, value, interval, "; ".join(group.notes))


def rounds_section(data: ReportData) -> Section:
    """How far the rounds of measured points lie apart."""
    panels: list[Panel | None] = []
    holes: list[str] = []
    for series in data.measured[:MOST_SERIES]:
        place = int(data.of(series, only_good=False)["place"].iloc[0])
        runs = data.campaigns[place].runs
        panels.append(rounds.draw(data, series, runs[(target_labels(runs) == series.target).to_numpy()]))
        if panels[-1] is None:
            holes.append(f"{series.title} has no point with two good rounds: its noise is unknown, its intervals are empty.")
    if not data.measured:
        holes.append("Nothing was measured: a simulated point says the same in every round, so there is no noise to show.")
    texts = (
        "Each round times a point in a fresh process. Rounds of one point differ by more than the interval within a round "
        "says; differences between devices or models smaller than this scatter mean nothing.",
    )
    return Section(
        id="rounds", short="Noise", title="Noise between rounds", texts=texts, panels=_there(panels), holes=tuple(holes)
    )


def failures_section(data: ReportData) -> Section:
    """Every point without a result."""
    table = tables.failures_table(data)
    lost = tables.lost_rounds_table(data)
    if not table.rows:
        texts: tuple[str, ...] = ("Every point has a result.",) if len(data.points) else ("There are no points.",)
    else:
        texts = (f"{len(table.rows)} of {len(data.points)} points have no result. Each is a hole in the figures above; this is why:",)
    shown = tuple(one for one in (table, lost) if one.rows)
    return Section(id="failures", short="Failures", title="Points without a result", texts=texts, tables=shown)


def points_section(data: ReportData) -> Section:
    """The numbers behind it all, folded away."""
    found = tuple(tables.points_table(data, family) for family in data.families)
    texts = (
        "Median over rounds of the latency of a whole batch. The interval is that of the median between rounds (95 %), "
        "empty for a single round; a simulated point has none.",
    )
    return Section(
        id="points", short="All points", title="All points", texts=texts if found else (), tables=found,
        holes=() if found else ("The campaign has no rows yet.",),
    )  # fmt: skip


def fastest_base(data: ReportData) -> Series | None:
    """What others are compared with: the first measured series that has a good point, else the first that has one."""
    return next((s for s in (*data.measured, *data.simulated) if len(data.of(s))), None)


def _examples(data: ReportData) -> tuple[Series, ...]:
    """The first measured and the first simulated series: enough for figures that all devices would make alike."""
    return (*data.measured[:1], *data.simulated[:1])


def _there(panels: Iterable[Panel | None]) -> tuple[Panel, ...]:
    return tuple(panel for panel in panels if panel is not None)


def _none(panels: Iterable[Panel | None], reason: str) -> tuple[str, ...]:
    return () if _there(panels) else (reason,)
