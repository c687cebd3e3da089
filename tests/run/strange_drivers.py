"""Drivers that misbehave on request; a child imports this file by its module name.

A job's artifact tells the session what to do: `recipe` is the name of a method below, `path` a file to write the
child's process id to.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Roof, Target
from paraedge.core.errors import DeviceMissing
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Block, Failure, Job, Measurement, Outcome
from paraedge.devices import stage
from paraedge.devices.timed_loop import time_invokes

INFO = DeviceInfo(id="strange", origin=Origin.MEASURED, batch_mode="native", details={"pid": str(os.getpid())})
GOOD = Measurement(device=INFO, blocks=(Block(invokes=1, duration_ns=1000),), stop_reason="precision")


class StrangeSession:
    info = INFO

    def sample(self, job: Job, settings: MeasureSettings) -> Outcome:
        assert job.artifact is not None
        stage.enter("run")
        if str(job.artifact.path) != "/":
            job.artifact.path.write_text(str(os.getpid()))
        return getattr(self, job.artifact.recipe)(settings) or GOOD

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        macs = [str(probe.graph.macs if probe.graph else None) for probe in probes]
        if not probes:
            raise RuntimeError("no probes")
        roof = Roof(
            name=" ".join(macs), kind="floor", level="invoke", value=0.5, unit="ms", origin=Origin.MEASURED, source=None
        )
        return (roof,)

    def close(self) -> None: ...

    def fine(self, settings: MeasureSettings) -> None: ...

    def segfault(self, settings: MeasureSettings) -> None:
        ctypes.string_at(0)

    def abort_in_load(self, settings: MeasureSettings) -> None:
        stage.enter("load")
        os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
        os.abort()

    def hang(self, settings: MeasureSettings) -> None:
        time.sleep(1000)

    def hang_in_native_code(self, settings: MeasureSettings) -> None:
        ctypes.PyDLL(None).sleep(1000)  # holds Python's global lock, as no invoke should but some may

    def spin(self, settings: MeasureSettings) -> None:
        time_invokes(lambda: sum(range(1000)), MeasureSettings(time_budget_s=1000, precision=0), beat=stage.alive)

    def long_but_alive(self, settings: MeasureSettings) -> None:
        until = time.monotonic() + 2.5 * settings.timeout_s
        while time.monotonic() < until:
            time.sleep(settings.timeout_s / 10)
            stage.alive()

    def print_forever(self, settings: MeasureSettings) -> None:
        while True:
            os.write(1, b"out of memory? " * 100)

    def leave_afterwards(self, settings: MeasureSettings) -> None:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()

    def leave(self, settings: MeasureSettings) -> None:
        os.write(2, b"goodbye\n")
        os._exit(3)

    def killed(self, settings: MeasureSettings) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def allocate(self, settings: MeasureSettings) -> None:
        bytearray(4 << 30)

    def long_error(self, settings: MeasureSettings) -> None:
        raise ValueError("x" * 10_000_000)

    def long_failure(self, settings: MeasureSettings) -> Failure:
        return Failure(stage="load", error="Odd", message="line\n" * 1_000_000)

    def chatter(self, settings: MeasureSettings) -> None:
        os.write(1, b'{"say":"outcome","outcome":null}\n\xff\xfe' * 100_000)
        print("{}\n" * 100_000, flush=True)  # noqa: T201
        sys.stderr.write("noise " * 100_000)

    def no_outcome(self, settings: MeasureSettings) -> object:
        return "nonsense"

    def path(self, settings: MeasureSettings) -> Failure:
        return Failure(stage="run", error="Path", message="\n".join(sys.path))

    def modules(self, settings: MeasureSettings) -> Failure:
        heavy = {"pandas", "pydantic", "scipy", "matplotlib", "numpy", "ai_edge_litert", "psutil", "typer"}
        return Failure(stage="run", error="Modules", message=" ".join(sorted(heavy & set(sys.modules))))


class StrangeDriver:
    name = "strange"
    isolated = True
    needs_file = True
    batch_mode = "native"

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        return [INFO]

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        return (Target(device=device),)

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        return None

    def open(self, target: Target) -> StrangeSession:
        return StrangeSession()


class AbsentDriver(StrangeDriver):
    """Its device is not here: every opening leaves a line in a file."""

    def open(self, target: Target) -> StrangeSession:
        with open(target.device, "a") as file:
            file.write("opened\n")
        raise DeviceMissing("unplugged")


class DyingDriver(StrangeDriver):
    """Dies in its first opening, for which `target.device` names a file, and opens afterwards."""

    def open(self, target: Target) -> StrangeSession:
        if not os.path.exists(target.device):
            open(target.device, "w").close()
            os.abort()
        return StrangeSession()


class InProcessDriver(StrangeDriver):
    """Runs where it is called, as a simulated device does."""

    isolated = False
    needs_file = False
