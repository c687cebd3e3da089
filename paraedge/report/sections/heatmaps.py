"""Rates over two hyperparameters, with the reason of each hole."""

from __future__ import annotations

import pandas as pd

from paraedge.analyze.heatmap import heatmap
from paraedge.report import tables
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData
from paraedge.report.figures import heatmap as heatmap_figure
from paraedge.report.sections.section import Section, examples, there
from paraedge.report.tables import Column, Table


def heatmap_section(data: ReportData) -> Section:
    """Rates over the two hyperparameters with most values, for the first measured and the first simulated device."""
    panels: list[Panel | None] = []
    holes: list[str] = []
    reasons: dict[tuple[str, ...], None] = {}
    for family in data.families:
        for series in examples(data):
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
                        where = tables.parameter_text(pd.Series({axes[0]: x, axes[1]: y}), axes)
                        reasons[series.label, series.origin, family, where, reason.removeprefix("failed: ")] = None
        if not any(panel and panel.name.startswith(f"heatmap-{family}-") for panel in panels):
            holes.append(
                f"No heat map of {family}: fewer than two of its hyperparameters vary, or nothing has a result."
            )
    shown = ", ".join(series.title for series in examples(data))
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="family"), Column(title="cell"),
        Column(title="reason", wide=True),
    )  # fmt: skip
    shown_reasons, note = tables.cut(list(reasons))
    table_of_holes = Table(title="Hatched cells", columns=columns, rows=shown_reasons, note=note)
    texts = (
        f"The rate over the two hyperparameters that take most values, for {shown or 'no device'}. Colours are "
        "scaled by panel.",
    )
    return Section(
        id="heatmaps", short="Heat maps", title="Heat maps", texts=texts, panels=there(panels),
        tables=(table_of_holes,) if reasons else (), holes=tuple(dict.fromkeys(holes)),
    )  # fmt: skip


def _two_parameters(data: ReportData, table: pd.DataFrame) -> tuple[str, str] | None:
    """The hyperparameters with most values, x first; `batch` only where nothing else varies."""
    names = [name for name in data.parameters(table) if table[name].notna().all()]
    ranked = sorted(names, key=lambda name: (name == "batch", -table[name].nunique()))
    return (ranked[0], ranked[1]) if len(ranked) > 1 else None
