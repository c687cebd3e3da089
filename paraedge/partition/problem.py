"""Problem: devices, what every span of layers costs each of them, and what a split over them is worth.

The cost model, in full. A stage is busy with an input as long as its span's busy_ms says; r devices that take inputs in
turn can keep up a period of busy_ms / r. The period of a pipeline is the longest of: its stages; its hand-overs, where
they overlap with the devices' work (else a hand-over is added to the busy time of both its ends); for each shared bus
the sum of the bus times of all stages on it; and host_ms, what the host does for every input, one after another. Bus
times and hand-overs are those of one input and don't shrink with replicas. No pipeline is faster than that; stages that
wait for each other's turn on a bus may be slower, which the simulated pipeline shows and this model doesn't know. The
latency is host_ms and the sum of all busy times and hand-overs. A whole model on one device is no pipeline: it knows no
host_ms and no hand-over.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paraedge.core.errors import BadInput

if TYPE_CHECKING:
    from paraedge.core.spans import Spans, Times


@dataclass(frozen=True, kw_only=True, eq=False)
class DeviceType:
    """Devices that cost the same.

    devices: their names, one each. spans: of a graph of n layers. bus: name of the bus that they share with each other
    and with any type that names it; bus_ms: (n + 1, n + 1), how long it is busy with one input of the span.
    """

    devices: tuple[str, ...]
    spans: Spans
    bus: str | None = None
    bus_ms: Times | None = None

    def __post_init__(self) -> None:
        """Refuse times that are none, and a bus without times."""
        busy = self.spans.busy_ms
        if np.triu(~(busy >= 0), k=1).any():
            raise BadInput("busy_ms holds something that is no time; inf where a span can't run")
        if (self.bus is None) != (self.bus_ms is None):
            raise BadInput("a bus goes with its times: give bus and bus_ms, or neither")
        if self.bus_ms is not None and self.bus_ms.shape != busy.shape:
            raise BadInput(f"bus_ms has another shape than {busy.shape}")
        moved = self.bus_ms[np.triu(np.isfinite(busy), k=1)] if self.bus_ms is not None else busy[:0]
        if not ((moved >= 0) & (moved < np.inf)).all():
            raise BadInput("bus_ms holds something that is no time")


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A model of n layers and the devices to cut it over.

    host_ms: serial work of the host per input of a pipeline. handover_ms: (K, K, n + 1), from a device of type u to one
    of type v at boundary i; None: no hand-overs, every transfer is in the spans. handover_overlaps: devices compute
    meanwhile; False: it is added to the busy time of both ends. cuttable: boundaries where a cut is allowed; None: all.
    """

    model: str
    layers: int
    types: tuple[DeviceType, ...]
    host_ms: float = 0.0
    handover_ms: Times | None = None
    handover_overlaps: bool = True
    cuttable: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what doesn't fit together, and devices that are named twice or not at all."""
        sides, kinds = self.layers + 1, len(self.types)
        if any(kind.spans.layers != self.layers for kind in self.types):
            raise BadInput(f"spans of another model: {self.model} has {self.layers} layers")
        if self.handover_ms is not None and self.handover_ms.shape != (kinds, kinds, sides):
            raise BadInput(f"handover_ms has another shape than ({kinds}, {kinds}, {sides})")
        if self.handover_ms is not None and not (self.handover_ms >= 0).all():
            raise BadInput("handover_ms holds something that is no time; inf where there is no connection")
        names = [name for kind in self.types for name in kind.devices]
        if not names or len(set(names)) < len(names) or not all(kind.devices for kind in self.types):
            raise BadInput("devices: name at least one, each once")
        if not self.host_ms >= 0:
            raise BadInput(f"host_ms is {self.host_ms}; it must be a time")

    @property
    def devices(self) -> int:
        """How many devices there are, of all types together."""
        return sum(len(kind.devices) for kind in self.types)

    def handover(self, sender: int, receiver: int, boundary: int) -> float:
        """Milliseconds from a device of type `sender` to one of type `receiver`; 0 where there are no hand-overs."""
        return 0.0 if self.handover_ms is None else float(self.handover_ms[sender, receiver, boundary])


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """Layers [first, end) on a device of `Problem.types[type]`, or on `replicas` of them that take inputs in turn."""

    first: int
    end: int
    type: int
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Value:
    """What a split is worth. limit: what sets the period: `stage 2`, `hand-over 1`, `bus usb` or `host`, from 1.

    Both times are inf, and limit names the stage or hand-over, where a span can't run on its device.
    """

    bottleneck_ms: float
    latency_ms: float
    limit: str

    @property
    def feasible(self) -> bool:
        """Everything runs where it was put."""
        return math.isfinite(self.bottleneck_ms)


