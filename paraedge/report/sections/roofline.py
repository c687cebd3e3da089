"""A roofline for each device, and the points that lie above all roofs."""

from __future__ import annotations

from collections.abc import Iterable

from paraedge.analyze.roofline import RooflineResult, roofline
from paraedge.core.errors import BadInput
from paraedge.report import tables
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, Series
from paraedge.report.figures import roofline as roofline_figure
from paraedge.report.sections.section import MOST_SERIES, Section, none, there
from paraedge.report.tables import Column, Table


def roofline_section(data: ReportData) -> Section:
    """A roofline for each device; the chip's own level once for devices that share it."""
    texts = (
        "How fast each model ran (vertical) against how many operations it does for each byte it moves (horizontal). "
        "The slope on the left is what the memory allows, the flat part what the arithmetic allows; a dash above a "
        "mark is what the shortest invoke there can be allows, where few are limited by it. A multiply-accumulate "
        "counts as two operations; padding doesn't count.",
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
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="family"), Column(title="point"),
        Column(title="why", wide=True),
    )  # fmt: skip
    rows = tuple(dict.fromkeys(flagged))
    table = Table(title="Implausible points", columns=columns, rows=rows, collapsed=len(rows) > tables.MOST_OPEN)
    if not flagged and there(panels):
        holes.append("No point lies above every roof that could hold it: none is flagged as implausible.")
    return Section(
        id="roofline", short="Rooflines", title="Rooflines", texts=texts, panels=there(panels),
        tables=(table,) if flagged else (), holes=tuple(holes) or none(panels, "No point has a rate."),
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
        same_chip = (
            level,
            *((r.kind, r.level, r.value) for r in roofs if r.level != "host link" and r.kind != "floor"),
        )
        if level == "on chip" and same_chip in drawn:
            continue  # the same chip behind another link
        drawn.add(same_chip)
        yield roofline_figure.draw(series, points[points["level"] == level], roofs, level, data.families)


def _implausible(data: ReportData, series: Series, result: RooflineResult) -> Iterable[tuple[str, ...]]:
    if result.points.empty:
        return
    flagged = result.points[result.points["implausible"].notna()]
    for _, row in flagged.iterrows():
        yield series.label, series.origin, str(row["family"]), tables.point_text(data, row), str(row["implausible"])
