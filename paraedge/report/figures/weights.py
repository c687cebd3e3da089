"""Standardised regression weights with their intervals, a panel a family: what moves the rate, and how surely."""

from __future__ import annotations

from collections.abc import Sequence

from paraedge.analyze.weights import WeightsGroup
from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import Series

STREAMED = "streamed"
FARTHEST = 1.8
"""Where an interval is cut off: a huge one must not hide the rest."""


def draw(family: str, features: Sequence[str], fits: Sequence[tuple[Series, WeightsGroup]], what: str) -> Panel | None:
    """The panel of a family or a sort of it; `fits` are its groups, by series. None where none has a line."""
    # a line through so few points that its weights have no interval says nothing in a figure; the table has it
    fits = [(series, group) for series, group in fits if any(weight.low is not None for weight in group.weights)]
    if not fits:
        return None
    moved = {weight.feature for _, group in fits for weight in group.weights if weight.value is not None}
    rows = [name for name in features if name in moved]
    figure, axes = style.panel(family, f"standard deviations of {what}", "")
    axes.axvline(0, color=style.MUTED, linewidth=0.9)
    axes.grid(visible=False, axis="y")
    entries = []
    reach = 1.05
    for number, (series, group) in enumerate(fits):
        colour, _ = style.device_style(series.place)
        place = group.where.get("weights_place")
        shape = "v" if place == STREAMED else "o"
        offset = (number - (len(fits) - 1) / 2) * min(0.17, 0.7 / len(fits))
        for weight in group.weights:
            if weight.value is None:
                continue
            row = rows.index(weight.feature)
            if weight.low is not None and weight.high is not None:
                axes.plot(
                    [weight.low, weight.high], [row + offset] * 2, color=colour, linewidth=1.6, alpha=0.75, zorder=2
                )
            style.marker(
                axes, [weight.value], [row + offset], colour=colour, shape=shape, hollow=series.simulated, size=6.5
            )
            ends = [abs(end) for end in (weight.low, weight.high) if end is not None]
            reach = max(reach, 1.15 * abs(weight.value), min(1.05 * max(ends, default=0.0), FARTHEST))
        label = f"{series.title}{f', {place}' if place else ''} (R² {group.r2:.2f}, n {group.n})"
        entries.append((label, colour, shape, series.simulated))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=9)
    style.key(figure, entries)
    return Panel(name=f"weights-{family}", text=_words(family, fits, what), figure=figure)


def _words(family: str, fits: Sequence[tuple[Series, WeightsGroup]], what: str) -> str:
    parts = []
    for series, group in fits:
        known = [weight for weight in group.weights if weight.value is not None]
        if known:
            most = max(known, key=lambda weight: abs(weight.value or 0))
            place = group.where.get("weights_place")
            low, high = most.low, most.high
            unsure = "" if low is not None and high is not None and low * high > 0 else ", an interval across 0"
            parts.append(f"{most.feature} ({most.value:+.2f}{unsure}) on {series.title}{f', {place}' if place else ''}")
    return f"{family}: what moves {what} most is {'; '.join(parts)}."
