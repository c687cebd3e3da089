"""Latency against model size, a panel a family and a line a device: where weights outgrow a memory, the line bends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, Series

MIB = 2**20


def draw(data: ReportData, family: str) -> Panel | None:
    """The panel of a family at its smallest batch; None where fewer than two of its points are good."""
    chosen = data.good_of(family)
    table = chosen[(chosen["weight_bytes"] > 0) & (chosen["latency_median_ms"] > 0)]
    if table["spec_id"].nunique() < 2:
        return None
    batch = int(table["batch"].iloc[0])
    what = "latency (ms)" if batch == 1 else f"latency of a batch of {batch} (ms)"
    figure, axes = style.panel(family, "weights (MiB)", what)
    entries = []
    for series in data.series:
        mine = table[table["series"] == series.key].sort_values("weight_bytes")
        if not mine.empty:
            colour, shape = style.device_style(series.place)
            _line(axes, mine, series, colour, shape)
            entries.append((series.title, colour, shape, series.simulated))
    style.log_axis(axes, "x")
    # by the marks: the interval of two rounds can span decades
    axes.set_ylim(table["latency_median_ms"].min() / 2, table["latency_median_ms"].max() * 2)
    style.log_axis(axes, "y")
    _capacity(axes, data)
    style.key(figure, entries)
    low, high = table["weight_bytes"].min() / MIB, table["weight_bytes"].max() / MIB
    text = (
        f"{family}: latency of {table['spec_id'].nunique()} models with {style.plain(low)} to {style.plain(high)} "
        f"MiB of weights{data.only_of(family)}. Lines join the models of like size by their median."
    )
    return Panel(name=f"latency-{family}", text=text, figure=figure)


def _line(axes: Axes, table: pd.DataFrame, series: Series, colour: str, shape: str) -> None:
    size = table["weight_bytes"].to_numpy(dtype=float) / MIB
    latency = table["latency_median_ms"].to_numpy(dtype=float)
    if {"latency_low_ms", "latency_high_ms"} <= set(table.columns) and not series.simulated:
        low = table["latency_low_ms"].to_numpy(dtype=float)
        high = table["latency_high_ms"].to_numpy(dtype=float)
        there = np.isfinite(low) & np.isfinite(high)
        axes.vlines(
            size[there],
            low[there],
            high[there],
            color=colour,
            linewidth=0.9,
            alpha=0.6,
            rasterized=len(size) > style.MANY_POINTS,
        )
    xs, ys = binned(size, latency)
    axes.plot(xs, ys, color=colour, linewidth=1.1, alpha=0.55, linestyle="--" if series.simulated else "-")
    style.marker(axes, size, latency, colour=colour, shape=shape, hollow=series.simulated, size=4.6)


def binned(size: np.ndarray, latency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians over points whose size lies within 12 %, in order of size: models of one size differ in shape."""
    order = np.argsort(size, kind="stable")
    size, latency = size[order], latency[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(np.log(size)) > np.log(1.12)) + 1])
    groups = list(zip(starts, [*starts[1:], len(size)], strict=True))
    return (
        np.array([np.median(size[a:b]) for a, b in groups]),
        np.array([np.median(latency[a:b]) for a, b in groups]),
    )


def _capacity(axes: Axes, data: ReportData) -> None:
    """A line where the simulated devices' parameter cache ends, if its size is known and in sight."""
    sizes = {
        float(roof["capacity_bytes"]) / MIB
        for series in data.simulated
        for roof in series.roofs
        if roof.get("level") == "on chip" and roof.get("capacity_bytes")
    }
    low, high = axes.get_xlim()
    for size in sorted(sizes)[:1]:
        if low < size < high:
            axes.axvline(size, color=style.MUTED, linewidth=0.9, linestyle=":")
            axes.annotate(
                f"on-chip memory\n{size:.3g} MiB ", (size, 1.0), xycoords=("data", "axes fraction"), fontsize=7.5,
                color=style.MUTED, ha="right", va="top", zorder=4,
                bbox={"facecolor": style.PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            )  # fmt: skip
