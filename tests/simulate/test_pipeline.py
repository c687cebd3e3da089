"""The simulated pipeline: against the textbook's formula, a model stepped tick by tick, and the cost model."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stepped_pipeline import Place, Stepped, median

from paraedge.core.errors import BadInput
from paraedge.core.partition import Partition, Stage
from paraedge.core.spans import Spans
from paraedge.partition.problem import Assigned, DeviceType, Problem, evaluate
from paraedge.simulate import SimStage, simulate_pipeline, stages_of
from paraedge.simulate.pipeline import Time

times = st.integers(0, 6)


def stage(receive: Time, compute: Time, send: Time, devices: int = 1, **more: Any) -> SimStage:
    names = tuple(f"d{n}" for n in range(devices))
    return SimStage(first=0, end=1, devices=names, receive_ms=receive, compute_ms=compute, send_ms=send, **more)


def each_of(time: Time | None) -> Sequence[float]:
    """The times of a stage that has them as a sequence."""
    assert isinstance(time, Sequence)
    return time


# --- the textbook ---


def textbook(stage_ms: Sequence[Fraction], host_ms: Fraction, inputs: int) -> float:
    return float(host_ms + sum(stage_ms) + (inputs - 1) * max(host_ms, *stage_ms))


nanoseconds = st.integers(0, 10**9).map(lambda n: Fraction(n, 10**6))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(nanoseconds, nanoseconds, nanoseconds), min_size=1, max_size=6), nanoseconds, st.data())
def test_constant_times_are_the_textbooks_exactly(
    parts: list[tuple[Fraction, Fraction, Fraction]], host: Fraction, data: st.DataObject
) -> None:
    """sum(t) + (N - 1) max(t), to the last bit, with two slots or more."""
    inputs, queue = data.draw(st.integers(1, 200)), data.draw(st.integers(2, 4))
    stages = [stage(*(float(part) for part in each)) for each in parts]
    made = simulate_pipeline(stages, inputs=inputs, queue=queue, host_ms=float(host))
    assert made.wall_ms == textbook([sum(each, Fraction(0)) for each in parts], host, inputs)
    assert made.fill_ms == made.pass_ms[0] == textbook([sum(each, Fraction(0)) for each in parts], host, 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(nanoseconds, min_size=1, max_size=8), nanoseconds, st.integers(1, 60), st.integers(1, 3))
def test_one_slot_is_enough_where_transfers_take_no_time(
    compute: list[Fraction], host: Fraction, inputs: int, queue: int
) -> None:
    stages = [stage(0, float(each), 0) for each in compute]
    made = simulate_pipeline(stages, inputs=inputs, queue=queue, host_ms=float(host))
    assert made.wall_ms == textbook(compute, host, inputs)


def test_one_slot_is_filled_and_emptied_in_turn() -> None:
    """Stages that only send and only receive share one slot: 2 + 2 ms an output, where two slots take 2."""
    stages = [stage(0, 0, 2), stage(2, 0, 0)]
    assert simulate_pipeline(stages, inputs=11, queue=1).wall_ms == 4 + 10 * 4
    assert simulate_pipeline(stages, inputs=11, queue=2).wall_ms == 4 + 10 * 2


@pytest.mark.parametrize("inputs", [10**6, 10**6 + 1])
def test_a_million_inputs_are_the_textbooks_too(inputs: int) -> None:
    made = simulate_pipeline([stage(0.1, 1.2, 0.3), stage(0.3, 1.7, 0.1), stage(0, 0.9, 0)], inputs=inputs, host_ms=0.5)
    exact = textbook([Fraction("1.6"), Fraction("2.1"), Fraction("0.9")], Fraction("0.5"), inputs)
    assert made.wall_ms == exact
    assert len(made.pass_ms) == inputs
    assert made.steady_per_s == pytest.approx(1e3 / 2.1, rel=1e-12)
    assert [one.inputs for one in made.stages] == [inputs] * 3
    assert [one.busy_share for one in made.stages] == pytest.approx([1.6 / 2.1, 1, 0.9 / 2.1], rel=1e-5)
    assert (made.stages[0].blocked_ms, made.stages[2].wait_ms) == (0.5, 1.2)


# --- tick by tick ---


@st.composite
def sim_stages(draw: st.DrawFn, *, buses: bool = True) -> SimStage:
    """Whole milliseconds, so that nothing is rounded."""
    count = draw(st.sampled_from([1, 1, 2, 3]))
    bus = draw(st.sampled_from([None, "usb", "pcie"])) if buses else None
    parts = [[draw(times) for _ in range(count)] for _ in range(3)]
    busy = None
    if draw(st.booleans()):  # receive, compute and send overlap
        busy = [draw(st.integers(max(each[0], each[2]), sum(each))) for each in zip(*parts, strict=True)]
    return stage(
        *parts,
        devices=draw(st.sampled_from([1, 1, 1, 2, 3])),
        busy_ms=busy,
        bus=bus,
        bus_ms=draw(times) if bus else 0,
        handover_ms=draw(st.sampled_from([0, 0, 1, 4])),
        idle_ms=draw(st.sampled_from([0, 0, 3])),
    )


def places(stages: Sequence[SimStage], host_ms: int) -> tuple[list[Place], list[int]]:
    """Host, stages, hand-overs and sink; and where the stages are among them."""
    found, numbers = [Place([(0, host_ms, host_ms)])], []
    for index, one in enumerate(stages):
        parts = list(zip(each_of(one.receive_ms), each_of(one.compute_ms), each_of(one.send_ms), strict=True))
        busy = [sum(each) for each in parts] if one.busy_ms is None else each_of(one.busy_ms)
        works = [(int(each[0]), int(each[2]), int(whole)) for each, whole in zip(parts, busy, strict=True)]
        numbers.append(len(found))
        found.append(Place(works, len(one.devices), one.bus, int(one.bus_ms), int(one.idle_ms)))
        if one.handover_ms and index + 1 < len(stages):
            found.append(Place([(int(one.handover_ms), 0, int(one.handover_ms))]))
    return [*found, Place([(0, 0, 0)])], numbers


def check_tick_by_tick(stages: Sequence[SimStage], host_ms: int, inputs: int, queue: int) -> None:
    made = simulate_pipeline(stages, inputs=inputs, queue=queue, host_ms=host_ms)
    line, numbers = places(stages, host_ms)
    stepped = Stepped(line, inputs, queue)
    assert made.pass_ms == tuple(stepped.left[k] - stepped.entered[k] for k in range(inputs))
    assert made.wall_ms == stepped.left[inputs - 1]
    assert made.fill_ms == stepped.left[0]
    assert made.drain_ms == stepped.left[inputs - 1] - stepped.last_entry
    workers = [worker for number in numbers for worker in stepped.workers[number] if worker.waits]
    assert len(made.stages) == len(workers)  # a device that took no input has no row
    for one, worker in zip(made.stages, workers, strict=True):
        assert one.inputs == len(worker.waits)
        found = one.wait_ms, one.receive_ms, one.blocked_ms
        assert found == (median(worker.waits), median(worker.receives), median(worker.blocks))
        assert 0 <= one.busy_share <= 1


@settings(max_examples=300, deadline=None)
@given(st.lists(sim_stages(), min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 40), st.integers(1, 3))
def test_events_are_those_of_a_pipeline_stepped_tick_by_tick(
    stages: list[SimStage], host_ms: int, inputs: int, queue: int
) -> None:
    check_tick_by_tick(stages, host_ms, inputs, queue)


@pytest.mark.parametrize("queue", [1, 2])
@pytest.mark.parametrize("devices", [(2, 3), (3, 2), (2, 4), (3, 1)])
def test_every_pair_of_devices_has_its_own_slots(devices: tuple[int, int], queue: int) -> None:
    """Two and three devices meet in six pairs, so that many inputs lie between them before the first is blocked."""
    quick = stage([1], [0], [0], devices[0])
    slow = stage([1], [30], [0], devices[1])
    check_tick_by_tick([quick, slow], 0, 40, queue)


# --- what repeats is skipped ---


def unrolled(one: SimStage, inputs: int) -> SimStage:
    """The same times, spelt out for each input: nothing seems to repeat."""

    def spelt(time: Time | None) -> list[float]:
        return list(itertools.islice(itertools.cycle(each_of(time)), inputs))

    return dataclasses.replace(
        one,
        receive_ms=spelt(one.receive_ms),
        compute_ms=spelt(one.compute_ms),
        send_ms=spelt(one.send_ms),
        busy_ms=None if one.busy_ms is None else spelt(one.busy_ms),
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(sim_stages(), min_size=1, max_size=4), st.integers(0, 3), st.integers(200, 400), st.integers(1, 3))
def test_skipping_what_repeats_changes_nothing(stages: list[SimStage], host_ms: int, inputs: int, queue: int) -> None:
    quick = simulate_pipeline(stages, inputs=inputs, queue=queue, host_ms=host_ms)
    slow = simulate_pipeline([unrolled(one, inputs) for one in stages], inputs=inputs, queue=queue, host_ms=host_ms)
    assert quick == slow


# --- the cost model ---

PERIODS = 5040
"""A multiple of all cycles that these small pipelines can have, and longer than it takes them to settle."""


def spans_of(times_ms: Sequence[float]) -> Spans:
    """One layer a stage, which takes as long as is said; only single layers are asked for."""
    sides = len(times_ms) + 1
    busy = np.zeros((sides, sides))
    for layer, time in enumerate(times_ms):
        busy[layer, layer + 1] = time
    none, size = np.zeros_like(busy), np.zeros(busy.shape, dtype=np.int64)
    return Spans(
        receive_ms=none, compute_ms=busy, send_ms=none, busy_ms=busy, low_ms=busy, high_ms=busy, input_bytes=size,
        output_bytes=size, link_bytes=size, on_chip_bytes=size, off_chip_bytes=size,
    )  # fmt: skip


def period_ms(stages: Sequence[SimStage], host_ms: float, queue: int = 2) -> Fraction:
    """Between two outputs, once it has settled."""
    short, long = (
        simulate_pipeline(stages, inputs=count, queue=queue, host_ms=host_ms) for count in (PERIODS, 2 * PERIODS)
    )
    return (Fraction(long.wall_ms) - Fraction(short.wall_ms)) / PERIODS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(sim_stages(buses=False), st.integers(0, 9)), min_size=1, max_size=4),
    st.integers(0, 4),
    st.integers(2, 3),
)
def test_the_period_is_the_cost_models_bottleneck(drawn: list[tuple[SimStage, int]], host_ms: int, queue: int) -> None:
    """Without a shared bus, whatever the parts of a stage's time, with overlap and replicas."""
    stages, busy = [], []
    for number, (one, handover_ms) in enumerate(drawn):
        parts = [each_of(part)[0] for part in (one.receive_ms, one.compute_ms, one.send_ms)]
        busy.append(sum(parts) if one.busy_ms is None else each_of(one.busy_ms)[0])
        made = stage(*parts, busy_ms=busy[-1], handover_ms=handover_ms)
        stages.append(dataclasses.replace(made, devices=tuple(f"s{number}-{name}" for name in one.devices)))
    handovers = np.zeros((len(stages), len(stages), len(stages) + 1))
    for index, one in enumerate(stages[:-1]):
        handovers[index, index + 1, index + 1] = one.handover_ms
    problem = Problem(
        model="m",
        layers=len(stages),
        types=tuple(DeviceType(devices=one.devices, spans=spans_of(busy)) for one in stages),
        host_ms=host_ms,
        handover_ms=handovers,
    )
    assigned = [Assigned(first=k, end=k + 1, type=k, replicas=len(one.devices)) for k, one in enumerate(stages)]
    value = evaluate(problem, assigned)
    is_pipeline = len(stages) > 1 or len(stages[0].devices) > 1
    host = host_ms if is_pipeline else 0
    assert period_ms(stages, host, queue) == Fraction(value.bottleneck_ms).limit_denominator(1000)
    assert simulate_pipeline(stages, inputs=1, host_ms=host).wall_ms == value.latency_ms


