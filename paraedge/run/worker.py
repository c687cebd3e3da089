"""The parent's side of one child: start it, talk to it with time-outs, and tell how it died."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import short
from paraedge.core.outcome import Failure, Stage
from paraedge.devices import registry
from paraedge.devices.driver import Driver
from paraedge.devices.parent import child_environment, ending, kernel_kills
from paraedge.run.protocol import BadMessage, from_line, to_line

LONGEST_LINE_BYTES = 64 << 20
TAIL_BYTES = 4096
"""So much of what the child and its libraries print last is kept for the message of a failure."""

DRAIN_READS = 16
"""So many reads empty a pipe; a child that prints without end must not keep us."""

CLOSE_S = 5.0
"""An idle child gets so long to close its device before it is killed."""


class ChildFailed(Exception):
    """The child can't be used any more; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text())
        self.failure = failure


class Worker:
    """A fresh interpreter with the device open. A context manager; the child never outlives it.

    descriptors: open files that the child inherits under their numbers. started: called with the process before
    anything is asked of it, so that another thread can kill it.
    """

    def __init__(
        self,
        driver: Driver,
        target: Target,
        settings: MeasureSettings,
        *,
        descriptors: Sequence[int] = (),
        started: Callable[[subprocess.Popen[bytes]], None] | None = None,
    ) -> None:
        self.settings = settings
        self.stage: Stage = "open"
        self._busy = True
        self._inbox = bytearray()
        self._tail = bytearray()
        self._kernel_kills = kernel_kills()
        self._requests = self._replies = self._log = -1
        self._selector = selectors.DefaultSelector()
        self._process = self._start(target, descriptors)
        if started is not None:
            started(self._process)
        class_name = f"{type(driver).__module__}:{type(driver).__qualname__}"
        try:
            where = {"target": target, "port": registry.port(target.device)}
            self.ask({"driver": class_name, **where, "memory_mb": settings.memory_mb}, "open")
        except BaseException:
            self.kill()
            raise

    def ask(self, request: Mapping[str, object], answer: str) -> dict[str, Any]:
        """Send a request and wait for the message that says `answer`; raises ChildFailed, the child then being gone."""
        *_, last = self.stream(request, answer)
        return last

    def stream(self, request: Mapping[str, object], answer: str, part: str | None = None) -> Iterator[dict[str, Any]]:
        """As `ask`, but yields each message that says `part` as it comes, and the answer last."""
        self._busy = True
        self.stage = "open" if answer == "open" else "load"
        self._drain()
        self._tail.clear()  # what was printed of an earlier job explains nothing here
        try:
            self._send(to_line(request))
            while True:
                message = self._receive()
                if message.get("say") == "stage":
                    self.stage = cast(Stage, message["stage"])
                elif message.get("say") == part is not None:
                    yield message
                elif message.get("say") == answer:
                    self._busy = False
                    yield message
                    return
                elif isinstance(found := message.get("failure", message.get("outcome")), Failure):
                    self.kill()
                    raise ChildFailed(found)
                else:
                    raise BadMessage(f"the child said {message.get('say')!r} in place of {answer!r}")
        except BadMessage as error:
            self.kill()
            raise ChildFailed(Failure(stage=self.stage, error="BadMessage", message=short(error))) from error

    def alive(self) -> bool:
        """Whether the child still runs; one that ended between two jobs takes no job along."""
        return self._process.poll() is None

    def close(self) -> None:
        """Let an idle child close its device and end; kill a busy one."""
        if not self._busy and self._process.returncode is None:
            os.close(self._requests)
            self._requests = -1
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSE_S)
        self.kill()

    def kill(self) -> None:
        """End the child now and release everything."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        for name in ("_requests", "_replies", "_log"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, target: Target, descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
        try:
            (child_read, self._requests), (self._replies, child_write), (self._log, child_log) = _pipes(3)
        except OSError as error:
            raise ChildFailed(self._unstarted(error)) from error
        command = [sys.executable, "-m", "paraedge.run.child", str(os.getpid()), str(child_read), str(child_write)]
        try:
            process = subprocess.Popen(
                [*command, target.label()],
                stdin=subprocess.DEVNULL,
                stdout=child_log,  # LiteRT prints to both
                stderr=child_log,
                pass_fds=(child_read, child_write, *descriptors),
                env=child_environment(),
            )
        except OSError as error:  # no memory or no process left for another
            for descriptor in (self._requests, self._replies, self._log):
                os.close(descriptor)
            raise ChildFailed(self._unstarted(error)) from error
        finally:
            for descriptor in (child_read, child_write, child_log):
                os.close(descriptor)
        for descriptor in (self._requests, self._replies, self._log):
            os.set_blocking(descriptor, False)
        self._selector.register(self._replies, selectors.EVENT_READ)
        self._selector.register(self._log, selectors.EVENT_READ)
        return process

    def _unstarted(self, error: OSError) -> Failure:
        self._selector.close()
        return Failure(stage="open", error=type(error).__name__, message=short(error))

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        with selectors.DefaultSelector() as ready:
            ready.register(self._requests, selectors.EVENT_WRITE)
            while rest:
                if not ready.select(self.settings.timeout_s):
                    raise ChildFailed(self._silent())
                try:
                    rest = rest[os.write(self._requests, rest) :]
                except BrokenPipeError as error:
                    raise ChildFailed(self._dead()) from error

    def _receive(self) -> dict[str, Any]:
        """The next message; raises ChildFailed after `timeout_s` of silence, or when the child has ended."""
        deadline = time.monotonic() + self.settings.timeout_s
        searched = 0
        while (end := self._inbox.find(b"\n", searched)) < 0:
            searched = len(self._inbox)
            if searched > LONGEST_LINE_BYTES:
                raise BadMessage(f"a line of more than {LONGEST_LINE_BYTES >> 20} MiB")
            left_s = deadline - time.monotonic()
            ready = self._selector.select(max(0.0, left_s))
            if not ready or left_s < 0:  # a child that only prints is silent too
                raise ChildFailed(self._silent())
            for key, _ in ready:
                if not self._read(key.fd) and key.fd == self._replies:
                    raise ChildFailed(self._dead())
        line = bytes(self._inbox[:end])
        del self._inbox[: end + 1]
        return from_line(line)

    def _read(self, descriptor: int) -> bool:
        """Take in what is there; False at the end of the pipe."""
        data = os.read(descriptor, 1 << 16)
        if descriptor == self._replies:
            self._inbox += data
        else:
            self._tail += data
            del self._tail[:-TAIL_BYTES]
        if not data and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
        return bool(data)

    def _drain(self) -> None:
        """Take in what the child has printed so far."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(DRAIN_READS):
                if not self._read(self._log):
                    return

    def _silent(self) -> Failure:
        self.kill()
        message = f"no sign of life for {self.settings.timeout_s:g} s; the child was killed"
        return Failure(stage=self.stage, error="TimeOut", message=message)

    def _dead(self) -> Failure:
        """How the child ended: its signal or exit code, and what it printed last."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_S)
        self._drain()
        code = self._process.returncode
        self.kill()
        printed = self._tail.decode(errors="replace").strip()
        ended = ending(code, printed, self._kernel_kills)
        said = f"; it last printed: {printed[-300:]}" if printed else ""
        message = short(f"the child {ended.text}{said}")
        return Failure(stage=self.stage, error=ended.error, message=message, signal=ended.signal)


def _pipes(count: int) -> list[tuple[int, int]]:
    """So many pipes; raises OSError, and leaves none, where no more files can be opened."""
    made: list[tuple[int, int]] = []
    try:
        while len(made) < count:
            made.append(os.pipe())
    except OSError:
        for pair in made:
            for descriptor in pair:
                os.close(descriptor)
        raise
    return made
