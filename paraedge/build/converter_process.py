"""The parent's side of the converter's child: start it, ask it with a time-out, and tell how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from paraedge.core.errors import short
from paraedge.core.outcome import Failure
from paraedge.devices.parent import child_environment, ending, kernel_kills

CHILD = (sys.executable, "-m", "paraedge.build.converter_child")
LONGEST_LINE_BYTES = 1 << 20
TAIL_BYTES = 1 << 14
"""So much of what was printed last is searched for the reason of an end."""
END_S = 5.0
"""A child that closed its pipe gets so long to be gone."""


class ConverterEnded(Exception):
    """The child can't be asked any more; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text())
        self.failure = failure


class ConverterProcess:
    """A child with TensorFlow. What it prints is appended to `log`; its temporary files go to `scratch`.

    Its life is tied to the thread that starts it (`guard.die_with_parent`).
    """

    def __init__(self, log: Path, scratch: Path, memory_mb: int | None) -> None:
        self._log = log
        self._inbox = bytearray()
        self._printed_before = 0
        self._kernel_kills = kernel_kills()
        self._replies, write = os.pipe()
        try:
            with log.open("ab") as printed:
                self._process = subprocess.Popen(
                    [*CHILD, str(os.getpid()), str(write), str(memory_mb or 0)],
                    stdin=subprocess.PIPE,
                    stdout=printed,
                    stderr=printed,
                    pass_fds=(write,),
                    env=_environment(scratch),
                )
        except OSError as error:  # no memory or no process left for another, or a log that can't be written
            os.close(self._replies)
            raise ConverterEnded(_failure(type(error).__name__, short(error))) from error
        finally:
            os.close(write)
        os.set_blocking(self._replies, False)

    def alive(self) -> bool:
        """Whether the child still runs; one that ended between two models takes no model along."""
        return self._process.poll() is None

    def ask(self, request: Mapping[str, object], timeout_s: float, told: Callable[[str], None]) -> dict[str, Any]:
        """The answer to a request, its phases told as they come; raises ConverterEnded, the child then being gone."""
        deadline = time.monotonic() + timeout_s
        self._printed_before = _size(self._log)
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            while True:
                message = self._receive(deadline)
                if "phase" not in message:
                    return {**message, "message": message.get("message") or self._printed_error()}
                told(str(message["phase"]))
        except TimeoutError:
            failure = _failure("TimeOut", f"no model after {timeout_s:g} s; the converter was killed")
        except (EOFError, BrokenPipeError):
            failure = self._dead()
        except ValueError as error:
            failure = _failure("BadMessage", f"the converter answered what is no message: {short(error, 100)}")
        self.kill()
        raise ConverterEnded(failure)

    def kill(self) -> None:
        """End the child now and release everything."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # what it never read is lost with it
                self._process.stdin.close()
        if self._replies >= 0:
            os.close(self._replies)
            self._replies = -1

    def _receive(self, deadline: float) -> dict[str, Any]:
        """The next message; raises TimeoutError, EOFError where the child is gone, ValueError for another line."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._replies, selectors.EVENT_READ)
            while (end := self._inbox.find(b"\n")) < 0:
                if len(self._inbox) > LONGEST_LINE_BYTES:
                    raise ValueError("a line without end")
                if not ready.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                data = os.read(self._replies, 1 << 16)
                if not data:
                    raise EOFError
                self._inbox += data
        line = bytes(self._inbox[:end])
        del self._inbox[: end + 1]
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(line[:80])
        return message

    def _dead(self) -> Failure:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        ended = ending(self._process.returncode, self._printed(), self._kernel_kills)
        return _failure(ended.error, f"the converter {ended.text}", ended.signal)

    def _printed(self) -> str:
        """The last of what was printed since the request."""
        try:
            with self._log.open("rb") as file:
                file.seek(max(self._printed_before, _size(self._log) - TAIL_BYTES))
                return file.read(TAIL_BYTES).decode(errors="replace")
        except OSError:
            return ""

    def _printed_error(self) -> str:
        """The last line that native code printed of an error: TensorFlow raises some without a text."""
        lines = [line for line in self._printed().splitlines() if "error: " in line]
        return short(lines[-1].rpartition("error:")[2].strip()) if lines else "no reason was given"


def _failure(error: str, message: str, signal: str | None = None) -> Failure:
    return Failure(stage="build", error=error, message=short(message), signal=signal)


def _environment(scratch: Path) -> dict[str, str]:
    """Of the child: TensorFlow behind Keras and no GPU, whatever the user has chosen for other programs."""
    own = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(scratch), "TMPDIR": str(scratch)}
    return {**child_environment(), **own, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0
