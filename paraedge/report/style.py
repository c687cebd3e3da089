"""How figures look: colours that colour-blind readers can tell apart, light and dark, and the axes they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

INK = "#1d2329"
MUTED = "#5f6a75"
GRID = "#e4e7ea"
PAPER = "#fefefe"
FLAG = "#c1121f"

DARK: Mapping[str, str] = {
    INK: "#e8ebee",
    MUTED: "#9aa5b1",
    GRID: "#31383f",
    PAPER: "#171b20",
    FLAG: "#ff6b6b",
    # the series, after Okabe and Ito (2008), Color Universal Design: darker on white, lighter on black
    "#0072b2": "#56b4e9",
    "#d55e00": "#ff9248",
    "#008a64": "#2fcf9f",
    "#b05690": "#e79bc9",
    "#8a6d00": "#e6c229",
    "#4b5563": "#b6bec8",
    "#5b3fb5": "#a993f5",
}
"""The dark set's colour of each colour of the light set: a figure is drawn once and its colours are exchanged."""

SERIES = ("#0072b2", "#d55e00", "#008a64", "#b05690", "#8a6d00", "#4b5563", "#5b3fb5")
SHAPES = ("o", "s", "^", "D", "v", "<", ">")
KNOWN_FAMILIES = ("fc", "cnn", "rnn", "matmul", "zoo", "conv_stack", "file")
SEQUENTIAL = LinearSegmentedColormap.from_list(
    "paraedge", ["#3b2f7f", "#2f6aa8", "#2a9d8f", "#8cc152", "#f4d35e"]
)  # monotonic in lightness, so that it survives printing in grey; legible on white and on black

PANEL_INCHES = (4.5, 3.55)
SETTINGS = {
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same layout on every machine
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "paraedge",
    "axes.unicode_minus": False,
    "path.simplify": True,
}


def settings() -> matplotlib.RcParams:
    """The settings under which figures are made and saved, for `matplotlib.rc_context`."""
    return matplotlib.RcParams({**matplotlib.rcParams, **SETTINGS})


def family_style(family: str, families: Sequence[str] = ()) -> tuple[str, str]:
    """Colour and marker of a family: fixed for the ones we ship, by place among `families` for others."""
    order = [*KNOWN_FAMILIES, *(name for name in families if name not in KNOWN_FAMILIES)]
    place = order.index(family) if family in order else len(order)
    return SERIES[place % len(SERIES)], SHAPES[place % len(SHAPES)]


def device_style(place: int) -> tuple[str, str]:
    """Colour and marker of the device at `place` in the report's order."""
    return SERIES[place % len(SERIES)], SHAPES[place % len(SHAPES)]


def panel(title: str, x: str, y: str, *, inches: tuple[float, float] = PANEL_INCHES) -> tuple[Figure, Axes]:
    """An empty panel with the house's axes; its title, what x and y show and their units."""
    figure = Figure(figsize=inches, facecolor=PAPER, layout="constrained")
    axes = figure.add_subplot(facecolor=PAPER)
    fitting = min(1.0, TITLE_LETTERS * inches[0] / PANEL_INCHES[0] / max(len(title), 1))
    axes.set_title(title, loc="left", fontsize=10.5 * fitting, fontweight="bold", color=INK, pad=8)
    axes.set_xlabel(x, color=MUTED)
    axes.set_ylabel(y, color=MUTED)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.8)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=3, width=0.8)
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def log_axis(axes: Axes, which: str) -> None:
    """A logarithmic axis (`x` or `y`) with a tick at decades, few of them, and plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    narrow = high / max(low, 1e-300) < 40
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if narrow else (1.0,), numticks=9))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def plain(value: float) -> str:
    """A number for a tick or a cell: three digits, thousands as k, M, G, T."""
    if value != value:
        return ""
    size = abs(value)
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if suffix == 'k' else limit):.3g}{suffix}"
    return f"{value:.0f}" if size >= 1000 else f"{value:.3g}"


def marker(axes: Axes, xs: object, ys: object, *, colour: str, shape: str, hollow: bool, size: float = 5.0) -> Line2D:
    """Points: filled where measured, hollow where simulated."""
    many = len(xs) > MANY_POINTS  # type: ignore[arg-type]
    # an image keeps its colours on a dark page: nothing in it may have the paper's
    paper = "none" if many else PAPER
    (line,) = axes.plot(
        xs,  # type: ignore[arg-type]
        ys,  # type: ignore[arg-type]
        linestyle="none",
        marker=shape,
        markersize=size,
        markerfacecolor=paper if hollow else colour,
        markeredgecolor=colour if hollow else paper,
        markeredgewidth=1.2 if hollow else 0.5,
        rasterized=many,
        zorder=3,
    )
    return line


MANY_POINTS = 600
"""Above so many markers they become an image inside the SVG, which would grow to megabytes otherwise."""


def key(figure: Figure, entries: Iterable[tuple[str, str, str, bool]], lines: Sequence[Line2D] = ()) -> None:
    """A legend below the axes, outside the data, in as many columns as fit; entries are label, colour, marker, hollow.

    lines: handles of lines that belong into it too.
    """
    handles = [
        Line2D(
            [], [], linestyle="none", marker=shape, markersize=6, label=label,
            markerfacecolor=PAPER if hollow else colour, markeredgecolor=colour, markeredgewidth=1.2,
        )
        for label, colour, shape, hollow in entries
    ]  # fmt: skip
    handles += lines
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    if handles:
        figure.legend(
            handles=handles, loc="outside lower left",
            ncols=max(1, min(len(handles), LEGEND_LETTERS // (longest + 7))), frameon=False, fontsize=8, labelcolor=INK,
            handletextpad=0.4, handlelength=1.8, columnspacing=1.0, borderaxespad=0.2,
        )  # fmt: skip


TITLE_LETTERS = 44
"""Letters of a title that a panel is wide; a longer title is smaller."""
LEGEND_LETTERS = 78
"""Letters of a legend's size that a panel is wide."""
