"""Where the time goes: a stacked bar a row, its parts the kinds of ops (ParaDnn, figure 3 b and d)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from paraedge.analyze.ops import OVERHEAD, STREAMED, TRANSFERS
from paraedge.report import style
from paraedge.report.canvas import Panel

ROW_INCHES = 0.23
FRAME_INCHES = 1.55
OP_COLOURS = style.SERIES[:5]
TERM_COLOURS: Mapping[str, str] = {STREAMED: style.SERIES[6], TRANSFERS: style.SERIES[5], OVERHEAD: style.GRID}
OTHERS = "others"
SLIVER = 0.005
"""A kind that has less in every row of a panel is among the others there."""
NAMED_SHARE = 0.08
"""Parts at least so large have their percentage written on them."""


def colours_of(shares: pd.DataFrame) -> dict[str, str]:
    """A colour for each of the most important kinds of op, the same in every panel; the rest are `OTHERS`."""
    means = shares.mean().sort_values(ascending=False, kind="stable")
    ops = [str(kind) for kind in means.index if kind not in TERM_COLOURS]
    return {**dict(zip(ops, OP_COLOURS, strict=False)), **TERM_COLOURS}


def draw(
    title: str, what: str, rows: Sequence[tuple[str, pd.Series]], colours: Mapping[str, str], *, name: str, text: str
) -> Panel:
    """The panel of rows of shares by kind, each from 0 to 1 in sum; `what` the rows are stands at their axis."""
    most = pd.DataFrame([shares for _, shares in rows]).max()
    colours = {kind: colour for kind, colour in colours.items() if most.get(kind, 0.0) >= SLIVER}
    figure, axes = style.panel(
        title, "share of the time, %", what, inches=(style.PANEL_INCHES[0], FRAME_INCHES + ROW_INCHES * len(rows))
    )
    axes.grid(visible=False, axis="y")
    shown: dict[str, None] = {}
    for place, (_, shares) in enumerate(rows):
        left = 0.0
        for kind, share in folded(shares, colours).items():
            colour = colours.get(kind)
            axes.barh(
                place, 100 * share, left=left, height=0.78, color=colour or style.PAPER,
                edgecolor=style.PAPER if colour else style.MUTED, linewidth=0.5, zorder=3,
            )  # fmt: skip
            if share >= NAMED_SHARE:
                dark_text = colour is None or colour == style.GRID
                axes.text(
                    left + 50 * share, place, f"{100 * share:.0f}", ha="center", va="center", fontsize=7, zorder=4,
                    color=style.INK if dark_text else style.PAPER,
                )  # fmt: skip
            left += 100 * share
            shown[kind] = None
    axes.set_xlim(0, 100)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK, labelsize=8)
    order = [*(kind for kind in colours if kind in shown), *([OTHERS] if OTHERS in shown else [])]
    style.key(figure, [(kind, colours.get(kind, style.MUTED), "s", kind == OTHERS) for kind in order])
    return Panel(name=name, text=text, figure=figure)


def folded(shares: pd.Series, colours: Mapping[str, str]) -> dict[str, float]:
    """The shares in the order of the colours, those without one together before the terms."""
    known = {kind: float(shares.get(kind, 0.0)) for kind in colours}
    others = float(shares.sum()) - sum(known.values())
    ops = {kind: share for kind, share in known.items() if kind not in TERM_COLOURS}
    terms = {kind: share for kind, share in known.items() if kind in TERM_COLOURS}
    return {kind: share for kind, share in {**ops, OTHERS: others, **terms}.items() if share > SLIVER / 10}
