"""Pipelines: speed-up over the fewest devices against model size, and against the number of devices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from paraedge.analyze.pipelines import MARGIN, best_row
from paraedge.report import style
from paraedge.report.canvas import Panel

MIB = 2**20
PUBLISHED_SHAPES = {"params": "x", "profiled": "+"}
"""Markers of published points, by strategy."""
MOST_SIZE_TICKS = 16


def strategy_style(strategy: str, strategies: Sequence[str]) -> tuple[str, str]:
    """Colour and marker of a strategy by its place among those shown."""
    return style.device_style(list(strategies).index(strategy))


def against_size(
    table: pd.DataFrame, title: str, stem: str, strategies: Sequence[str], published: pd.DataFrame
) -> Panel:
    """Runs of one family with the same devices and inputs: a line a strategy; published points as crosses.

    table: rows of `analyze.pipelines.over_fewest` with as many segments. published: of `analyze.published`; may be
    empty.
    """
    segments = int(table["segments"].iloc[0])
    hollow = bool((table["origin"] == "simulated").all())
    figure, axes = style.panel(title, "weights (MiB)", f"times as fast as {_devices(table)}")
    entries = []
    for strategy in strategies:
        mine = table[table["strategy"] == strategy]
        if len(mine):
            colour, shape = strategy_style(strategy, strategies)
            mine = mine.sort_values("weight_bytes")
            size, ratio = mine["weight_bytes"].to_numpy(dtype=float) / MIB, mine["speedup"].to_numpy(dtype=float)
            axes.plot(size, ratio, color=colour, linewidth=0.9, alpha=0.6)
            style.marker(axes, size, ratio, colour=colour, shape=shape, hollow=hollow, size=3.6)
            entries.append((strategy, colour, shape, hollow))
    lines = [_published(axes, published, strategy) for strategy in PUBLISHED_SHAPES]
    _frame(axes, segments / float(table["base_segments"].iloc[0]))
    style.log_axis(axes, "x")
    style.key(figure, entries, [line for line in lines if line is not None])
    best = best_row(table)
    text = (
        f"{title}: {table['spec_id'].nunique()} models; the most is {style.plain(best['speedup'])} times, by "
        f"{best['strategy']} at {style.plain(best['weight_bytes'] / MIB)} MiB. The dotted line is perfect "
        "scaling."
    )
    return Panel(name=stem, text=text, figure=figure)


def against_devices(table: pd.DataFrame, title: str, stem: str, strategies: Sequence[str]) -> Panel:
    """One model over more and more devices: a line a strategy, and the one that as many times would give."""
    hollow = bool((table["origin"] == "simulated").all())
    figure, axes = style.panel(title, "devices", f"times as fast as {_devices(table)}")
    base = float(table["base_segments"].iloc[0])
    most = float(table["segments"].max())
    axes.plot([base, most], [1, most / base], color=style.MUTED, linewidth=1.1, linestyle=":", zorder=1)
    entries = []
    for strategy in strategies:
        mine = table[table["strategy"] == strategy].sort_values("segments")
        if len(mine):
            colour, shape = strategy_style(strategy, strategies)
            xs, ys = mine["segments"].to_numpy(dtype=float), mine["speedup"].to_numpy(dtype=float)
            axes.plot(xs, ys, color=colour, linewidth=1.1, alpha=0.6)
            style.marker(axes, xs, ys, colour=colour, shape=shape, hollow=hollow)
            entries.append((strategy, colour, shape, hollow))
    ticks = sorted({int(value) for value in table["segments"]})
    axes.set_xticks(ticks[:: max(1, -(-len(ticks) // (MOST_SIZE_TICKS // 2)))])
    axes.set_ylim(bottom=0)
    style.key(figure, entries)
    best = best_row(table)
    found = (
        f"at best {style.plain(best['speedup'])} times {_devices(table)}, on {int(best['segments'])} devices{_by(best)}"
        if best["speedup"] > 1 + MARGIN
        else f"no more devices are faster than {_devices(table)}"
    )
    text = f"{title}: {found}. The dotted line is perfect scaling."
    return Panel(name=stem, text=text, figure=figure)


def data_against_pipeline(table: pd.DataFrame, title: str, stem: str) -> Panel:
    """Whole models on several devices against the best cut over as many: a line a number of devices.

    table: rows of `analyze.pipelines.data_or_pipeline` of one family and number of inputs.
    """
    figure, axes = style.panel(title, "weights (MiB)", "pipeline's throughput by data parallel's")
    entries = []
    for place, (segments, mine) in enumerate(table.sort_values("weight_bytes").groupby("segments")):
        colour, shape = style.device_style(place)
        hollow = bool((mine["origin"] == "simulated").all())
        size, ratio = mine["weight_bytes"].to_numpy(dtype=float) / MIB, mine["ratio"].to_numpy(dtype=float)
        axes.plot(size, ratio, color=colour, linewidth=0.9, alpha=0.6)
        style.marker(axes, size, ratio, colour=colour, shape=shape, hollow=hollow, size=3.6)
        entries.append((f"{segments} devices", colour, shape, hollow))
    _frame(axes, None)
    style.log_axis(axes, "x")
    style.key(figure, entries)
    share = float((table["ratio"].astype(float) > 1).mean())
    text = (
        f"{title}: above the dashed line the best cut is faster, below it whole models side by side. The cut is the "
        f"faster of the two in {100 * share:.0f} % of {len(table)} comparisons; the text above says whether one device "
        "alone beats both."
    )
    return Panel(name=stem, text=text, figure=figure)


def _published(axes: Axes, published: pd.DataFrame, strategy: str) -> Line2D | None:
    mine = published[published["strategy"] == strategy] if len(published) else published
    if mine.empty:
        return None
    (line,) = axes.plot(
        mine["weight_mib"], mine["speedup"], linestyle="none", marker=PUBLISHED_SHAPES[strategy], markersize=5,
        color=style.INK, markeredgewidth=1.1, zorder=4, label=f"published, {strategy}",
    )  # fmt: skip
    return line


def _frame(axes: Axes, linear: float | None) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.6), max(high, 1.6, (linear or 0) * 1.2))
    style.log_axis(axes, "y")
    axes.axhline(1, color=style.MUTED, linewidth=1.2, linestyle="--", zorder=1)
    if linear is not None and np.isfinite(linear):
        axes.axhline(linear, color=style.MUTED, linewidth=1.1, linestyle=":", zorder=1)


def _by(row: pd.Series) -> str:
    return f" by {row['strategy']}" if isinstance(row["strategy"], str) else ""


def _devices(table: pd.DataFrame) -> str:
    fewest = sorted({int(value) for value in table["base_segments"]})
    if fewest == [1]:
        return "one device"
    return f"{fewest[0]} devices" if len(fewest) == 1 else "the fewest with a result"
