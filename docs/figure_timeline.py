"""The figure of the first inputs through a pipeline, drawn from the rules that docs/pipelines.md gives."""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from figure_style import BLUE, GREEN, ORANGE, sheet
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paraedge.core.partition import Partition
from paraedge.report.style import INK, MUTED
from paraedge.simulate import simulate_pipeline, stages_of

SHOWN, QUEUE = 10, 2


class Bar(NamedTuple):
    """An input on a stage, in ms: it begins, is received, is ready to be sent, finds room behind, is sent."""

    begin: float
    received: float
    ready: float
    room: float
    end: float


def timeline(found: Partition) -> Figure:
    """The first inputs through three stages: what each stage does when."""
    figure, (axes,) = sheet(
        "Ten inputs through three stages",
        f"Simulated: {found.stages[0].devices[0].partition('#')[0]}, five convolutions of 592 filters cut before ops "
        f"{' and '.join(map(str, found.cuts))}, two slots between stages. "
        "Numbers: the inputs. Light: receiving; dark: computing and sending; hatched: no room behind.",
        (7.8, 3.9),
    )  # fmt: skip
    run = simulate_pipeline(stages_of(found), inputs=SHOWN, queue=QUEUE, host_ms=found.host_ms)
    _, *rows = trace(found)
    if not math.isclose(rows[-1][-1].end, run.wall_ms, rel_tol=1e-9):
        raise AssertionError("the simulator has other rules than this figure")
    for number, (row, colour) in enumerate(zip(rows, (BLUE, ORANGE, GREEN), strict=True), 1):
        for key, bar in enumerate(row, 1):
            _bar(axes, number, bar, colour)
            axes.text(bar.begin, number - 0.33, str(key), va="bottom", fontsize=9.5, color=INK)
    entered = run.wall_ms - run.drain_ms
    for at, words, side in ((run.fill_ms, "first output", "left"), (entered, "last input enters", "left")):
        axes.axvline(at, color=INK, linewidth=1)
        axes.text(at + 4, 3.72, words, ha=side, va="center")
    axes.set(xlabel="ms", xlim=(0, run.wall_ms * 1.01), ylim=(3.95, -0.12))
    axes.set_yticks(
        [1, 2, 3], [f"stage {number}\n{stage.busy_ms:.1f} ms" for number, stage in enumerate(found.stages, 1)]
    )
    axes.grid(visible=False, axis="y")
    spans = {"fill": (0, run.fill_ms), "steady": (run.fill_ms, entered), "drain": (entered, run.wall_ms)}
    for words, (low, high) in spans.items():
        axes.annotate(
            "", (low, 0.2), (high, 0.2), arrowprops={"arrowstyle": "<->", "color": MUTED, "shrinkA": 0, "shrinkB": 0}
        )
        axes.text((low + high) / 2, 0.04, f"{words}, {high - low:.0f} ms", ha="center", va="center", color=INK)
    return figure


def trace(found: Partition) -> list[list[Bar]]:
    """Every input on the host and on every stage, by the rules that the page gives; row by row, the host first."""
    times = [(0.0, found.host_ms, 0.0), *((one.receive_ms, one.compute_ms, one.send_ms) for one in found.stages)]
    rows: list[list[Bar]] = [[] for _ in times]
    for key, (at, row) in itertools.product(range(SHOWN), enumerate(rows)):
        receive, compute, send = times[at]
        begin = max(row[-1].end if key else 0.0, rows[at - 1][key].end if at else 0.0)
        ready = begin + receive + compute
        is_bounded = at + 1 < len(rows) and key >= QUEUE
        free = rows[at + 1][key - QUEUE].received if is_bounded else 0.0
        row.append(Bar(begin, begin + receive, ready, max(ready, free), max(ready, free) + send))
    return rows


def _bar(axes: Axes, place: int, bar: Bar, colour: str) -> None:
    look: dict[str, Any] = {"height": 0.62, "edgecolor": "white"}
    axes.barh(place, bar.end - bar.begin, left=bar.begin, color=colour, **look)
    axes.barh(place, bar.received - bar.begin, left=bar.begin, color="white", alpha=0.6, **look)
    if bar.room > bar.ready:
        axes.barh(
            place,
            bar.room - bar.ready,
            left=bar.ready,
            height=0.62,
            color="white",
            edgecolor=colour,
            hatch="////",
            linewidth=0,
        )