@pytest.mark.parametrize("devices", [1, 2, 3, 4, 7])
def test_devices_that_take_turns_share_the_time(devices: int) -> None:
    stages = [stage(1, 1, 0), stage(2, 80, 2, devices), stage(0, 2, 1)]
    assert period_ms(stages, 0) == Fraction(84, devices)
    made = simulate_pipeline(stages, inputs=100)
    assert [one.inputs for one in made.stages[1:-1]] == [len(range(n, 100, devices)) for n in range(devices)]
    assert [one.device for one in made.stages[1:-1]] == [f"d{n}" for n in range(devices)]


def test_outputs_leave_in_order() -> None:
    """The second device is done long before the first, and its output waits."""
    made = simulate_pipeline([stage(0, [9, 1], 0, devices=2)], inputs=4)
    assert made.pass_ms == (9, 9, 18, 18)
    assert made.wall_ms == 18


@settings(max_examples=100, deadline=None)
@given(st.lists(sim_stages(buses=False), min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 60))
def test_more_room_is_never_slower(stages: list[SimStage], host_ms: int, inputs: int) -> None:
    walls = [simulate_pipeline(stages, inputs=inputs, queue=queue, host_ms=host_ms).wall_ms for queue in (1, 2, 3, 8)]
    assert walls == sorted(walls, reverse=True)


