"""How the figures of the docs look, in the report's colours, and the page that each is drawn on."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paraedge.report.style import GRID, INK, MUTED, SERIES, settings

SWEEPS = "Jorgitou98/EdgeTPU-QuantRL-Evaluation"
MODELS = "google-coral/cts"
"""Where the published figures are from."""
BLUE, ORANGE, GREEN, PINK, BROWN, GREY, *_ = SERIES
HOLLOW: dict[str, Any] = {"linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 1.3}
"""Marks of what is predicted."""
LOOK: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # a reader without the first has one about as wide
    "font.size": 10.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
}


def look() -> Any:
    """The settings under which a figure is both made and saved."""
    return mpl.rc_context({**settings(), **LOOK})


def sheet(title: str, note: str, inches: tuple[float, float], **grid: Any) -> tuple[Figure, list[Axes]]:
    """A white page with a title, a note in small type below, and axes."""
    figure = Figure(figsize=inches, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.09, h_pad=0.09)
    figure.suptitle(title, x=0.015, ha="left", fontsize=12, fontweight="bold")
    figure.supxlabel(textwrap.fill(note, round(inches[0] * 13)), x=0.015, ha="left", fontsize=9, color=MUTED)
    return figure, list(figure.subplots(squeeze=False, **grid).ravel())


def measured(axes: Axes, xs: Sequence[float | None], ys: Sequence[float | None]) -> Line2D:
    """Published points: filled dots."""
    x, y = np.array(xs, dtype=float), np.array(ys, dtype=float)
    (dots,) = axes.plot(x, y, "o", color=INK, markersize=4.5, markeredgecolor="white", markeredgewidth=0.5, zorder=5)
    return dots


def save(figure: Figure, path: Path) -> None:
    """Write an SVG that is the same every time."""
    figure.savefig(path, metadata={"Date": None})
