"""How a stage spent its time, input by input; kept in bounded memory."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping

KEPT = 1 << 16
"""Medians are over so many last inputs at most: a stream need never end."""

PARTS = ("wait", "receive", "compute", "blocked", "send")


class StageTimes:
    """Times of the inputs that a stage took, in nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, ...]] = deque(maxlen=KEPT)
        self._inputs = 0
        self._busy_ns = 0
        self._first_ns = 0
        self._entered_ns = 0
        self._last_ns = 0

    def add(self, begin: int, there: int, received: int, computed: int, room: int, sent: int) -> None:
        """One input: waited for from `begin` until `there`, in the model, computed, room for its output, sent."""
        self._parts.append((there - begin, received - there, computed - received, room - computed, sent - room))
        self._first_ns = self._first_ns or there
        self._entered_ns, self._last_ns = there, sent
        self._busy_ns += computed - there + sent - room
        self._inputs += 1

    def summary(self) -> Mapping[str, float]:
        """Number of `inputs`; medians `wait_ns`, `receive_ns`, `compute_ns`, `blocked_ns` and `send_ns`.

        first_ns, entered_ns: when the first and the last input were there; last_ns: when the last output was sent.
        busy_ns: all that it received, computed and sent.
        """
        medians = [statistics.median(part) for part in zip(*self._parts, strict=True)] or [0] * len(PARTS)
        return {
            "inputs": self._inputs,
            "busy_ns": self._busy_ns,
            "first_ns": self._first_ns,
            "entered_ns": self._entered_ns,
            "last_ns": self._last_ns,
            **{f"{name}_ns": median for name, median in zip(PARTS, medians, strict=True)},
        }
