"""Latency of real models by name: a row a model, a mark a device and size."""

from __future__ import annotations

import pandas as pd

from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, kind_of
from paraedge.report.figures.ranges import FRAME_INCHES, ROW_INCHES

LEGEND_INCHES = 0.45


def draw(data: ReportData, family: str, most: int) -> Panel | None:
    """The panel of a family; None where it has fewer than two models with a result, or more than `most`."""
    table = data.good_of(family)
    table = table[table["latency_median_ms"] > 0]
    names = table.apply(kind_of, axis="columns") if len(table) else pd.Series(dtype=object)
    if not 2 <= names.nunique() <= most:
        return None
    order = list(table.groupby(names)["macs"].max().sort_values().index)
    figure, axes = style.panel(
        f"{family}: latency by model", "latency (ms)", "",
        inches=(style.PANEL_INCHES[0], FRAME_INCHES + LEGEND_INCHES + ROW_INCHES * max(len(order), 5)),
    )  # fmt: skip
    places = names.map({name: place for place, name in enumerate(order)})
    entries = []
    for series in data.series:
        mine = table["series"] == series.key
        if mine.any():
            colour, shape = style.device_style(series.place)
            style.marker(
                axes, table.loc[mine, "latency_median_ms"], places[mine], colour=colour, shape=shape,
                hollow=series.simulated, size=4.6,
            )  # fmt: skip
            entries.append((series.title, colour, shape, series.simulated))
    axes.set_ylim(len(order) - 0.4, -0.6)
    style.log_axis(axes, "x")
    axes.set_yticks(range(len(order)), order)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=8)
    style.key(figure, entries)
    text = (
        f"{family}: latency of {len(order)} models, fewest MACs on top{data.only_of(family)}. Several marks of one "
        "kind are widths or images."
    )
    return Panel(name=f"models-{family}", text=text, figure=figure)
