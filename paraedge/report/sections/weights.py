"""What each hyperparameter weighs."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from paraedge.analyze.weights import WeightsGroup, weights
from paraedge.report import tables
from paraedge.report.canvas import Panel
from paraedge.report.data import KIND_COLUMNS, REAL, ReportData, Series, sort_name
from paraedge.report.figures import weights as weights_figure
from paraedge.report.sections.section import Section, examples, none, there
from paraedge.report.tables import Column, Table, cell

RATE = "gops_per_s"


def weights_section(data: ReportData) -> Section:
    """Regression weights of each family's hyperparameters on the rate, all devices in the table, two in the figure."""
    panels: list[Panel | None] = []
    rows: list[tuple[str, ...]] = []
    holes: list[str] = []
    for family in data.families:
        features = _features(data, data.points[data.points["family"] == family])
        if not features or family in REAL:
            why = "real models are no grid" if family in REAL else "none of its hyperparameters varies as a number"
            holes.append(f"No weights for {family}: {why}.")
            continue
        fits = [(series, group) for series in data.series for group in regression_fits(data, series, family)]
        rows += [row for series, group in fits for row in _weight_rows(family, series, group)]
        for kind in sorted({sort_of(family, group) for _, group in fits}):
            chosen = [(s, g) for s, g in fits if s in examples(data) and sort_of(family, g) == kind]
            panels.append(weights_figure.draw(kind, features, chosen, "GOPS/s"))
    columns = (
        Column(title="family"), Column(title="device"), Column(title="origin", badge=True), Column(title="weights lie"),
        Column(title="points", number=True), Column(title="R²", number=True), Column(title="hyperparameter"),
        Column(title="weight", number=True), Column(title="95 % interval", number=True),
        Column(title="remark", wide=True),
    )  # fmt: skip
    shown, note = tables.cut(rows)
    texts = (
        "Least squares on standardised values: by how many of its standard deviations the rate moves when the log2 "
        "of a "
        "hyperparameter moves by one of its own, with heteroscedasticity-robust 95 % intervals (HC3). Points whose "
        "weights lie on "
        "chip and points that stream them are fitted apart: one line over a cliff has no meaning.",
        f"The figures show {' and '.join(series.title for series in examples(data)) or 'no device'}; the table has "
        "all devices.",
    )
    table = Table(title="All weights", columns=columns, rows=shown, note=note, collapsed=True)
    return Section(
        id="weights", short="Weights", title="What each hyperparameter weighs", texts=texts, panels=there(panels),
        tables=(table,) if rows else (),
        holes=tuple(holes) or none(panels, "No family has enough good points for a line."),
    )  # fmt: skip


def _features(data: ReportData, table: pd.DataFrame) -> list[str]:
    names = data.parameters(table)
    numeric = [name for name in names if pd.to_numeric(table[name], errors="coerce").gt(0).all()]
    return [name for name in numeric if not isinstance(table[name].iloc[0], str)]


def regression_fits(data: ReportData, series: Series, family: str) -> tuple[WeightsGroup, ...]:
    """The lines through a family's points on a series, on log2: a group for each sort, precision and weights' place."""
    features = _features(data, data.points[data.points["family"] == family])
    table = data.of(series)
    table = table[table["family"] == family]
    if table.empty or not features or family in REAL:
        return ()
    by = [name for name in (KIND_COLUMNS.get(family, ""), "precision") if name in table and table[name].nunique() > 1]
    return weights(table, features, RATE, log2=True, by=by, source=series.label).groups


def sort_of(family: str, group: WeightsGroup) -> str:
    """`cnn residual`, `fc`, `fc float32`: what a group's line goes through."""
    names = (KIND_COLUMNS.get(family, ""), "precision")
    return sort_name(family, [group.where[name] for name in names if name in group.where])


def _weight_rows(family: str, series: Series, group: WeightsGroup) -> Iterable[tuple[str, ...]]:
    place = str(group.where.get("weights_place", "") or "")
    head = (sort_of(family, group), series.label, series.origin, place, cell(group.n))
    if group.reason:
        yield (*head, "", "", "", "", f"no line: {group.reason}")
    for weight in group.weights:
        interval = (
            f"{weight.low:+.2f} to {weight.high:+.2f}" if weight.low is not None and weight.high is not None else ""
        )
        value = "" if weight.value is None else f"{weight.value:+.3f}"
        r2 = "" if group.r2 is None else f"{group.r2:.3f}"
        yield (*head, r2, weight.feature, value, interval, "; ".join(group.notes))
