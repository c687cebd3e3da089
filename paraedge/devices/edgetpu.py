"""Real Edge TPUs through the interpreter's delegate. Cheap to import; `open` loads the delegate, in the child."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Roof, Target
from paraedge.core.errors import BadInput, DeviceMissing, ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Job, Outcome
from paraedge.core.window import Window
from paraedge.devices import edgetpu_host, edgetpu_trial, host, interpreter
from paraedge.devices.edgetpu_host import USB2_MBIT_PER_S, Attached
from paraedge.devices.edgetpu_trial import Trial
from paraedge.devices.quantized import why_not_quantized

if TYPE_CHECKING:
    import numpy.typing as npt

CLOCK_MHZ = {"max": 500, "std": 250}
"""Nominal core clock of a USB stick by its runtime; a PCIe module runs at that of `max` (libedgetpu, driver/beagle)."""


class CpuOps(ParaedgeError):
    """A compiled model that leaves ops on the CPU, whose time would pass for the device's."""


class EdgeTpuDriver:
    """Driver of the devices `edgetpu:0`, `edgetpu:1` and on."""

    name = "edgetpu"
    isolated = True
    needs_file = True
    needs_compiled = True
    batch_mode: Literal["looped"] = "looped"

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        """The Edge TPUs that are attached and have all they need, or what they lack; opens nothing, loads nothing."""
        attached = edgetpu_host.find_attached()
        if not attached:
            return [
                Absence(
                    id=self.name,
                    reason="none on USB (1a6e:089a, 18d1:9302) and no /dev/apex_*",
                    remedy="plug one in; until then the devices `sim-edgetpu-...` predict one, labelled simulated",
                )
            ]
        return [_lacks(device) or describe(device) for device in attached]

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        """The device itself: it has neither threads nor kernels."""
        return (Target(device=device),)

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        """A float model has no place on it; what the compiler leaves on the CPU is only known of the compiled file."""
        return why_not_quantized(graph)

    def open(self, target: Target) -> EdgeTpuSession:
        """Try the delegate in a throw-away process, then load it here; raises ParaedgeError, with the remedy."""
        device = next((one for one in edgetpu_host.find_attached() if one.id == target.device), None)
        if device is None:
            raise DeviceMissing(f"{target.device} is not attached any more; `paraedge devices` lists what is")
        library = edgetpu_host.find_library()
        if isinstance(library, Absence):
            raise DeviceMissing(f"{library.reason}; {library.remedy}")
        return EdgeTpuSession(device, library, edgetpu_trial.first_that_loads(device, library))


class EdgeTpuSession:
    """An open Edge TPU. One delegate serves every model of the session, as the device stays open between them."""

    def __init__(self, device: Attached, library: str, trial: Trial) -> None:
        self._runtime = importlib.import_module(f"{trial.runtime}.interpreter")
        begin = time.perf_counter_ns()
        self._delegate = self._runtime.load_delegate(library, {"device": trial.option})
        opened_ms = (time.perf_counter_ns() - begin) / 1e6
        self._device = _again(device)  # its link may have changed as its firmware was loaded
        more = {
            "interpreter": edgetpu_trial.runtime_label(trial.runtime),
            "option": trial.option,
            "order": "the runtime's list" if trial.listed else "assumed to be that of the ports",
            "device_open_ms": f"{opened_ms:.1f}",
        }
        self.info = describe(self._device, version=trial.version, more=more)

    def sample(self, job: Job, settings: MeasureSettings) -> Outcome:
        """Load the job's compiled file, and time its first invoke, which uploads parameters, and the later ones."""
        return interpreter.sample(lambda: self.model(job, settings), settings, self.info, self._temperature)

    def sustain(self, job: Job, settings: MeasureSettings, *, for_s: float, window_s: float) -> Iterator[Window]:
        """Invoke the job's model without pause; see `interpreter.sustain`."""
        return interpreter.sustain(
            lambda: self.model(job, settings), settings, self._temperature, for_s=for_s, window_s=window_s
        )

    def model(self, job: Job, settings: MeasureSettings) -> Any:
        """The interpreter of the job's compiled file; raises CpuOps."""
        refuse_cpu_ops(job, settings)
        return self._load(job)

    def outputs(self, job: Job, seed: int = 0) -> list[npt.NDArray[Any]]:
        """The model's outputs of one invoke on the input values that `sample` sets."""
        return interpreter.outputs(lambda: self._load(job), seed)

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        """The best rate and the shortest invoke among the probes; nothing here measures its memories."""
        return interpreter.probe_roofs(self.sample, probes, settings, source="libedgetpu")

    def close(self) -> None:
        """The process ends with the session, and the device is free."""

    def _temperature(self) -> float | None:
        return edgetpu_host.temperature_c(self._device)

    def _load(self, job: Job) -> Any:
        if job.artifact is None:
            raise BadInput("the edgetpu needs a compiled model file, the job has none")
        model = self._runtime.Interpreter(
            model_path=str(job.artifact.path), experimental_delegates=[self._delegate], num_threads=1
        )
        model.allocate_tensors()
        return model


