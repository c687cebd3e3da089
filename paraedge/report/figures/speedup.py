"""Speed-up over the base device against parameter count, coloured by family or by a hyperparameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from paraedge.analyze.speedup import SpeedupResult
from paraedge.report import style
from paraedge.report.canvas import Panel
from paraedge.report.data import Series
from paraedge.report.explained import explained

MOST_COLOURS = 8
"""Values of a hyperparameter that get a colour each; of more, the nearest is taken."""


def draw_families(result: SpeedupResult, base: Series, new: Series, families: Sequence[str]) -> Panel:
    """Every matched point of `new` against `base`, coloured by family."""
    figure, axes = style.panel(f"{new.label} ÷ {base.label}", "parameters", f"times as fast ({kinds(new, base)})")
    pairs = result.pairs
    entries = []
    for family in families:
        mine = pairs[pairs["family"] == family]
        if len(mine):
            colour, shape = style.family_style(family, families)
            style.marker(
                axes, mine["parameters"], mine["speedup"], colour=colour, shape=shape, hollow=is_hollow(new, base)
            )
            entries.append((family, colour, shape, is_hollow(new, base)))
    _frame(axes)
    style.key(figure, entries)
    text = (
        f"{new.title} against {base.title}: {result.count} points, geometric mean "
        f"{style.plain(result.geometric_mean)}, "
        f"from {style.plain(result.min)} to {style.plain(result.max)}; faster on {100 * result.share_above_1:.0f} % "
        "of them."
    )
    return Panel(name=f"speedup-{new.stem}-over-{base.stem}", text=text, figure=figure)


def draw_parameter(pairs: pd.DataFrame, base: Series, new: Series, family: str, parameter: str) -> Panel:
    """The points of one family, coloured by the hyperparameter that explains most of the speed-up."""
    figure, axes = style.panel(
        f"{family}: {new.label} ÷ {base.label}", "parameters", f"times as fast ({kinds(new, base)})"
    )
    column = pairs[parameter]
    values = sorted(column.dropna().unique(), key=lambda v: (isinstance(v, str), v))
    step = -(-len(values) // MOST_COLOURS)
    shown = values[::step]
    entries = []
    for place, value in enumerate(shown):
        upper = shown[place + 1] if place + 1 < len(shown) else None
        mine = pairs[column == value] if step == 1 else pairs[(column >= value) & ((column < upper) if upper else True)]
        # without the ends: they are hard to see on a dark page and on a light one
        colour = to_hex(style.SEQUENTIAL(0.25 + 0.62 * place / max(len(shown) - 1, 1)))
        shape = style.family_style(family)[1]
        style.marker(axes, mine["parameters"], mine["speedup"], colour=colour, shape=shape, hollow=is_hollow(new, base))
        name = value if isinstance(value, str) else style.plain(float(value))
        entries.append((f"{parameter} {name}{'+' if step > 1 else ''}", colour, shape, is_hollow(new, base)))
    _frame(axes)
    style.key(figure, entries)
    text = f"{family} on {new.title} against {base.title}, coloured by {parameter}, which explains most of it."
    return Panel(name=f"speedup-{family}-by-{parameter}", text=text, figure=figure)


def is_hollow(new: Series, base: Series) -> bool:
    """A ratio is as measured as the less measured of its parts."""
    return new.simulated or base.simulated


def kinds(new: Series, base: Series) -> str:
    """`simulated ÷ measured`: what was divided by what."""
    return f"{new.origin} ÷ {base.origin}"


def best_parameter(pairs: pd.DataFrame, names: Iterable[str]) -> str | None:
    """The hyperparameter that explains most of the speed-up; None where none varies in all of the pairs."""
    known = [name for name in names if pairs[name].nunique() > 1 and pairs[name].notna().all()]
    shares = {name: explained(pairs["speedup"], pairs[name]) for name in known}
    return max(shares, key=lambda name: shares[name], default=None)


def _frame(axes: Axes) -> None:
    """Logarithmic axes with a line where both are as fast."""
    style.log_axis(axes, "x")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.6), max(high, 1.6))
    style.log_axis(axes, "y")
    axes.axhline(1, color=style.MUTED, linewidth=1.2, linestyle="--", zorder=1)
