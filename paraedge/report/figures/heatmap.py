"""A metric over two hyperparameters; cells of failed points are hatched, cells that no point filled are empty."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator

from paraedge.analyze import heatmap
from paraedge.analyze.heatmap import HeatmapResult
from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import Series

DARK_TEXT, LIGHT_TEXT = "#101418", "#ffffff"
"""On the cells, whose colours are the same on light and dark pages."""
MOST_EDGES = 400
"""Cells above which no edges are drawn between them."""
MOST_NUMBERS = 80
"""Cells above which no numbers are written into them."""


def draw(result: HeatmapResult, series: Series, family: str, unit: str) -> Panel | None:
    """The panel of a family on a series; None where no cell has a number."""
    values = np.array([[np.nan if v is None else v for v in line] for line in result.matrix], dtype=float)
    if not np.isfinite(values).any():
        return None
    figure, axes = style.panel(f"{family} on {series.title}", result.x, result.y)
    axes.grid(visible=False)
    axes.set_aspect("auto")
    positive = values[np.isfinite(values)]
    wide = positive.min() > 0 and positive.max() / positive.min() > 20
    # from zero where the range is small, so that close values look close
    norm = LogNorm(positive.min(), positive.max()) if wide else Normalize(min(0.0, positive.min()), positive.max())
    columns, rows = np.arange(values.shape[1] + 1), np.arange(values.shape[0] + 1)
    edges = {"edgecolors": style.PAPER, "linewidth": 1.5} if values.size <= MOST_EDGES else {"linewidth": 0}
    mesh = axes.pcolormesh(columns, rows, np.ma.masked_invalid(values), cmap=style.SEQUENTIAL, norm=norm, **edges)
    mesh.set_rasterized(values.size > style.MANY_POINTS)
    if values.size <= MOST_NUMBERS:
        _numbers(axes, values, norm)
    failed = _hatch(axes, result)
    _ticks(axes, result)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, aspect=28)
    bar.set_label(unit, color=style.MUTED)
    bar.ax.tick_params(colors=style.MUTED, labelsize=8, which="both")
    bar.outline.set_visible(False)
    bar.minorticks_off()
    if wide and positive.max() / positive.min() < 1000:
        bar.locator = LogLocator(base=10, subs=(1.0, 3.0), numticks=12)
    bar.formatter = FuncFormatter(lambda value, _: style.plain(value))
    bar.update_ticks()
    if failed:
        figure.legend(
            handles=[Patch(facecolor=style.PAPER, edgecolor=style.FLAG, hatch="////", label="failed")],
            loc="outside lower left", frameon=False, fontsize=8.5, labelcolor=style.INK,
        )  # fmt: skip
    text = f"{family} on {series.title}: {unit} over {result.x} and {result.y}; best {style.plain(positive.max())}."
    if any("several" in note for note in result.notes):
        text += " Where several models share a cell, their median."
    text += " Empty cells are not in the grid." if any(heatmap.NOT_IN_GRID in line for line in result.reasons) else ""
    text += f" Hatched: {failed} cell{'s' if failed > 1 else ''} whose points failed." if failed else ""
    return Panel(name=f"heatmap-{family}-{series.stem}", text=text, figure=figure)


def _numbers(axes: Axes, values: np.ndarray, norm: Normalize) -> None:
    size, digits = (8, 3) if values.shape[1] <= 8 else (6.5, 2)
    for row, column in np.argwhere(np.isfinite(values)):
        light = float(norm(values[row, column])) > 0.55
        axes.text(
            column + 0.5, row + 0.5, style.plain(float(f"{values[row, column]:.{digits}g}")), ha="center", va="center",
            fontsize=size,
            color=DARK_TEXT if light else LIGHT_TEXT,
        )  # fmt: skip


def _hatch(axes: Axes, result: HeatmapResult) -> int:
    """Hatch the cells whose points failed; how many there are."""
    count = 0
    for row, line in enumerate(result.reasons):
        for column, reason in enumerate(line):
            if reason is not None and result.failed[row][column]:
                axes.add_patch(
                    Rectangle(
                        (column, row),
                        1,
                        1,
                        facecolor=style.PAPER,
                        edgecolor=style.FLAG,
                        hatch="////",
                        linewidth=0.8,
                        zorder=3,
                    )
                )
                count += 1
    return count


def _ticks(axes: Axes, result: HeatmapResult) -> None:
    """Every value where there is room, else every second, third, ..."""
    for values, set_ticks in ((result.x_values, axes.set_xticks), (result.y_values, axes.set_yticks)):
        step = max(1, -(-len(values) // 12))
        places = list(range(0, len(values), step))
        set_ticks([p + 0.5 for p in places], [_tick(values[p]) for p in places])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _tick(value: float | str) -> str:
    return value if isinstance(value, str) else style.plain(float(value))
