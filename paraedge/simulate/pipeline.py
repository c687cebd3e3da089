"""The pipeline of `run`, simulated: stages on devices, queues between them, buses and hosts. Discrete events.

The model, the same as the real pipeline's. The host waits for room in the first queue, where an input enters, is busy
`host_ms` with it, and goes on to the next. A stage takes an input when it is free, is busy with it and puts its outputs
into the next queue; a slot is free again when the receiver has copied its inputs, and a stage that finds no free slot
is blocked. Between any two devices that hand on to each other lie `queue` slots. A hand-over over a network takes
outputs from the sender's slots, one after another, and puts them into the receiver's. Outputs are popped in order, as
soon as they are there.

From two slots on, stages of constant times keep the pace of the slowest of them. With one slot the next output can't
be sent before the last was received, which costs something where both together last longer than the slowest stage.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from paraedge.core.errors import BadInput
from paraedge.core.partition import Partition, Stage
from paraedge.core.pipeline import PipelineRun, StageRun
from paraedge.simulate.line import Line, Node, Server, Work
from paraedge.simulate.repeat import run

TICKS_PER_MS = 10**9
"""A tick is a picosecond: sums of whole ticks are exact, and no time that matters is rounded by as much as 1e-6."""

Time: TypeAlias = "float | Sequence[float]"
"""Of every input, or of input 0, 1, ... and from the first again after the last."""


@dataclass(frozen=True, kw_only=True)
class SimStage:
    """Layers [first, end) on a device, or on several that take inputs in turn. Times of one input, in milliseconds.

    busy_ms: how long a device is busy with an input; None: receive, compute and send in turn. Less than their sum where
    they overlap: the first `receive_ms` of it copy the inputs, the last `send_ms` the outputs. bus, bus_ms: the bus
    that is shared with all stages that name it, and how long an input holds it, from when the stage gets it.
    handover_ms: of its outputs over a network between hosts, one after another. idle_ms: how much longer a device's
    first input takes. Times that are sequences have the same length.
    """

    first: int
    end: int
    devices: tuple[str, ...]
    receive_ms: Time
    compute_ms: Time
    send_ms: Time
    busy_ms: Time | None = None
    bus: str | None = None
    bus_ms: float = 0.0
    handover_ms: float = 0.0
    idle_ms: float = 0.0
    input_bytes: int = 0
    output_bytes: int = 0
    on_chip_bytes: int | None = None
    off_chip_bytes: int | None = None


def simulate_pipeline(stages: Sequence[SimStage], *, inputs: int, queue: int = 2, host_ms: float = 0.0) -> PipelineRun:
    """`inputs` inputs pushed through the stages as fast as there is room.

    Exact to the picosecond, and quick for any number of inputs where times repeat. A device that took no input has no
    StageRun; waiting for a bus counts as receiving. Raises BadInput for times that are no times, no input, no slot.
    """
    for name, value in (("inputs", inputs), ("queue", queue)):
        if value < 1:
            raise BadInput(f"{name} = {value}: a pipeline needs at least 1")
    if not stages:
        raise BadInput("a pipeline needs at least one stage")
    host = _ticks(host_ms, "the host")
    nodes = [Node(works=[Work(0, 0, host, host)])]
    places = []
    for number, stage in enumerate(stages, 1):
        places.append(len(nodes))
        nodes += _nodes(stage, f"stage {number}", is_last=number == len(stages))
    line = Line([*nodes, Node(works=[Work(0, 0, 0, 0)])], inputs, queue)
    run(line)
    return PipelineRun(
        inputs=inputs,
        wall_ms=_ms(line.last_exit),
        fill_ms=_ms(line.passes[0]),
        drain_ms=_ms(line.last_exit - line.last_entry),
        pass_ms=_all_ms(line.passes),
        stages=tuple(
            _stage_run(stage, number, replica, server)
            for number, (stage, place) in enumerate(zip(stages, places, strict=True), 1)
            for replica, server in enumerate(line.servers[place], 1)
            if server.first is not None
        ),
    )


def stages_of(partition: Partition) -> list[SimStage]:
    """The stages of a partition, to be simulated. It doesn't know buses and idling: `dataclasses.replace` adds them."""
    return [_stage_of(stage) for stage in partition.stages]


