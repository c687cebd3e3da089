"""The children of a pipeline, each minded by a thread: if one fails, all end."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import ParaedgeError, short
from paraedge.core.outcome import Failure, Job
from paraedge.devices.driver import Driver
from paraedge.run.ring import RingEnd, TensorType
from paraedge.run.visit import with_limit
from paraedge.run.worker import ChildFailed, Worker


class PipelineFailed(ParaedgeError):
    """A pipeline that has ended before its inputs did; `failure` names the stage."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text())
        self.failure = failure


@dataclass(frozen=True, kw_only=True)
class Member:
    """One child: its place for messages (`stage 2 of 3 on cpu, layers 10-19`), its device, and what it is asked.

    ends: of rings, which become the child's own.
    """

    place: str
    driver: Driver
    target: Target
    job: Job
    request: Mapping[str, object]
    ends: Sequence[RingEnd]


class Crew:
    """Children that live and end together; `over` once they are to end before all is done.

    Each is started by a thread of its own, which stays as long as the child: the kernel ends a child with the thread
    that started it.
    """

    def __init__(self, members: Sequence[Member], settings: MeasureSettings) -> None:
        self.members = members
        self.failure: Failure | None = None
        self._types: list[Mapping[int, TensorType] | None] = [None] * len(members)
        self.times: list[Mapping[str, float] | None] = [None] * len(members)
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []
        self.over = False
        self._changed = threading.Condition()
        self._ends = [contextlib.ExitStack() for _ in members]
        for ends, member in zip(self._ends, members, strict=True):
            for end in member.ends:
                ends.callback(end.close)
        self._minders = [
            threading.Thread(target=self._mind, args=(number,), name=f"minder of {member.place}", daemon=True)
            for number, member in enumerate(members)
        ]

    def start(self) -> None:
        """Start all children; raises ParaedgeError where there is no thread left."""
        try:
            for minder in self._minders:
                minder.start()
        except RuntimeError as error:
            self.stop()
            for ends in self._ends:
                ends.close()
            raise ParaedgeError(f"no thread left for a stage of the pipeline: {short(error)}") from error

    def loaded(self) -> dict[int, TensorType]:
        """What all say of their tensors, by id, as soon as all have loaded; raises PipelineFailed."""
        with self._changed:
            self._changed.wait_for(lambda: self.over or None not in self._types)
        agreed: dict[int, TensorType] = {}
        for number, types in enumerate(self._types):
            for tensor, kind in (types or {}).items():
                if agreed.setdefault(tensor, kind) != kind:
                    message = f"tensor {tensor} is {kind} here and {agreed[tensor]} before"
                    self.fail(number, Failure(stage="load", error="BadInput", message=message))
        self.check()
        return agreed

    def check(self) -> None:
        """Raise PipelineFailed if a child has failed."""
        if self.failure is not None:
            raise PipelineFailed(self.failure)

    def cause(self, timeout_s: float) -> ParaedgeError:
        """Why a child's pipes have ended; its minder may need a moment to find out."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure or self.over, timeout_s)
        if self.failure:
            return PipelineFailed(self.failure)
        return ParaedgeError("the pipeline was closed" if self.over else "a stage has closed its pipes")

    def fail(self, number: int, failure: Failure) -> None:
        """End all children for this reason, unless there was one before."""
        with self._changed:
            if self.failure is None and not self.over:
                place = self.members[number].place
                self.failure = replace(failure, message=short(f"{place}: {failure.message}"))
        self.stop()

    def stop(self) -> None:
        """End all children now."""
        with self._changed:
            self.over = True
            for process in self._processes:
                process.kill()
            self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until every child has ended; False where that takes longer."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for minder in filter(threading.Thread.is_alive, self._minders):
            minder.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(minder.is_alive() for minder in self._minders)

    def _mind(self, number: int) -> None:
        member = self.members[number]
        descriptors = [descriptor for end in member.ends for descriptor in end.descriptors]

        def started(process: subprocess.Popen[bytes]) -> None:
            self._ends[number].close()  # only the child has them now, so that its death closes them
            self._enrol(process)

        try:
            with (
                self._ends[number],
                Worker(member.driver, member.target, self._settings, descriptors=descriptors, started=started) as one,
            ):
                request = {"do": "stage", "job": member.job, "settings": self._settings, **member.request}
                for message in one.stream(request, "passed", "loaded"):
                    self._heard(number, message)
        except ChildFailed as error:
            self.fail(number, with_limit(error.failure, self._settings))
        except Exception as error:  # whatever it is, nobody else would hear of it
            self.fail(number, Failure(stage="run", error=type(error).__name__, message=short(error)))

    def _enrol(self, process: subprocess.Popen[bytes]) -> None:
        with self._changed:
            self._processes.append(process)
            if self.over:
                process.kill()

    def _heard(self, number: int, message: Mapping[str, Any]) -> None:
        with self._changed:
            if message["say"] == "loaded":
                self._types[number] = {
                    tensor: TensorType(shape=shape, dtype=dtype) for tensor, (shape, dtype) in message["types"].items()
                }
            else:
                self.times[number] = message["times"]
            self._changed.notify_all()
