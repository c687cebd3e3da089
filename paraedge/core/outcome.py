"""What comes of a point on a device: an Artifact, a Placement, and a Measurement or a Failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from paraedge.core.device import DeviceInfo
from paraedge.core.graph import LayerGraph
from paraedge.core.partition import Partition
from paraedge.core.pipeline import PipelineRun
from paraedge.core.spec import ModelSpec

Stage: TypeAlias = Literal["build", "partition", "compile", "open", "load", "run"]
StopReason: TypeAlias = Literal["precision", "time_budget", "max_invokes", "simulated"]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Which layers run where. `source` says whether that is the compiler's word or an estimate.

    on_device, on_chip, off_chip and on_cpu are layer indices of the graph; on_chip and off_chip divide those
    on_device that have parameters, and are None where the compiler tells only the bytes. Bytes are of the parameters,
    padded as the device stores them. reasons: why a layer is on the CPU.
    """

    source: Literal["compiler", "estimated"]
    on_device: tuple[int, ...]
    on_cpu: tuple[int, ...]
    on_chip: tuple[int, ...] | None
    off_chip: tuple[int, ...] | None
    on_chip_bytes: int
    off_chip_bytes: int
    reasons: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A model file: where it is, its size and SHA-256 (None where nobody asked), and how it was made.

    compiler, placement: version of the edgetpu_compiler that made it, and what it put where; None if not compiled.
    """

    path: Path
    file_bytes: int
    recipe: str
    sha256: str | None = None
    compiler: str | None = None
    placement: Placement | None = None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A simulated latency of one invoke and the terms that add up to it, in milliseconds.

    terms: `compute_ms`, `weights_ms`, `input_ms`, `output_ms`, `instructions_ms`, `overhead_ms`, `cpu_ms`.
    low_ms, high_ms: 90 % interval, from measurements of its regime that were left out of the fit; None where there are
    none. outside: in which ways the model is unlike any that was measured.
    first_ms: latency of the first invoke, cached parameters uploaded. untimed: ops that can't be timed, by name, with
    the reason; `latency_ms` leaves them out.
    """

    device: str
    latency_ms: float
    first_ms: float | None
    terms: Mapping[str, float]
    placement: Placement
    untimed: tuple[str, ...] = ()
    low_ms: float | None = None
    high_ms: float | None = None
    regime: str | None = None
    outside: tuple[str, ...] = ()
    instruction_bytes: int | None = None
    link_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A point to be sampled. `graph` and `artifact` are there as the driver needs them."""

    spec: ModelSpec | None
    graph: LayerGraph | None
    artifact: Artifact | None


@dataclass(frozen=True, kw_only=True)
class Block:
    """One timed block: so many invokes in so many nanoseconds."""

    invokes: int
    duration_ns: int

    @property
    def invoke_ns(self) -> float:
        """Of one invoke."""
        return self.duration_ns / self.invokes


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Samples of a point on a device in a round, every block in order. Times but for `blocks` are of one invoke.

    pipeline, partition: of a pipeline's run, and how its network was cut; its one block is the whole run.
    """

    device: DeviceInfo
    blocks: tuple[Block, ...]
    stop_reason: StopReason
    open_ns: int | None = None
    first_ns: int | None = None
    set_ns: int | None = None
    get_ns: int | None = None
    warm_up_invokes: int = 0
    temperature_c: float | None = None
    warnings: tuple[str, ...] = ()
    prediction: Prediction | None = None
    pipeline: PipelineRun | None = None
    partition: Partition | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why there is no measurement: a row, not an exception that ends a sweep."""

    stage: Stage
    error: str
    message: str
    signal: str | None = None

    def text(self) -> str:
        """`run: MemoryError: ...`, one line."""
        parts = [self.stage, self.error, *([self.signal] if self.signal else []), self.message]
        return ": ".join(part for part in parts if part)


Outcome: TypeAlias = "Measurement | Failure"
