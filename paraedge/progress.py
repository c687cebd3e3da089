"""How far a campaign is, for whoever listens, and what it did in the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from paraedge.archive import Row
from paraedge.core.device import Target
from paraedge.core.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a campaign stands: `done` of `total` attempts, the one just ended, seconds since the start.

    round: None while a model is made that no attempt has had yet; device and status tell by what, and how far it is.
    """

    done: int
    total: int
    label: str
    device: str
    round: int | None
    status: str
    elapsed_s: float


Listener: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What one call of `run_campaign` did. `timed_s` is the part of `wall_s` that was inside timed blocks."""

    folder: Path
    total: int
    done_before: int
    ok: int
    failed: int
    wall_s: float
    timed_s: float

    @property
    def timed_share(self) -> float:
        """Part of the wall time that was inside timed blocks, 0 to 1."""
        return self.timed_s / self.wall_s if self.wall_s > 0 else 0.0


class Tally:
    """Counts rows of this call and tells the listener."""

    def __init__(self, *, total: int, to_do: int, started: float, listener: Listener | None) -> None:
        self.total = total
        self.done_before = total - to_do
        self.started = started
        self.listener = listener
        self.ok = self.failed = 0
        self.timed_s = 0.0

    def count(self, spec: ModelSpec, row: Row, target: Target, number: int) -> None:
        """Take in a row that was just written."""
        self.timed_s += row.timed_s
        self.ok += row.status == "ok"
        self.failed += row.status == "failed"
        self._tell(spec, target.label(), number, row.status)

    def profiled(self, spec: ModelSpec, target: Target, *, failed: bool) -> None:
        """Take in a model whose ops were just written."""
        self.ok += not failed
        self.failed += failed
        self._tell(spec, target.label(), None, "failed" if failed else "ok")

    def building(self, spec: ModelSpec, phase: str) -> None:
        """Tell that TensorFlow is making a model."""
        self._tell(spec, "tensorflow", None, phase)

    def _tell(self, spec: ModelSpec, device: str, number: int | None, status: str) -> None:
        if self.listener is None:
            return
        self.listener(
            Progress(
                done=self.done_before + self.ok + self.failed,
                total=self.total,
                label=spec.label(),
                device=device,
                round=number,
                status=status,
                elapsed_s=self.wall_s,
            )
        )

    @property
    def wall_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def summary(self, folder: Path) -> RunSummary:
        """What was done so far."""
        return RunSummary(
            folder=folder,
            total=self.total,
            done_before=self.done_before,
            ok=self.ok,
            failed=self.failed,
            wall_s=self.wall_s,
            timed_s=self.timed_s,
        )