def evaluate(problem: Problem, assigned: Sequence[Assigned]) -> Value:
    """What a split is worth under the cost model; BadInput for one that is none."""
    check(problem, assigned)
    periods = dict(_periods(problem, assigned))
    limit = max(periods, key=periods.__getitem__)
    latency = 0.0
    for stage, following in zip(assigned, [*assigned[1:], None], strict=True):
        after = problem.handover(stage.type, following.type, stage.end) if following else 0.0
        latency += float(problem.types[stage.type].spans.busy_ms[stage.first, stage.end]) + after
    if is_pipeline(assigned):
        latency += problem.host_ms
    return Value(bottleneck_ms=periods[limit], latency_ms=latency, limit=limit)


def is_pipeline(assigned: Sequence[Assigned]) -> bool:
    """Whether more than one device takes part."""
    return len(assigned) > 1 or assigned[0].replicas > 1


def added_handover(problem: Problem, assigned: Sequence[Assigned], index: int) -> tuple[float, float]:
    """Milliseconds that hand-overs add to the busy time of a stage: as receiver and as sender."""
    if problem.handover_overlaps:
        return 0.0, 0.0
    stage = assigned[index]
    before = problem.handover(assigned[index - 1].type, stage.type, stage.first) if index else 0.0
    last = index + 1 == len(assigned)
    return before, 0.0 if last else problem.handover(stage.type, assigned[index + 1].type, stage.end)


def _periods(problem: Problem, assigned: Sequence[Assigned]) -> Iterator[tuple[str, float]]:
    """Everything that a period can't be shorter than, by name."""
    buses: dict[str, float] = {}
    for index, stage in enumerate(assigned):
        kind = problem.types[stage.type]
        before, after = added_handover(problem, assigned, index)
        busy = before + float(kind.spans.busy_ms[stage.first, stage.end]) + after
        yield f"stage {index + 1}", busy / stage.replicas
        if kind.bus is not None and kind.bus_ms is not None:
            buses[kind.bus] = buses.get(kind.bus, 0.0) + float(kind.bus_ms[stage.first, stage.end])
    if problem.handover_overlaps:
        for index, (stage, following) in enumerate(itertools.pairwise(assigned), start=1):
            yield f"hand-over {index}", problem.handover(stage.type, following.type, stage.end)
    for name, busy in buses.items():
        yield f"bus {name}", busy
    if is_pipeline(assigned):
        yield "host", problem.host_ms


def check(problem: Problem, assigned: Sequence[Assigned]) -> None:
    """BadInput unless the stages cover all layers in order, cut only where that is allowed, on devices there are."""
    if not assigned:
        raise BadInput("no stages")
    at = 0
    for stage in assigned:
        if stage.first != at or stage.end <= at or stage.end > problem.layers:
            raise BadInput(f"stages must cover layers 0 to {problem.layers} in order: {stage.first} to {stage.end}")
        if stage.replicas < 1 or not 0 <= stage.type < len(problem.types):
            raise BadInput(f"no such devices: {stage.replicas} of type {stage.type}")
        at = stage.end
        if at < problem.layers and problem.cuttable is not None and at not in problem.cuttable:
            raise BadInput(f"no cut is possible before layer {at} of {problem.model}")
    if at < problem.layers:
        raise BadInput(f"layers {at} to {problem.layers} are on no device")
    for index, kind in enumerate(problem.types):
        taken = sum(stage.replicas for stage in assigned if stage.type == index)
        if taken > len(kind.devices):
            raise BadInput(f"{taken} devices like {kind.devices[0]} are asked for, and {len(kind.devices)} are there")