def _stage_of(stage: Stage) -> SimStage:
    return SimStage(
        first=stage.first,
        end=stage.end,
        devices=stage.devices,
        receive_ms=stage.receive_ms,
        compute_ms=stage.compute_ms,
        send_ms=stage.send_ms,
        busy_ms=stage.busy_ms,
        handover_ms=stage.handover_ms,
        input_bytes=stage.input_bytes,
        output_bytes=stage.output_bytes,
        on_chip_bytes=stage.on_chip_bytes,
        off_chip_bytes=stage.off_chip_bytes,
    )


def _nodes(stage: SimStage, label: str, *, is_last: bool) -> list[Node]:
    if not stage.devices:
        raise BadInput(f"{label} has no device")
    node = Node(
        works=_works(stage, label),
        servers=len(stage.devices),
        bus=stage.bus,
        bus_ticks=_ticks(stage.bus_ms, label),
        idle=_ticks(stage.idle_ms, label),
    )
    handover = _ticks(stage.handover_ms, label)
    return [node, Node(works=[Work(handover, 0, 0, handover)])] if handover and not is_last else [node]


def _works(stage: SimStage, label: str) -> list[Work]:
    times = [stage.receive_ms, stage.compute_ms, stage.send_ms]
    times += [] if stage.busy_ms is None else [stage.busy_ms]
    lengths = {len(time) for time in times if isinstance(time, Sequence)} or {1}
    if len(lengths) > 1 or 0 in lengths:
        raise BadInput(f"{label} has times of {sorted(lengths)} inputs: give equally many, at least one")
    count = lengths.pop()
    spread = [time if isinstance(time, Sequence) else [time] * count for time in times]
    works = []
    for values in zip(*spread, strict=True):
        receive, compute, send, *busy = (_ticks(value, label) for value in values)
        works.append(Work(receive, compute, send, max(receive, send, *busy) if busy else receive + compute + send))
    return works


def _ticks(time_ms: float, label: str) -> int:
    if not 0 <= time_ms < math.inf:
        raise BadInput(f"{label} has a time of {time_ms} ms: a time is at least 0 and ends")
    return round(time_ms * TICKS_PER_MS)


def _ms(ticks: int) -> float:
    return ticks / TICKS_PER_MS


def _all_ms(ticks: Sequence[int]) -> tuple[float, ...]:
    known = {value: _ms(value) for value in set(ticks)}
    return tuple(known[value] for value in ticks)


def _stage_run(stage: SimStage, number: int, replica: int, server: Server) -> StageRun:
    wait, receive, compute, send, _, blocked = (_median_ms(server.kept, part) for part in range(6))
    busy = sum(ticks[4] * count for ticks, count in server.kept.items())
    return StageRun(
        stage=number,
        replica=replica,
        device=stage.devices[replica - 1],
        first=stage.first,
        end=stage.end,
        inputs=server.kept.total(),
        receive_ms=receive,
        compute_ms=compute,
        send_ms=send,
        wait_ms=wait,
        blocked_ms=blocked,
        busy_share=busy / max(server.free - (server.first or 0), 1),
        input_bytes=stage.input_bytes,
        output_bytes=stage.output_bytes,
        on_chip_bytes=stage.on_chip_bytes,
        off_chip_bytes=stage.off_chip_bytes,
    )


def _median_ms(kept: Counter[tuple[int, ...]], part: int) -> float:
    """Median of one part of what was kept, exactly: the mean of the two in the middle for an even number."""
    counts: Counter[int] = Counter()
    for ticks, count in kept.items():
        counts[ticks[part]] += count
    total, seen, middle = counts.total(), 0, []
    for value in sorted(counts):
        before, seen = seen, seen + counts[value]
        middle += [value] * sum(before <= rank < seen for rank in ((total - 1) // 2, total // 2))
    return sum(middle) / (2 * TICKS_PER_MS)
