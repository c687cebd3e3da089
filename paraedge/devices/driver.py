"""The two protocols of a device: a Driver that finds and opens it, a Session that returns samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Roof, Target
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Job, Outcome


class Session(Protocol):
    """An open device. Lives in a child process of its own where the driver is `isolated`."""

    info: DeviceInfo

    def sample(self, job: Job, settings: MeasureSettings) -> Outcome:
        """Time one point. What goes wrong with the model is a Failure, not an exception."""
        ...

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        """The device's ceilings: measured on `probes` and the memories, or read from a hardware file."""
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class Driver(Protocol):
    """Knows one family of devices. Cheap to import and to make: nothing heavy is loaded before `open`.

    isolated: the session runs in a fresh child interpreter (every measured device).
    needs_file: a job must carry an artifact; otherwise its graph is enough and no file is written.
    batch_mode: `native` puts the batch into the leading dimension, `looped` invokes that often.
    """

    name: str
    isolated: bool
    needs_file: bool
    batch_mode: str

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        """The devices that are here, and those that are not with the reason."""
        ...

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        """`device` with each combination of the options it has."""
        ...

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        """Why this model can't run on this target, or None."""
        ...

    def open(self, target: Target) -> Session:
        """Open the device; raises ParaedgeError where that fails."""
        ...
