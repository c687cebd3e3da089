"""How far fresh processes lie apart: each round's median by the point's, against the latency."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, Series


def draw(data: ReportData, series: Series, runs: pd.DataFrame) -> Panel | None:
    """The panel of a measured series; `runs` are its rows, one a round. None where no point has two good rounds."""
    deviation = deviations(runs)
    if deviation.empty:
        return None
    spread = float(np.median(deviation.groupby("spec_id")["percent"].agg(lambda p: p.max() - p.min())))
    figure, axes = style.panel(series.title, "latency of the point (ms)", "round against the point's median (%)")
    axes.axhline(0, color=style.MUTED, linewidth=0.9)
    entries = []
    for family in data.families:
        mine = deviation[deviation["family"] == family]
        if not mine.empty:
            colour, shape = style.family_style(family, data.families)
            style.marker(axes, mine["middle"], mine["percent"], colour=colour, shape=shape, hollow=False, size=4.2)
            entries.append((family, colour, shape, False))
    style.log_axis(axes, "x")
    reach = float(np.abs(deviation["percent"]).quantile(0.95)) * 1.3 + 0.1
    beyond = int((np.abs(deviation["percent"]) > reach).sum())
    axes.set_ylim(-reach, reach)
    style.key(figure, entries)
    text = (
        f"{series.label}: {deviation['spec_id'].nunique()} points in {deviation['round'].nunique()} rounds; the "
        "rounds of "
        f"half the points lie within {spread:.2g} % of each other."
    )
    if beyond:
        lie = "rounds lie" if beyond > 1 else "round lies"
        text += f" {beyond} {lie} outside the frame (beyond {style.plain(reach)} %)."
    return Panel(name=f"rounds-{series.stem}", text=text, figure=figure)


def deviations(runs: pd.DataFrame) -> pd.DataFrame:
    """Good rounds of points with several: spec_id, family, round, `middle` (ms, their median), `percent` off it."""
    ok = runs[(runs["status"] == "ok") & (runs["latency_median_ms"] > 0)]
    grouped = ok.groupby("spec_id")["latency_median_ms"]
    ok = ok.assign(middle=grouped.transform("median"), count=grouped.transform("size"))
    ok = ok[ok["count"] > 1]
    percent = 100 * (ok["latency_median_ms"] / ok["middle"] - 1)
    made: pd.DataFrame = ok.assign(percent=percent)[["spec_id", "family", "round", "middle", "percent"]]
    return made