# --- buses, idle devices ---


@settings(max_examples=100, deadline=None)
@given(st.lists(sim_stages(), min_size=1, max_size=4), st.integers(1, 60))
def test_a_bus_carries_one_transfer_at_a_time(stages: list[SimStage], inputs: int) -> None:
    made = simulate_pipeline(stages, inputs=inputs)
    for bus in {one.bus for one in stages}:
        assert bus is None or made.wall_ms >= (inputs - 1) * sum(one.bus_ms for one in stages if one.bus == bus)


def test_stages_on_one_bus_keep_the_pace_of_the_bus() -> None:
    alone = [stage(2, 2, 1, bus=f"bus{n}", bus_ms=3) for n in range(4)]
    shared = [dataclasses.replace(one, bus="usb") for one in alone]
    assert period_ms(alone, 0) == 5
    assert period_ms(shared, 0) == 4 * 3
    assert period_ms([*shared[:1], *(dataclasses.replace(one, bus=None, bus_ms=0) for one in shared[1:])], 0) == 5


def test_the_first_input_of_a_device_finds_it_idle() -> None:
    slow = dataclasses.replace(stage(1, 3, 1), idle_ms=7)
    assert simulate_pipeline([slow], inputs=1).wall_ms == 12
    assert simulate_pipeline([slow], inputs=100).wall_ms == 100 * 5 + 7
    two = dataclasses.replace(slow, devices=("a", "b"))
    assert simulate_pipeline([two], inputs=100).wall_ms == 50 * 5 + 7