def refuse_cpu_ops(job: Job, settings: MeasureSettings) -> None:
    """Raise CpuOps for a compiled model that leaves ops on the CPU, unless the settings allow it."""
    placement = job.artifact.placement if job.artifact else None
    if placement is None or not placement.on_cpu or settings.allow_cpu_ops:
        return
    count = len(placement.on_cpu)
    reasons = sorted(set(placement.reasons.values()))
    why = f": {'; '.join(reasons)}" if reasons else ""
    raise CpuOps(
        f"{'1 op' if count == 1 else f'{count} ops'} beside the compiled ones {'is' if count == 1 else 'are'} left on "
        f"the CPU{why}; set allow_cpu_ops to measure them together"
    )


def describe(device: Attached, *, version: str | None = None, more: dict[str, str] | None = None) -> DeviceInfo:
    """An attached Edge TPU with its link, runtime and host; `version` and `more` are of an open one."""
    flavour = edgetpu_host.find_flavour()
    clock_mhz = CLOCK_MHZ["max"] if device.bus == "PCIe" else CLOCK_MHZ.get(flavour or "")
    return DeviceInfo(
        id=device.id,
        origin=Origin.MEASURED,
        batch_mode="looped",
        link=_link(device),
        link_mbit_per_s=device.link_mbit_per_s,
        clock_mhz=clock_mhz,
        runtime=f"libedgetpu {flavour}" if flavour else "libedgetpu",
        runtime_version=version,
        host=host.cpu_model(),
        port=f"{device.bus} {device.port}",
        details={**_details(device), **(more or {})},
    )


def _details(device: Attached) -> dict[str, str]:
    found: dict[str, str] = {"runtime_clocks": edgetpu_host.find_flavour() or "unknown"}
    library = edgetpu_host.find_library()
    if isinstance(library, str):
        found["library"] = os.path.basename(os.path.realpath(library) if os.path.exists(library) else library)
    if device.pcie:
        found["pcie_link"] = str(device.pcie)
        trip = edgetpu_host.trip_c(device)
        found |= {"temperature": "of the chip"} | ({} if trip is None else {"trip_c": f"{trip:g}"})
    else:
        found |= {"temperature": "unknown: USB sticks report none", "firmware": "loaded" if device.ready else "not yet"}
    if edgetpu_host.root() != Path("/"):
        found["sysfs"] = f"made up: {edgetpu_host.ROOT_VARIABLE} is set"
    return found


def _link(device: Attached) -> str:
    speed = device.usb_mbit_per_s
    if device.bus == "PCIe" or speed is None:
        return device.bus
    return "USB 2" if speed <= USB2_MBIT_PER_S else "USB 3"


def _again(device: Attached) -> Attached:
    return next((one for one in edgetpu_host.find_attached() if one.port == device.port), device)


def _lacks(device: Attached) -> Absence | None:
    """What an attached device lacks to be used, the first of several."""
    if device.bus == "PCIe" and not device.ready:
        reason = f"/dev/{device.port} may not be opened by this user"
        return Absence(id=device.id, reason=reason, remedy='sudo usermod -aG apex "$USER"   and log in again')
    library = edgetpu_host.find_library()
    if isinstance(library, Absence):
        reason = f"attached at {device.bus} {device.port}, but {library.reason}"
        return Absence(id=device.id, reason=reason, remedy=library.remedy)
    if not edgetpu_trial.installed():
        reason = f"attached at {device.bus} {device.port}, but no TensorFlow Lite interpreter is installed"
        return Absence(id=device.id, reason=reason, remedy="pip install ai-edge-litert")
    return None
