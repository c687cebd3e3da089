"""Rates over two hyperparameters, with the reason of each hole."""

from __future__ import annotations

import itertools

import pandas as pd

from paraedge.analyze.heatmap import HeatmapResult, heatmap
from paraedge.analyze.table import good
from paraedge.report import tables
from paraedge.report.canvas import Panel
from paraedge.report.data import REAL, ReportData, Series, main_precision
from paraedge.report.explained import explained
from paraedge.report.figures import heatmap as heatmap_figure
from paraedge.report.sections.section import Section, examples, there
from paraedge.report.tables import Column, Table

RATE = "gops_per_s"
FEWEST_CELLS = 6
"""A map of fewer cells is drawn only where no other pair of hyperparameters has more."""


def heatmap_section(data: ReportData) -> Section:
    """Rates over the two hyperparameters that say most of them, for the first measured and first simulated device."""
    panels: list[Panel | None] = []
    holes: list[str] = []
    reasons: dict[tuple[str, ...], None] = {}
    for family in (name for name in data.families if name not in REAL):
        of_family = main_precision(data.points[data.points["family"] == family])
        axes = _two_parameters(data, of_family)
        if axes is None:
            holes.append(f"No heat map of {family}: no two of its hyperparameters vary together.")
            continue
        for series in examples(data):
            table = of_family[of_family["series"] == series.key]
            if table.empty:
                continue
            result = heatmap(table, *axes, RATE, source=series.label)
            panels.append(heatmap_figure.draw(result, series, family, "1e9 operations a second"))
            if panels[-1] is None:
                holes.append(f"No heat map of {family} on {series.title}: none of its points has a result.")
            reasons |= dict.fromkeys(_reasons(result, series, family))
    shown = ", ".join(series.title for series in examples(data))
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="family"), Column(title="cell"),
        Column(title="reason", wide=True),
    )  # fmt: skip
    shown_reasons, note = tables.cut(list(reasons))
    table_of_holes = Table(
        title="Hatched cells", columns=columns, rows=shown_reasons, note=note, collapsed=len(reasons) > tables.MOST_OPEN
    )
    texts = (
        f"The rate over the two hyperparameters that say most of it, for {shown or 'no device'}. Colours are "
        "scaled by panel. Real models are no grid and have none.",
    )
    return Section(
        id="heatmaps", short="Heat maps", title="Heat maps", texts=texts, panels=there(panels),
        tables=(table_of_holes,) if reasons else (), holes=tuple(dict.fromkeys(holes)),
    )  # fmt: skip


def _reasons(result: HeatmapResult, series: Series, family: str) -> list[tuple[str, ...]]:
    """Device, origin, family, cell and error of each hatched cell."""
    found: list[tuple[str, ...]] = []
    for line, y in zip(result.reasons, result.y_values, strict=True):
        for reason, x in zip(line, result.x_values, strict=True):
            if reason is not None and reason.startswith("failed"):
                where = tables.parameter_text(pd.Series({result.x: x, result.y: y}), (result.x, result.y))
                found.append((series.label, series.origin, family, where, reason.removeprefix("failed: ")))
    return found


def _two_parameters(data: ReportData, table: pd.DataFrame) -> tuple[str, str] | None:
    """The pair of hyperparameters that explains most of the rate, the one with more values first.

    Of pairs that fill half of their cells: those with cells enough before the others, `batch` last of all.
    """
    names = [name for name in data.parameters(table) if table[name].notna().all()]
    share = {name: _explained(data, table, name) for name in names}
    found = []
    for pair in itertools.combinations(names, 2):
        cells = table[pair[0]].nunique() * table[pair[1]].nunique()
        if 2 * len(table[list(pair)].drop_duplicates()) >= cells:
            found.append(("batch" in pair, cells < FEWEST_CELLS, -share[pair[0]] - share[pair[1]], pair))
    if not found:
        return None
    one, other = min(found)[-1]
    return (one, other) if table[one].nunique() >= table[other].nunique() else (other, one)


def _explained(data: ReportData, table: pd.DataFrame, name: str) -> float:
    """What a hyperparameter says of the rate, a mean over the devices that are drawn."""
    found = []
    for series in examples(data):
        mine = good(table[table["series"] == series.key])
        mine = mine[mine[RATE] > 0]
        found.append(explained(mine[RATE], mine[name]))
    return sum(found) / max(len(found), 1)