def test_times_may_be_measured_ones() -> None:
    """As long as each of the inputs took, from the first again after the last."""
    made = simulate_pipeline([stage([1, 2], [3, 4], [0, 1])], inputs=5)
    assert made.wall_ms == 4 + 7 + 4 + 7 + 4
    assert (made.stages[0].receive_ms, made.stages[0].compute_ms, made.stages[0].send_ms) == (1, 3, 0)


# --- from a partition; what can't be ---


def test_stages_come_from_a_partition() -> None:
    first = Stage(
        first=0, end=3, devices=("a", "b"), receive_ms=1, compute_ms=2, send_ms=3, busy_ms=4, input_bytes=5,
        output_bytes=6, on_chip_bytes=7, off_chip_bytes=8, handover_ms=9,
    )  # fmt: skip
    last = dataclasses.replace(first, first=3, end=7, devices=("c",), handover_ms=0.0, on_chip_bytes=None)
    partition = Partition(
        model="m", strategy="manual", objective="throughput", stages=(first, last), unused=(), bottleneck_ms=9,
        limit="hand-over 1", latency_ms=17.5, host_ms=0.5, lower_bound_ms=9, any_bound_ms=1, best_ms=(9,),
    )  # fmt: skip
    made = simulate_pipeline(stages_of(partition), inputs=1, host_ms=partition.host_ms)
    assert made.wall_ms == partition.latency_ms
    assert len(made.stages) == 2  # one input: the second device of the first stage took none
    for one, wanted in zip(made.stages, partition.stages, strict=True):
        names = ("first", "end", "receive_ms", "compute_ms", "send_ms", "input_bytes", "output_bytes")
        assert [getattr(one, name) for name in names] == [getattr(wanted, name) for name in names]
        assert (one.on_chip_bytes, one.off_chip_bytes) == (wanted.on_chip_bytes, wanted.off_chip_bytes)
    assert period_ms(stages_of(partition), 0.5) == 9


@pytest.mark.parametrize(
    ("stages", "more", "message"),
    [
        ([], {}, "a pipeline needs at least one stage"),
        ([stage(1, 1, 1)], {"inputs": 0}, "inputs = 0: a pipeline needs at least 1"),
        ([stage(1, 1, 1)], {"queue": 0}, "queue = 0: a pipeline needs at least 1"),
        ([stage(1, 1, 1)], {"host_ms": -1}, "the host has a time of -1 ms"),
        ([stage(1, 1, 1), stage(1, float("inf"), 1)], {}, "stage 2 has a time of inf ms"),
        ([stage(float("nan"), 1, 1)], {}, "stage 1 has a time of nan ms"),
        ([stage(1, 1, 1, bus="usb", bus_ms=-2)], {}, "stage 1 has a time of -2 ms"),
        ([stage(1, 1, 1, devices=0)], {}, "stage 1 has no device"),
        ([stage([1, 2], [1, 2, 3], 1)], {}, r"stage 1 has times of \[2, 3\] inputs"),
        ([stage([], 1, 1)], {}, r"stage 1 has times of \[0\] inputs"),
    ],
)
def test_what_is_no_pipeline_is_refused(stages: list[SimStage], more: dict[str, int], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        simulate_pipeline(stages, **{"inputs": 1, **more})
