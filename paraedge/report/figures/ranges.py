"""How large models are: a bar a family from the smallest to the largest, a mark a real model (ParaDnn, figure 1)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import REAL

ROW_INCHES = 0.21
FRAME_INCHES = 0.95


def draw(title: str, what: str, rows: Sequence[tuple[str, str, pd.Series]]) -> Panel | None:
    """The panel of `what`; `rows` are label, family and values. None where nothing is above 0."""
    known = [(label, family, values[values > 0].astype(float)) for label, family, values in rows]
    known = [(label, family, values) for label, family, values in known if len(values)]
    if not known:
        return None
    figure, axes = style.panel(
        f"{title} by family and model", what, "",
        inches=(style.PANEL_INCHES[0], FRAME_INCHES + ROW_INCHES * max(len(known), 5)),
    )  # fmt: skip
    axes.grid(visible=False, axis="y")
    for place, (_, family, values) in enumerate(known):
        _row(axes, place, family, values)
    axes.set_ylim(len(known) - 0.4, -0.6)
    style.log_axis(axes, "x")
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.22)  # room for the last row's text
    style.log_axis(axes, "x")
    axes.set_yticks(range(len(known)), [label for label, _, _ in known])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=8)
    return Panel(name=f"ranges-{title}", text=_words(title, known), figure=figure)


def _row(axes: Axes, place: int, family: str, values: pd.Series) -> None:
    """A bar with a tick a model; of a real model a mark, with a line where it comes in several sizes."""
    low, high = values.min(), values.max()
    colour, shape = style.family_style(family)
    real = family in REAL
    if low < high:
        axes.plot([low, high], [place] * 2, color=colour, linewidth=1.4 if real else 6.5, alpha=0.55 if real else 0.4,
                  solid_capstyle="butt", zorder=2)  # fmt: skip
    if real:
        style.marker(axes, values.unique(), [place] * values.nunique(), colour=colour, shape=shape, hollow=False)
    else:
        axes.plot(values.unique(), [place] * values.nunique(), linestyle="none", marker="|", markersize=6.5,
                  markeredgewidth=0.9, color=colour, zorder=3)  # fmt: skip
    axes.annotate(
        _span(values), (high, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7,
        color=style.MUTED,
    )  # fmt: skip


def _span(values: pd.Series) -> str:
    low, high = style.plain(values.min()), style.plain(values.max())
    return low if low == high else f"{low} to {high}"


def _words(title: str, known: Sequence[tuple[str, str, pd.Series]]) -> str:
    parts = [f"{label} {_span(values)}" for label, family, values in known if family not in REAL]
    real = [values for _, family, values in known if family in REAL]
    if real:
        count = len(real)
        parts.append(f"{count} real model{'s' if count > 1 else ''} {_span(pd.concat(real))}")
    return f"{title}: {'; '.join(parts)}."
