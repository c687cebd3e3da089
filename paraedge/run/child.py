"""The child: one device, one session, JSON lines over two pipes. Started by `worker`, never by hand.

`python -m paraedge.run.child PARENT READ WRITE LABEL`: the parent's process id, the two file descriptors, and the
target's label, which is there for whoever reads `ps`.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO, cast

from paraedge.core.device import DeviceInfo, MeasureSettings, Target
from paraedge.core.errors import ParaedgeError, short
from paraedge.core.outcome import Failure, Job, Stage
from paraedge.devices import guard, stage
from paraedge.devices.driver import Driver, Session, sustainer
from paraedge.run.protocol import expect, from_line, to_line


class DeviceMoved(ParaedgeError):
    """The device's name means another port than the one whose lock is held."""


def main(arguments: list[str]) -> None:
    """Serve the parent until its pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what ends
    guard.die_with_parent(int(arguments[0]))
    read, write = int(arguments[1]), int(arguments[2])
    for descriptor in (read, write):
        os.set_inheritable(descriptor, False)
    with os.fdopen(read, "rb") as requests:
        _Child(requests, write).serve()
    os._exit(0)  # past the native libraries' own clean-up, which has crashed before


class _Child:
    """Answers requests one by one, in order."""

    def __init__(self, requests: BinaryIO, write: int) -> None:
        self.requests = requests
        self.write = write

    def serve(self) -> None:
        """Open the device that the first line names, then answer each line that follows."""
        stage.listen(self._tell_stage)
        stage.enter("open")
        line = self.requests.readline()
        if not line:
            return
        try:
            session = _open(from_line(line))
        except Exception as error:  # a driver may fail in any way
            self._say(say="failure", failure=stage.failure(error))
            return
        self._say(say="open")
        for line in self.requests:
            for answer in _answers(session, from_line(line)):
                self._say(**answer)
        session.close()

    def _tell_stage(self, name: Stage) -> None:
        self._say(say="stage", stage=name)

    def _say(self, **message: object) -> None:
        data = memoryview(to_line(message))
        while data:
            data = data[os.write(self.write, data) :]


def _open(message: Mapping[str, object]) -> Session:
    memory_mb = message.get("memory_mb")
    guard.limit_memory(memory_mb if isinstance(memory_mb, int) else None)
    module, _, name = expect(message, "driver", str).partition(":")
    driver = cast(Driver, getattr(importlib.import_module(module), name)())
    target, port = expect(message, "target", Target), message.get("port")
    if port is not None:
        _refuse_moved(driver, target.device, str(port))
    return driver.open(target)


def _refuse_moved(driver: Driver, device: str, port: str) -> None:
    """Raise DeviceMoved where `device` is at another port by now: its lock is on `port`."""
    for found in driver.probe():
        if isinstance(found, DeviceInfo) and found.id == device and found.port != port:
            raise DeviceMoved(
                f"{device} was at {port} when this run began, and is at {found.port} now: devices came or went; "
                "start again, a campaign goes on where it was"
            )


def _answers(session: Session, message: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """The answer to a request, after those parts of it that are told as they come."""
    settings = expect(message, "settings", MeasureSettings)
    try:
        if message["do"] == "roofs":
            yield {"say": "roofs", "roofs": session.roofs(expect(message, "probes", tuple), settings)}
            return
        stage.enter("load")
        job = expect(message, "job", Job)
        if message["do"] == "sustain":
            for_s, window_s = expect(message, "for_s", float), expect(message, "window_s", float)
            for window in sustainer(session)(job, settings, for_s=for_s, window_s=window_s):
                yield {"say": "window", "window": window}
            yield {"say": "sustained"}
            return
        if message["do"] == "stage":
            from paraedge.run import stage_loop

            yield from stage_loop.serve(session, job, settings, message)
            return
        outcome = session.sample(job, settings)
    except Exception as error:
        outcome = stage.failure(error)
    if isinstance(outcome, Failure):
        outcome = replace(outcome, message=short(outcome.message))
    yield {"say": "outcome", "outcome": outcome}


if __name__ == "__main__":
    main(sys.argv[1:])
