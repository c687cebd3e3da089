"""Partition: a network cut over devices, what that costs, and how far it is from the best cut there is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

Objective: TypeAlias = Literal["throughput", "latency"]


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a cut is for. replicate: `optimal` may replicate stages. shared_bus: of simulated devices."""

    objective: Objective = "throughput"
    replicate: bool = False
    shared_bus: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Layers [first, end) on a device, or on several alike that take inputs in turn.

    receive_ms, compute_ms, send_ms: of one input on one device. busy_ms: how long it is busy with it; their sum, or the
    longest where the device overlaps them. low_ms, high_ms: interval of busy_ms, None where unknown. handover_ms: of
    its outputs over a network between hosts, where that is a resource of its own. input_bytes, output_bytes:
    activations that enter and leave. on_chip_bytes, off_chip_bytes: parameters cached and streamed, None where the
    device doesn't tell them apart.
    """

    first: int
    end: int
    devices: tuple[str, ...]
    receive_ms: float
    compute_ms: float
    send_ms: float
    busy_ms: float
    input_bytes: int
    output_bytes: int
    on_chip_bytes: int | None = None
    off_chip_bytes: int | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    handover_ms: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def period_ms(self) -> float:
        """Time between two inputs that it could keep up, its devices taking turns."""
        return self.busy_ms / len(self.devices)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Stages in order, judged by one cost model.

    bottleneck_ms: time between two outputs in steady state; `limit` says what sets it (`stage 2`, `bus usb`, `host`,
    `hand-over 1`). latency_ms: of one input through the empty pipeline. lower_bound_ms: no contiguous split in the
    graph's order over these devices does better at the objective. any_bound_ms: nor does any assignment of layers at
    all; `partition.bound` says what that rests on. best_ms: by number of devices from 1 on, the best bottleneck or
    latency with at most so many; inf where so few can't hold it. worst_ms: the bottleneck with every stage at the upper
    end of its interval; regret: the largest share of the bottleneck or latency that another split would save, over all
    times within their intervals; None where one is unknown.
    """

    model: str
    strategy: str
    objective: Objective
    stages: tuple[Stage, ...]
    unused: tuple[str, ...]
    bottleneck_ms: float
    limit: str
    latency_ms: float
    host_ms: float
    lower_bound_ms: float
    any_bound_ms: float
    best_ms: tuple[float, ...]
    worst_ms: float | None = None
    regret: float | None = None

    @property
    def cuts(self) -> tuple[int, ...]:
        """Indices of the layers that each stage but the first begins with."""
        return tuple(stage.first for stage in self.stages[1:])

    @property
    def value_ms(self) -> float:
        """What the objective asks for."""
        return self.bottleneck_ms if self.objective == "throughput" else self.latency_ms

    @property
    def gap(self) -> float:
        """How far above the proven lower bound it is, as a ratio; 0 is the best there is."""
        if self.lower_bound_ms == 0:
            return 0.0 if self.value_ms == 0 else math.inf
        return self.value_ms / self.lower_bound_ms - 1
