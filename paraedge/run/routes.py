"""Which stage of a pipeline sends which tensors to which, and the rings for it.

Stages are numbered from 1; the caller who pushes is 0 and the caller who pops one more than the last. A tensor travels
straight from the stage that makes it to each that takes it, past those between.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paraedge.core.errors import BadInput
from paraedge.run.ring import MOST_SLOTS, RingEnd, unnamed_memory


@dataclass(frozen=True, kw_only=True)
class Station:
    """What routes need to know of a stage: the tensors that it takes and makes, and how many take turns in it."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Route:
    """Tensors from one station to another, and how many inputs its rings must hold together."""

    source: int
    sink: int
    tensors: tuple[int, ...]
    room: int


def makers_of(stations: Sequence[Station]) -> dict[int, int]:
    """Which station each tensor comes from, 0 for those that the caller pushes; raises BadInput.

    A tensor that a stage both takes and gives is handed through, and comes from where the stage had it from.
    """
    makers: dict[int, int] = {}
    for number, station in enumerate(stations, 1):
        for tensor in set(station.outputs).difference(station.inputs):
            if tensor in makers:
                raise BadInput(f"tensor {tensor} is made by stage {makers[tensor]} and again by stage {number}")
            makers[tensor] = number
    for number, station in enumerate(stations, 1):
        for tensor in station.inputs:
            if makers.setdefault(tensor, 0) > number:
                raise BadInput(f"stage {number} takes tensor {tensor}, which only stage {makers[tensor]} makes")
    return makers


def inputs_of(stations: Sequence[Station]) -> tuple[int, ...]:
    """Ids of the tensors that the caller pushes, in order; raises BadInput."""
    makers = makers_of(stations)
    return tuple(dict.fromkeys(t for station in stations for t in station.inputs if makers[t] == 0))


def outputs_of(stations: Sequence[Station]) -> tuple[int, ...]:
    """Ids of the tensors that no later stage takes, in order."""
    taken = {tensor for station in stations for tensor in station.inputs}
    return tuple(dict.fromkeys(t for station in stations for t in station.outputs if t not in taken))


def routes(stations: Sequence[Station], outputs: Sequence[int], queue: int) -> tuple[Route, ...]:
    """Every route between two stations; one that takes nothing at all still gets its turns from the one before it."""
    makers = makers_of(stations)
    for tensor in outputs:
        if tensor not in makers:
            raise BadInput(f"tensor {tensor} can't be popped: no stage makes it")
    line = [Station(inputs=(), outputs=()), *stations, Station(inputs=tuple(outputs), outputs=())]
    found = []
    for sink in range(1, len(line)):
        taken: dict[int, list[int]] = {} if line[sink].inputs else {sink - 1: []}
        for tensor in dict.fromkeys(line[sink].inputs):
            taken.setdefault(makers[tensor], []).append(tensor)
        for source, tensors in sorted(taken.items()):
            room = _room(line[source : sink + 1], queue)
            found.append(Route(source=source, sink=sink, tensors=tuple(tensors), room=room))
    return tuple(found)


def _room(line: Sequence[Station], queue: int) -> int:
    """Inputs that can be on their way from the first to the last of `line`, each queue full and each stage busy.

    A tensor that skips stages waits for the input that goes through them: with less room it would hold them up.
    """
    queues = sum(queue * _pairs(a, b) for a, b in itertools.pairwise(line))
    return queues + sum(station.replicas for station in line[1:-1])


def _pairs(source: Station, sink: Station) -> int:
    """How many pairs of replicas meet over an input, each taking its turn."""
    return math.lcm(source.replicas, sink.replicas)


@dataclass(frozen=True, kw_only=True)
class Ring:
    """Both ends of a ring, in the parent that makes it."""

    source: tuple[int, int]
    sink: tuple[int, int]
    sender: RingEnd
    receiver: RingEnd


def make_rings(stations: Sequence[Station], found: Sequence[Route]) -> list[Ring]:
    """A ring for each pair of replicas that meet on a route: input i is of replica i % replicas at either end.

    Raises OSError where no more files can be opened.
    """
    rings: list[Ring] = []
    try:
        for route, source, sink, slots in _pairs_of(stations, found):
            rings.append(_ring(route, source, sink, slots))
    except OSError:
        for ring in rings:
            ring.sender.close()
            ring.receiver.close()
        raise
    return rings


def _pairs_of(
    stations: Sequence[Station], found: Sequence[Route]
) -> Iterator[tuple[Route, tuple[int, int], tuple[int, int], int]]:
    """Each route's (replica, replicas) at the source and at the sink, and the slots of their ring."""
    line = [Station(inputs=(), outputs=()), *stations, Station(inputs=(), outputs=())]
    for route in found:
        source, sink = line[route.source].replicas, line[route.sink].replicas
        slots = math.ceil(route.room / _pairs(line[route.source], line[route.sink]))
        if route.sink - route.source > 1 and source * sink > 1:
            slots += 1  # replicas are not in step
        common = math.gcd(source, sink)
        for a in range(source):
            for b in range(a % common, sink, common):
                yield route, (a, source), (b, sink), min(slots, MOST_SLOTS)


def _ring(route: Route, source: tuple[int, int], sink: tuple[int, int], slots: int) -> Ring:
    with contextlib.ExitStack() as opened:

        def kept(descriptor: int) -> int:
            opened.callback(os.close, descriptor)
            return descriptor

        memory = kept(unnamed_memory())
        again = kept(os.dup(memory))
        filled_read, filled_write = map(kept, os.pipe())
        free_read, free_write = map(kept, os.pipe())
        opened.pop_all()
    sender = RingEnd(
        stage=route.sink, peer=sink[0], peers=sink[1], tensors=route.tensors, slots=slots,
        memory=memory, filled=filled_write, free=free_read,
    )  # fmt: skip
    receiver = RingEnd(
        stage=route.source, peer=source[0], peers=source[1], tensors=route.tensors, slots=slots,
        memory=again, filled=filled_read, free=free_write,
    )  # fmt: skip
    return Ring(source=(route.source, source[0]), sink=(route.sink, sink[0]), sender=sender, receiver=receiver)
