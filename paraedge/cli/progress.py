"""How far a campaign is: a bar on a terminal, a plain line every few seconds elsewhere. Both on stderr.

Nothing runs between two calls: a bar that redraws itself from a thread would do so inside timed blocks.
"""

from __future__ import annotations

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from paraedge.cli.output import duration, note

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from paraedge.flow import Progress

PLAIN_INTERVAL_S = 5.0
BAR_INTERVAL_S = 0.1
RATE_STEP_S = 0.2
RATE_WINDOW_S = 20.0


class Rate:
    """Rows a second of late, and what is left at that rate. Models grow along a grid, so the past misleads."""

    def __init__(self) -> None:
        self._past: collections.deque[tuple[float, int]] = collections.deque()

    def text(self, now: Progress) -> str:
        """`3.2 rows/s, 2 min 30 s left`; unknown until there are two rows."""
        past = self._past
        if not past or now.elapsed_s - past[-1][0] >= RATE_STEP_S:
            past.append((now.elapsed_s, now.done))
        while len(past) > 1 and now.elapsed_s - past[0][0] > RATE_WINDOW_S:
            past.popleft()
        seconds, done = now.elapsed_s - past[0][0], now.done - past[0][1]
        if done <= 0 or seconds <= 0:
            return "? rows/s, ? left"
        return f"{done / seconds:.3g} rows/s, {duration((now.total - now.done) * seconds / done)} left"


@contextlib.contextmanager
def shown(*, quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A listener for `run_campaign`, drawn in the way that fits where stderr goes."""
    if quiet:
        yield lambda now: None
    elif sys.stderr.isatty():
        with _bar() as listener:
            yield listener
    else:
        yield _plain()


def _plain() -> Callable[[Progress], None]:
    rate, last = Rate(), [time.monotonic()]

    def listen(now: Progress) -> None:
        text = rate.text(now)
        if now.done < now.total and time.monotonic() - last[0] < PLAIN_INTERVAL_S:
            return
        last[0] = time.monotonic()
        share = 100 * now.done // max(now.total, 1)
        note(f"{now.done}/{now.total} ({share} %), {text}: {_point(now)}: {now.status}")

    return listen


def _is_phase(now: Progress) -> bool:
    """Whether this is a step on the way to a model, not the end of an attempt."""
    return now.round is None and now.status not in ("ok", "failed")


def _point(now: Progress) -> str:
    return ", ".join([now.device, *([] if now.round is None else [f"round {now.round}"]), now.label])


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    rate, last, failed = Rate(), [0.0], [0]
    with _make_bar() as bar:
        task = bar.add_task("", total=None, point="", rate="")

        def listen(now: Progress) -> None:
            failed[0] += now.status == "failed"
            text = rate.text(now)
            soon = now.done < now.total and time.monotonic() - last[0] < BAR_INTERVAL_S
            if soon and not _is_phase(now):  # a phase may last for minutes, so each is drawn
                return
            last[0] = time.monotonic()
            text += f", {failed[0]} failed" if failed[0] else ""
            point = _point(now) if now.round is not None else f"{now.device}, {now.status}: {now.label}"
            bar.update(task, completed=now.done, total=now.total, rate=text, point=point)
            bar.refresh()

        yield listen


def _make_bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    one_line = Column(no_wrap=True, overflow="ellipsis")  # the point comes last: it is what a narrow terminal cuts
    text = "{task.completed}/{task.total}  {task.fields[rate]}  {task.fields[point]}"
    columns = BarColumn(bar_width=16), TextColumn(text, markup=False, table_column=one_line)
    return Progress(*columns, console=Console(stderr=True), auto_refresh=False)
