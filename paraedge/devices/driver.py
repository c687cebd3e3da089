"""The two protocols of a device: a Driver that finds and opens it, a Session that returns samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Roof, Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Job, Outcome
from paraedge.core.window import Window


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


class Sustainer(Protocol):
    """A session's `sustain`: invokes a job's model without pause for `for_s`, and tells of each `window_s`."""

    def __call__(self, job: Job, settings: MeasureSettings, *, for_s: float, window_s: float) -> Iterator[Window]:
        """Raises what goes wrong with the model."""
        ...


def sustainer(session: Session) -> Sustainer:
    """The session's `sustain`, which a third party's need not have; raises BadInput."""
    found = getattr(session, "sustain", None)
    if found is None:
        raise BadInput(f"{session.info.id} can't be measured without pause; take cpu or an edgetpu")
    return cast(Sustainer, found)


class Loader(Protocol):
    """A session's `model`: a job's model with its tensors allocated, for a stage of a pipeline."""

    def __call__(self, job: Job, settings: MeasureSettings) -> Any:
        """LiteRT's interpreter or what acts like one; raises what goes wrong with the model.

        Called of it: `get_input_details`, `get_output_details`, `set_tensor`, `invoke`, `get_tensor`.
        """
        ...


def loader(session: Session) -> Loader:
    """The session's `model`, which a third party's need not have; raises BadInput."""
    found = getattr(session, "model", None)
    if found is None:
        raise BadInput(f"{session.info.id} can't be a stage of a pipeline; take cpu or an edgetpu")
    return cast(Loader, found)


class Driver(Protocol):
    """Knows one family of devices. Cheap to import and to make: nothing heavy is loaded before `open`.

    isolated: the session runs in a fresh child interpreter (every measured device).
    needs_file: a job must carry an artifact; otherwise its graph is enough and no file is written.
    needs_compiled: that artifact must be compiled by edgetpu_compiler.
    batch_mode: `native` puts the batch into the leading dimension, `looped` invokes that often.
    """

    name: str
    isolated: bool
    needs_file: bool
    needs_compiled: bool
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
