"""Random partition problems, and what the cost model says of them, worked out again without the package's help.

Times are multiples of 1/8, so that sums are exact and equal means equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st

from paraedge.core.spans import Spans
from paraedge.partition.problem import Assigned, DeviceType, Problem

FLEETS = [counts for kinds in (1, 2, 3) for counts in itertools.product((1, 2, 3), repeat=kinds)]
"""Numbers of devices of each type."""


def spans_of(busy: Any, low: Any = None, high: Any = None, *, compute: Any = None) -> Spans:
    """Spans with these busy times; nothing else is known of them."""
    busy = np.asarray(busy, float)
    unknown, nothing = np.full(busy.shape, np.nan), np.zeros(busy.shape)
    count = np.zeros(busy.shape, np.int64)
    return Spans(
        receive_ms=nothing,
        compute_ms=busy if compute is None else compute,
        send_ms=nothing,
        busy_ms=busy,
        low_ms=unknown if low is None else np.asarray(low, float),
        high_ms=unknown if high is None else np.asarray(high, float),
        input_bytes=count,
        output_bytes=count,
        link_bytes=count,
        on_chip_bytes=count - 1,
        off_chip_bytes=count - 1,
    )


def additive(layers: Any, *, fixed: float = 0.0) -> Any:
    """Busy times of spans whose layers add up."""
    sums = np.concatenate([[0.0], np.cumsum(layers)])
    return fixed + sums[None, :] - sums[:, None]


def chain(*types: tuple[int, Any], **others: Any) -> Problem:
    """A problem of so many devices of each type, with these busy times of spans."""
    kinds = [
        DeviceType(devices=tuple(f"{name}{index}" for index in range(count)), spans=spans_of(busy))
        for name, (count, busy) in zip("abcdef", types, strict=False)
    ]
    return Problem(model="chain", layers=kinds[0].spans.layers, types=tuple(kinds), **others)


@st.composite
def problems(draw: st.DrawFn, *, layers: int = 6, devices: int = 5, buses: int = 1, intervals: bool = False) -> Problem:
    """Problems of up to so many layers, devices and buses; three types of device at most."""
    n = draw(st.integers(1, layers))
    counts = draw(st.sampled_from([some for some in FLEETS if sum(some) <= devices]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    top = draw(st.sampled_from([3, 100, 1000]))  # few distinct times make ties

    def times(*shape: int, most: float = top) -> Any:
        return random.integers(0, int(most) + 1, shape) / 8

    can_fail, memory = draw(st.booleans()), draw(st.booleans())
    kinds = []
    for kind, count in enumerate(counts):
        # Either any table at all, or layers that add up with a cliff and a limit of memory.
        busy = additive(times(n)) + times(1) if memory else times(n + 1, n + 1)
        sizes = additive(times(n))
        busy = busy + memory * 2 * np.maximum(sizes - top / 8, 0)
        busy[memory & can_fail & (sizes > top / 4)] = np.inf
        busy[can_fail & (random.random(busy.shape) < 0.15)] = np.inf
        busy = np.maximum(busy, 0)
        low = np.maximum(busy - times(n + 1, n + 1, most=top / 4), 0) if intervals else None
        high = busy + times(n + 1, n + 1, most=top / 4) if intervals else None
        bus = draw(st.sampled_from([None, *(f"bus{index}" for index in range(buses))]))
        bus_ms = None if bus is None else times(n + 1, n + 1, most=top * draw(st.sampled_from([0.3, 1.0])))
        names = tuple(f"d{kind}.{index}" for index in range(count))
        kinds.append(DeviceType(devices=names, spans=spans_of(busy, low, high), bus=bus, bus_ms=bus_ms))
    shape = (len(counts), len(counts), n + 1)
    return Problem(
        model="random",
        layers=n,
        types=tuple(kinds),
        host_ms=draw(st.sampled_from([0.0, 0.125, top / 16])),
        handover_ms=draw(st.sampled_from([None, times(*shape)])),
        handover_overlaps=draw(st.booleans()),
        cuttable=draw(st.none() | st.sets(st.integers(1, max(n - 1, 1)), max_size=n).map(tuple)),
    )


def all_splits(problem: Problem, *, replicate: bool) -> Iterator[tuple[Assigned, ...]]:
    """Every split into contiguous stages over the devices."""
    cuts = range(1, problem.layers) if problem.cuttable is None else sorted(set(problem.cuttable) - {problem.layers})
    counts = [len(kind.devices) for kind in problem.types]
    teams = [(t, r) for t, count in enumerate(counts) for r in range(1, (count if replicate else 1) + 1)]
    for number in range(min(len(cuts) + 1, sum(counts))):
        for chosen in itertools.combinations(cuts, number):
            ends = (0, *chosen, problem.layers)
            for team in itertools.product(teams, repeat=number + 1):
                if all(sum(r for t, r in team if t == kind) <= count for kind, count in enumerate(counts)):
                    yield tuple(
                        Assigned(first=first, end=end, type=t, replicas=r)
                        for (first, end), (t, r) in zip(itertools.pairwise(ends), team, strict=True)
                    )


def devices_of(split: tuple[Assigned, ...]) -> int:
    return sum(stage.replicas for stage in split)


def period_ms(problem: Problem, split: tuple[Assigned, ...]) -> float:
    """The period, from the sentences of `paraedge.partition.problem`."""
    hops = [
        0.0 if problem.handover_ms is None else problem.handover_ms[a.type, b.type, a.end]
        for a, b in itertools.pairwise(split)
    ]
    periods = [problem.host_ms] if devices_of(split) > 1 else []
    for index, stage in enumerate(split):
        busy = problem.types[stage.type].spans.busy_ms[stage.first, stage.end]
        if not problem.handover_overlaps:
            busy = busy + sum(hops[max(index - 1, 0) : index + 1])
        periods.append(busy / stage.replicas)
    periods += hops if problem.handover_overlaps else []
    for name in {kind.bus for kind in problem.types} - {None}:
        on_bus = [(problem.types[stage.type], stage) for stage in split]
        periods.append(sum(k.bus_ms[s.first, s.end] for k, s in on_bus if k.bus == name and k.bus_ms is not None))
    return float(max(periods))


def latency_ms(problem: Problem, split: tuple[Assigned, ...]) -> float:
    """The latency, from the same sentences."""
    total = problem.host_ms if devices_of(split) > 1 else 0.0
    for stage in split:
        total += problem.types[stage.type].spans.busy_ms[stage.first, stage.end]
    if problem.handover_ms is not None:
        total += sum(problem.handover_ms[a.type, b.type, a.end] for a, b in itertools.pairwise(split))
    return float(total)
