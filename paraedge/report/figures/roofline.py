"""Roofline of a target at one kind of memory level: rate against operations a byte, under its roofs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from paraedge.analyze.points import invokes
from paraedge.analyze.roofline import computed_in
from paraedge.core.device import Roof
from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import Series

DASHES = ("-", "--", "-.", ":")
MOST_DASHES = 25
"""More of them hide the points; the words say how many points the shortest invoke limits."""
STRAIGHT = {"color": style.MUTED, "linewidth": 1.1}


def draw(
    series: Series, points: pd.DataFrame, roofs: Sequence[Roof], level: str | None, families: Sequence[str]
) -> Panel | None:
    """The panel of `points` (rows of `analyze.roofline`) at `level`, or under all cache levels where that is None."""
    known = points[(points["intensity"] > 0) & (points["rate_gops_per_s"] > 0)].reset_index(drop=True)
    if known.empty:
        return None
    where = "weights and activations" if level is None else level
    title = series.title if level is None else f"{series.label}, {level}{' (simulated)' if series.simulated else ''}"
    figure, axes = style.panel(title, f"operations a byte ({where})", "1e9 operations a second")
    precisions = set(known["precision"].astype(str)) if "precision" in known.columns else set()
    levels = {roof.level for roof in roofs if roof.kind == "compute"}
    wanted = {level for precision in precisions for level in computed_in(precision, levels)} if precisions else levels
    compute = [r for r in roofs if r.kind == "compute" and r.level in wanted]
    slopes = [r for r in roofs if r.kind == "bandwidth" and (level is None or r.level == level)]
    _limits(axes, known, compute, slopes)
    entries = _points(axes, known, series, families)
    lines = _roofs(axes, compute, slopes)
    floor = _floor(axes, known, [r.value for r in roofs if r.kind == "floor"])
    flagged = known[known["implausible"].notna()]
    if len(flagged):
        axes.plot(
            flagged["intensity"], flagged["rate_gops_per_s"], linestyle="none", marker="o", markersize=11,
            markerfacecolor="none", markeredgecolor=style.FLAG, markeredgewidth=1.6, zorder=4,
        )  # fmt: skip
        entries.append(("implausible", style.FLAG, "o", True))
    if floor:
        entries.append((f"floor {style.plain(floor)} ms", style.MUTED, "_", False))
    style.log_axis(axes, "x")
    style.log_axis(axes, "y")
    style.key(figure, entries, lines)
    stem = f"roofline-{series.stem}" + ("" if level is None else f"-{level.replace(' ', '-')}")
    return Panel(name=stem, text=_words(series, known, level, len(flagged)), figure=figure)


def _points(
    axes: Axes, known: pd.DataFrame, series: Series, families: Sequence[str]
) -> list[tuple[str, str, str, bool]]:
    entries = []
    for family in families:
        mine = known[known["family"] == family]
        if len(mine):
            colour, shape = style.family_style(family, families)
            style.marker(
                axes, mine["intensity"], mine["rate_gops_per_s"], colour=colour, shape=shape, hollow=series.simulated
            )
            entries.append((family, colour, shape, series.simulated))
    return entries


def _limits(axes: Axes, known: pd.DataFrame, compute: Sequence[Roof], slopes: Sequence[Roof]) -> None:
    """A frame that holds the points, the ridges and the compute roofs, with room for their names."""
    peak = max((roof.value for roof in compute), default=0.0)
    ridges = [peak / roof.value for roof in slopes if roof.value > 0 and peak > 0]
    low, high = known["intensity"].min(), known["intensity"].max()
    axes.set_xlim(min(low, *ridges, low) / 4, max(high, *ridges, high) * 4)
    top = max(known["rate_gops_per_s"].max(), peak)
    axes.set_ylim(known["rate_gops_per_s"].min() / 2.5, top * 3)


def _roofs(axes: Axes, compute: Sequence[Roof], slopes: Sequence[Roof]) -> list[Line2D]:
    """Draw the roofs; a single slope is named on its line, several get a dash pattern each and the legend's handles."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    peak = max((roof.value for roof in compute), default=top)
    for roof in compute:
        start = min((roof.value / slope.value for slope in slopes), default=left)
        axes.plot([max(start, left), right], [roof.value] * 2, **STRAIGHT, zorder=2)  # type: ignore[arg-type]
        axes.annotate(
            f"{roof.level} {style.plain(roof.value)} GOPS/s", (right, roof.value), xytext=(-3, 4),
            textcoords="offset points",
            ha="right", va="bottom", fontsize=7.5, color=style.INK,
        )  # fmt: skip
    handles: list[Line2D] = []
    for order, roof in enumerate(sorted(slopes, key=lambda one: -one.value)):
        end = min(peak / roof.value, right)
        (line,) = axes.plot(
            [left, end], [left * roof.value, end * roof.value], **STRAIGHT, zorder=2,  # type: ignore[arg-type]
            linestyle=DASHES[order % len(DASHES)], label=f"{roof.level} {style.plain(roof.value)} GB/s",
        )  # fmt: skip
        handles.append(line)
        if len(slopes) == 1:
            begin = max(left, bottom / roof.value)
            place = float(np.exp(np.log(begin) + 0.74 * (np.log(end) - np.log(begin))))
            axes.text(
                place, place * roof.value, str(line.get_label()), rotation=np.degrees(np.arctan(roof.value)),
                color=style.INK,
                rotation_mode="anchor", transform_rotates_text=True, ha="center", va="bottom", fontsize=7.5, zorder=5,
                bbox={"facecolor": style.PAPER, "edgecolor": "none", "pad": 0.2, "alpha": 0.7},
            )  # fmt: skip
    return handles if len(slopes) > 1 else []


def _floor(axes: Axes, known: pd.DataFrame, floors: Sequence[float]) -> float | None:
    """A dash over each point that the shortest invoke limits, if they are few, at its rate at the floor; its ms."""
    bound = known[known["bound"] == "floor"]
    if not floors or not 0 < len(bound) <= MOST_DASHES:
        return None
    floor = min(floors)
    rate = bound["ops"] / (floor * invokes(bound)) * 1e-6
    axes.plot(
        bound["intensity"], rate, linestyle="none", marker="_", markersize=8, markeredgecolor=style.MUTED,
        markeredgewidth=1.2, zorder=2, rasterized=len(bound) > style.MANY_POINTS,
    )  # fmt: skip
    return floor


def _words(series: Series, known: pd.DataFrame, level: str | None, flagged: int) -> str:
    bounds = known["bound"].value_counts()
    names = {"compute": "by compute", "bandwidth": "by bandwidth", "floor": "by the shortest invoke"}
    parts = [f"{bounds[name]} {words}" for name, words in names.items() if name in bounds]
    share = known["share_of_roof"].median()
    text = f"{series.title}{f', level: {level}' if level else ''}: {len(known)} points"
    text += f", limited {', '.join(parts)}" if parts else ""
    text += f"; half of them reach {100 * share:.0f} % of their roof or more." if share == share else "."
    if bool(known["bytes_inferred"].any()):
        text += " Bytes are inferred, not counted."
    return text + (f" {flagged} ringed: faster than a roof allows." if flagged else "")
