"""Skips what repeats: a line whose state comes back goes on as it did, so a million inputs cost as much as a few."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

from paraedge.simulate.line import Line

State: TypeAlias = "tuple[object, ...]"


@dataclass(frozen=True)
class Mark:
    """A state of a line to be recognised: as it was when input `key` left it at `time`, with its records."""

    state: State
    key: int
    time: int
    kept: list[list[Counter[tuple[int, ...]]]]


def run(line: Line) -> None:
    """To the end of all inputs, with every whole repetition of a state but the first skipped: exact, and quick.

    States are compared where an input leaves, with one earlier state that is renewed at twice its input each time
    (Brent, BIT 20, 1980). A line whose works hardly repeat goes through all its events.
    """
    mark: Mark | None = None
    seeks = 4 * line.cycle < line.inputs
    while line.events:
        left = line.step()
        if left is None or not seeks or (left + 1) % line.cycle:
            continue
        state = _state(line, left)
        if mark is not None and state == mark.state:
            _skip(line, mark, left)
            seeks = False
        elif mark is None or left > 2 * mark.key:
            mark = Mark(state, left, line.last_exit, [[s.kept.copy() for s in servers] for servers in line.servers])


def _state(line: Line, key: int) -> State:
    """All that the line's future depends on, with times and inputs counted from now.

    How long a bus is taken follows from when its last server is ready.
    """
    now = line.last_exit
    pendings = [*line.filled, *line.freed, line.entered]
    return (
        tuple(sorted((time - now, asks, node, k - key) for time, asks, node, k in line.events)),
        tuple(tuple(sorted((k - key, time - now) for k, time in pending.items())) for pending in pendings),
        tuple(
            (s.key - key, s.sending, s.free - now, s.ready - now, s.first is None, s.work)
            for servers in line.servers
            for s in servers
        ),
    )


def _skip(line: Line, mark: Mark, key: int) -> None:
    """Move the line, in the state of `mark` again, on by as many repetitions as leave inputs to enter."""
    inputs, ticks = key - mark.key, line.last_exit - mark.time
    times = (line.inputs - 1 - line.servers[0][0].key) // inputs
    if times <= 0:
        return
    keys, span = times * inputs, times * ticks
    line.passes += line.passes[mark.key + 1 : key + 1] * times
    line.events = [
        (time + span, asks, node, k + keys) for time, asks, node, k in line.events
    ]  # all alike: still a heap
    for pending in (*line.filled, *line.freed, line.entered):
        moved = {k + keys: time + span for k, time in pending.items()}
        pending.clear()
        pending.update(moved)
    for bus in line.bus_free:
        line.bus_free[bus] += span
    for servers, before in zip(line.servers, mark.kept, strict=True):
        for server, kept in zip(servers, before, strict=True):
            server.key, server.free, server.ready = server.key + keys, server.free + span, server.ready + span
            for ticks_kept, count in (server.kept - kept).items():
                server.kept[ticks_kept] += times * count
    line.last_exit += span
