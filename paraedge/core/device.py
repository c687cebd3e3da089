"""What is measured on: origins, targets, devices, and the settings of a measurement."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

Kernels: TypeAlias = Literal["xnnpack", "builtin"]
BatchMode: TypeAlias = Literal["native", "looped"]


class Origin(str, enum.Enum):
    """Where a number comes from. Set by the driver, never by the caller; there is no default."""

    MEASURED = "measured"
    SIMULATED = "simulated"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device with its options: what a point is measured on. Threads and kernels are None where a device has none.

    segments: over so many devices of this kind; strategy: how it was cut; inputs: pushed one after another. All three
    are None for a model that is invoked whole on one device, and strategy is None for one segment.
    """

    device: str
    threads: int | None = None
    kernels: Kernels | None = None
    segments: int | None = None
    strategy: str | None = None
    inputs: int | None = None

    def alone(self) -> Target:
        """The device with its options, whatever pipeline it is in."""
        return replace(self, segments=None, strategy=None, inputs=None)

    def label(self) -> str:
        """For people: `cpu threads=1 kernels=xnnpack`; never parsed."""
        names = ("threads", "kernels", "segments", "strategy", "inputs")
        options = {name: getattr(self, name) for name in names}
        return " ".join([self.device, *(f"{name}={value}" for name, value in options.items() if value is not None)])


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """A device as its driver found it. Unknown is None.

    port: where it is plugged in, the same however devices are numbered; its lock is taken on it.
    """

    id: str
    origin: Origin
    batch_mode: BatchMode
    link: str | None = None
    link_mbit_per_s: int | None = None
    clock_mhz: int | None = None
    runtime: str | None = None
    runtime_version: str | None = None
    host: str | None = None
    port: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Absence:
    """A device, or a family of devices, that is not here: why, and the command or step that would mend it."""

    id: str
    reason: str
    remedy: str | None = None


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """The protocol of a measurement; `docs/measuring.md` gives the reasons.

    rounds: fresh children a point is visited in. time_budget_s: most time in timed blocks of one visit.
    precision: relative half-width of the within-visit 95 % interval of the median at which a visit may end early.
    warm_up_s: time of untimed invokes before. min_blocks, block_ms: at least so many blocks, each at least so long.
    max_invokes: a cap on timed invokes (None: no cap); min_blocks still holds.
    timeout_s: longest silence of a child. memory_mb: limit of a child's memory (None: no limit of ours).
    allow_cpu_ops: measure a compiled model on an accelerator though some of its ops are left on the CPU.
    """

    rounds: int = 3
    time_budget_s: float = 0.25
    precision: float = 0.01
    warm_up_s: float = 0.02
    min_blocks: int = 10
    block_ms: float = 1.0
    max_invokes: int | None = None
    timeout_s: float = 120.0
    memory_mb: int | None = None
    seed: int = 0
    allow_cpu_ops: bool = False


@dataclass(frozen=True, kw_only=True)
class Roof:
    """One ceiling of a device.

    kind: `compute` (unit `gops_per_s`), `bandwidth` (unit `gb_per_s`, 1e9 bytes) or `floor` (unit `ms`, the shortest
    invoke). level: the memory that a bandwidth belongs to (`L1`, `L2`, `L3`, `DRAM`, `host link`, `on chip`), or the
    precision of a compute roof (`int8`, `float32`). capacity_bytes: of that memory, None where unknown or unbounded.
    """

    name: str
    kind: Literal["compute", "bandwidth", "floor"]
    level: str
    value: float
    unit: Literal["gops_per_s", "gb_per_s", "ms"]
    origin: Origin
    capacity_bytes: int | None = None
    source: str | None = None
