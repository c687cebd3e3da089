"""Simulated devices: one for each hardware file, behind the same door as a measured one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Roof, Target
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Block, Failure, Job, Measurement, Outcome
from paraedge.devices.quantized import why_not_simulated
from paraedge.simulate.constants import Hardware
from paraedge.simulate.hardware import hardware_names, load_hardware, user_hardware
from paraedge.simulate.predict import predict
from paraedge.simulate.roofs import roofs


@dataclass(frozen=True)
class SimulatedSession:
    """An open simulated device; needs the job's graph and nothing else."""

    hardware: Hardware
    info: DeviceInfo

    def sample(self, job: Job, settings: MeasureSettings) -> Outcome:
        """One block of one invoke that takes the predicted latency; `settings` have no say."""
        if job.graph is None:
            return Failure(stage="load", error="NoGraph", message="a simulated device needs the model's graph")
        prediction = predict(job.graph, self.hardware)
        if not prediction.placement.on_device:
            reason = prediction.untimed[0] if prediction.untimed else "the model has no ops"
            return Failure(stage="compile", error="NothingMapped", message=f"no op can run on the Edge TPU: {reason}")
        warnings = tuple(f"latency leaves out {text}" for text in prediction.untimed)
        return Measurement(
            device=self.info,
            blocks=(Block(invokes=1, duration_ns=max(1, round(prediction.latency_ms * 1e6))),),
            stop_reason="simulated",
            first_ns=None if prediction.first_ms is None else round(prediction.first_ms * 1e6),
            warnings=warnings,
            prediction=prediction,
        )

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        """The ceilings of the hardware file; nothing is probed."""
        return roofs(self.hardware)

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class SimulatedDriver:
    """Finds the shipped hardware files and those in the folder that PARAEDGE_HARDWARE names."""

    name: str = "simulated"
    isolated: bool = False
    needs_file: bool = False
    needs_compiled: bool = False
    batch_mode: Literal["looped"] = "looped"

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        """One device a hardware file; a file of the user's that can't be used is an absence with the reason."""
        found: list[DeviceInfo | Absence] = [device_info(load_hardware(name)) for name in hardware_names()]
        return found + [one for one in user_hardware() if isinstance(one, Absence)]

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        """The device itself: it has neither threads nor kernels."""
        return (Target(device=device),)

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        """A float model has no place on the Edge TPU, and the layers of a compiled one can't be seen."""
        return why_not_simulated(graph)

    def open(self, target: Target) -> SimulatedSession:
        """Read the hardware file; raises BadInput where there is none of this name."""
        hardware = load_hardware(target.device)
        return SimulatedSession(hardware, device_info(hardware))


def device_info(hardware: Hardware) -> DeviceInfo:
    """A hardware file as a device, with its origin `simulated`."""
    return DeviceInfo(
        id=hardware.name,
        origin=Origin.SIMULATED,
        batch_mode="looped",
        link=hardware.interface,
        link_mbit_per_s=hardware.link_mbit_per_s,
        clock_mhz=round(hardware.clock_mhz),
        runtime="simulator",
        host=hardware.host,
        details={"summary": hardware.summary},
    )
