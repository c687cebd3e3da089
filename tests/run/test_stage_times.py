"""The times of a stage against sums written out."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from paraedge.run import stage_times
from paraedge.run.stage_times import PARTS, StageTimes

PARTS_OF_AN_INPUT = st.tuples(*[st.integers(0, 10**9)] * len(PARTS))


@given(st.integers(1, 10**15), st.lists(PARTS_OF_AN_INPUT, min_size=1, max_size=30))
def test_a_summary_is_of_all_inputs(begin: int, inputs: list[tuple[int, ...]]) -> None:
    times, now, entered = StageTimes(), begin, []
    for wait, receive, compute, blocked, send in inputs:
        there, received = now + wait, now + wait + receive
        computed, room = received + compute, received + compute + blocked
        times.add(now, there, received, computed, room, room + send)
        now = room + send
        entered.append(there)
    found = times.summary()
    columns = dict(zip(PARTS, zip(*inputs, strict=True), strict=True))
    assert {name: found[f"{name}_ns"] for name in PARTS} == {n: statistics.median(c) for n, c in columns.items()}
    assert found["inputs"] == len(inputs)
    assert found["busy_ns"] == sum(sum(columns[name]) for name in ("receive", "compute", "send"))
    assert (found["first_ns"], found["entered_ns"], found["last_ns"]) == (entered[0], entered[-1], now)


def test_nothing_taken_is_nothing() -> None:
    assert set(StageTimes().summary().values()) == {0}


def test_a_stream_takes_bounded_memory() -> None:
    """The medians are those of the last inputs, the sums those of all."""
    times = StageTimes()
    count = stage_times.KEPT + 10
    for number in range(count):
        compute = 1 if number < 10 else 5
        times.add(0, 0, 0, compute, compute, compute)
    assert times.summary()["compute_ns"] == 5
    assert times.summary()["inputs"] == count
    assert times.summary()["busy_ns"] == 10 + 5 * stage_times.KEPT
    assert len(times._parts) == stage_times.KEPT
