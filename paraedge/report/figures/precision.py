"""What quantization gives: speed-up over float32 against the work of a model, and family by family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from paraedge.analyze.precision import BASE, Gain
from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import Series, joined

ORDER = ("int8", "dynamic_range", "float16")
"""Precisions by their colour; others follow."""

TIMES = f"times as fast as {BASE}"
ROW_INCHES = 0.42
MANY_TIMES = 400
"""Above so wide a range of speed-ups only the decades have a tick."""


def draw_sizes(series: Series, pairs: pd.DataFrame, families: Sequence[str]) -> Panel | None:
    """Every pair of a target (rows of `analyze.precision`): its speed-up against MACs, with intervals; or None."""
    known = pairs[pairs["macs"] > 0]
    if known.empty:
        return None
    figure, axes = style.panel(f"{series.title}: by size", "multiply-accumulates", TIMES)
    entries = []
    precisions = _in_order(known["precision"].unique())
    for precision in precisions:
        colour = _colour(precision)
        entries.append((precision, colour, "o", series.simulated))
        for family in families:
            mine = known[(known["precision"] == precision) & (known["family"] == family)]
            if len(mine):
                axes.vlines(mine["macs"], mine["low"], mine["high"], color=colour, linewidth=0.8, alpha=0.6, zorder=2)
                shape = style.family_style(family, families)[1]
                style.marker(
                    axes, mine["macs"], mine["speedup"], colour=colour, shape=shape, hollow=series.simulated
                )  # fmt: skip
    there = [family for family in families if (known["family"] == family).any()]
    entries += [(f, style.MUTED, style.family_style(f, families)[1], series.simulated) for f in there]
    style.log_axis(axes, "x")
    _as_fast(axes, "y", known["speedup"])
    style.key(figure, entries)
    text = (
        f"{series.title}: each model in {joined(precisions)} against itself in {BASE}; "
        f"the line through a mark is its 95 % interval between rounds."
    )
    return Panel(name=f"precision-size-{series.stem}", text=text, figure=figure)


def draw_families(series: Series, gains: Sequence[Gain], families: Sequence[str], finding: str) -> Panel | None:
    """Geometric mean of each family and precision of a target, with a line from its least to its most; or None.

    finding: the sentence about them, for the caption.
    """
    mine = [gain for gain in gains if gain.kind == "family"]
    rows = [family for family in families if any(gain.name == family for gain in mine)]
    if not rows:
        return None
    inches = (style.PANEL_INCHES[0], 1.5 + ROW_INCHES * max(len(rows), 2))
    figure, axes = style.panel(f"{series.title}: by family", TIMES, "", inches=inches)
    precisions = _in_order({gain.precision for gain in mine})
    step = 0.62 / max(len(precisions), 1)
    for place, precision in enumerate(precisions):
        own = [gain for gain in mine if gain.precision == precision]
        ys = [rows.index(gain.name) + (place - (len(precisions) - 1) / 2) * step for gain in own]
        colour = _colour(precision)
        axes.hlines(ys, [g.least for g in own], [g.most for g in own], color=colour, linewidth=1.4, alpha=0.5, zorder=2)
        style.marker(axes, [g.mean.value for g in own], ys, colour=colour, shape="o", hollow=series.simulated)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    _as_fast(axes, "x", pd.Series([end for gain in mine for end in (gain.least, gain.most)]))
    style.key(figure, [(precision, _colour(precision), "o", series.simulated) for precision in precisions])
    text = (
        f"{finding} A line reaches from the model of a family that gains least to the one that gains most "
        f"({_counts(mine, rows)})."
    )
    return Panel(name=f"precision-family-{series.stem}", text=text, figure=figure)


def _in_order(precisions: Iterable[str]) -> list[str]:
    there = set(precisions)
    return [*(name for name in ORDER if name in there), *sorted(there - set(ORDER))]


def _colour(precision: str) -> str:
    return style.device_style(ORDER.index(precision) if precision in ORDER else len(ORDER))[0]


def _as_fast(axes: Axes, which: str, ratios: pd.Series[float]) -> None:
    """A logarithmic axis that holds `ratios` and a line where both are as fast."""
    low, high = min(float(ratios.min()), 0.8) / 1.25, max(float(ratios.max()), 1.25) * 1.25
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    style.log_axis(axes, which)
    subs = (1.0, 2.0, 5.0) if high / low < MANY_TIMES else (1.0,)
    (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    (axes.axvline if which == "x" else axes.axhline)(1, color=style.MUTED, linewidth=1.2, linestyle="--", zorder=1)


def _counts(gains: Sequence[Gain], rows: Sequence[str]) -> str:
    most = {row: max(gain.count for gain in gains if gain.name == row) for row in rows}
    return ", ".join(f"{row}: {count} model{'' if count == 1 else 's'}" for row, count in most.items())
