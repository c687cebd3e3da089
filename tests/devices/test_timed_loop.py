"""The timed loop against a fake machine whose every invoke takes a known time."""

from __future__ import annotations

import gc
import itertools
import random
import statistics
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from paraedge.core.device import MeasureSettings
from paraedge.core.median import median_ranks
from paraedge.devices.timed_loop import (
    BLOCKS_A_LENGTH,
    FEWEST_BLOCKS,
    Timing,
    relative_half_width,
    time_invokes,
)

MS = 1_000_000
SECOND = 1_000_000_000


class Machine:
    """A clock that only invokes move; reading it is free."""

    def __init__(self, durations_ns: Iterable[float]) -> None:
        self.now = 0.0
        self.durations_ns = iter(durations_ns)
        self.invokes = 0

    def invoke(self) -> None:
        self.now += next(self.durations_ns)
        self.invokes += 1

    def clock(self) -> int:
        return int(self.now)


def run(machine: Machine, beat: Callable[[], None] | None = None, **protocol: object) -> Timing:
    return time_invokes(machine.invoke, MeasureSettings(**protocol), clock=machine.clock, beat=beat)  # type: ignore[arg-type]


def steady(duration_ns: float) -> Machine:
    return Machine(itertools.repeat(duration_ns))


def noisy(duration_ns: float, spread: float, seed: int = 1) -> Machine:
    generator = random.Random(seed)
    return Machine(duration_ns * generator.uniform(1 - spread, 1 + spread) for _ in itertools.count())


def test_steady_machine_ends_at_the_fewest_blocks_by_precision() -> None:
    machine = steady(10_000)
    timing = run(machine)
    assert timing.stop_reason == "precision"
    assert len(timing.blocks) == 10
    assert all(block.duration_ns == block.invokes * 10_000 >= MS for block in timing.blocks)
    assert timing.warm_up_invokes * 10_000 >= 0.02 * SECOND
    assert machine.invokes == timing.warm_up_invokes + sum(block.invokes for block in timing.blocks)


def test_blocks_are_not_much_longer_than_asked_for() -> None:
    timing = run(steady(10_000), block_ms=5.0)
    assert all(5 * MS <= block.duration_ns <= 6.5 * MS for block in timing.blocks)


def test_noisy_machine_ends_by_budget() -> None:
    timing = run(noisy(2 * MS, 0.5), precision=0.0001)
    spent = sum(block.duration_ns for block in timing.blocks)
    assert timing.stop_reason == "time_budget"
    assert spent - timing.blocks[-1].duration_ns < 0.25 * SECOND <= spent


def test_noisy_machine_ends_by_precision_when_there_is_time() -> None:
    timing = run(noisy(2 * MS, 0.1), precision=0.02, time_budget_s=0.9)
    latencies = sorted(block.duration_ns / block.invokes for block in timing.blocks)
    assert timing.stop_reason == "precision"
    assert relative_half_width(latencies) <= 0.02 < relative_half_width_without_last(timing)


def relative_half_width_without_last(timing: Timing) -> float:
    return relative_half_width(sorted(block.duration_ns / block.invokes for block in timing.blocks[:-1]))


@pytest.mark.parametrize(("duration_ms", "most", "invokes", "blocks"), [(8, 100, 100, 100), (0.3, 100, 100, 25)])
def test_cap_on_invokes(duration_ms: float, most: int, invokes: int, blocks: int) -> None:
    timing = run(steady(duration_ms * MS), precision=0, time_budget_s=0.9, min_blocks=10, max_invokes=most)
    if timing.stop_reason == "max_invokes":
        assert sum(block.invokes for block in timing.blocks) <= invokes
    assert 10 <= len(timing.blocks) <= blocks


def test_cap_on_invokes_never_makes_fewer_or_shorter_blocks() -> None:
    timing = run(steady(1000), precision=0, time_budget_s=1, max_invokes=100)
    assert timing.stop_reason == "precision"  # a machine without any spread meets even a precision of 0
    timing = run(noisy(1000, 0.5), precision=0, time_budget_s=1, max_invokes=100)
    assert timing.stop_reason == "max_invokes"
    assert len(timing.blocks) == 10
    assert all(block.duration_ns >= 0.9 * MS for block in timing.blocks)


def test_invoke_longer_than_the_budget_is_timed_three_times() -> None:
    machine = steady(10 * SECOND)
    timing = run(machine)
    assert len(timing.blocks) == FEWEST_BLOCKS
    assert timing.stop_reason == "time_budget"
    assert timing.warm_up_invokes == 1


def test_invoke_shorter_than_the_budget_has_all_its_blocks() -> None:
    assert len(run(steady(0.2 * SECOND)).blocks) == 10


def test_long_budget_makes_longer_blocks_in_time() -> None:
    timing = run(noisy(100_000, 0.5), precision=0, time_budget_s=60)
    assert sum(block.duration_ns for block in timing.blocks) >= 60 * SECOND
    assert timing.blocks[0].duration_ns < 2 * MS
    assert len(timing.blocks) < 8 * BLOCKS_A_LENGTH


def test_long_budget_does_not_lengthen_what_ends_early() -> None:
    timing = run(noisy(1000, 0.1), precision=0, time_budget_s=60, max_invokes=100)
    assert sum(block.duration_ns for block in timing.blocks) < 20 * MS


def test_a_machine_that_gets_faster_gets_longer_blocks() -> None:
    machine = Machine(itertools.chain(itertools.repeat(MS, 30), itertools.repeat(1000)))
    timing = run(machine, precision=0, time_budget_s=0.05)
    assert timing.blocks[-1].duration_ns >= MS
    assert sum(block.duration_ns < MS for block in timing.blocks) < 5


def test_a_slow_first_run_does_not_shorten_blocks() -> None:
    # the warm-up's only invoke was 400 times slower than the rest: a block's length is settled before the first one
    machine = Machine(itertools.chain([20 * MS], itertools.repeat(50_000)))
    assert all(block.duration_ns >= MS for block in run(machine).blocks)


def test_coarse_clock_still_ends() -> None:
    machine = steady(100)
    timing = time_invokes(
        machine.invoke, MeasureSettings(time_budget_s=0.1), clock=lambda: int(machine.now) // (16 * MS) * (16 * MS)
    )
    assert sum(block.duration_ns for block in timing.blocks) > 0


def test_exceptions_pass_and_garbage_collection_comes_back() -> None:
    def broken() -> None:
        assert not gc.isenabled()
        raise RuntimeError("no")

    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="no"):
        time_invokes(broken, MeasureSettings())
    assert gc.isenabled()


def test_signs_of_life_come_about_once_a_second() -> None:
    beats: list[int] = []
    machine = noisy(0.3 * SECOND, 0.3)
    run(machine, beat=lambda: beats.append(machine.clock()), precision=0, time_budget_s=20)
    gaps = [after - before for before, after in itertools.pairwise(beats)]
    assert len(beats) > 10
    assert SECOND <= min(gaps) <= max(gaps) < 1.5 * SECOND


@settings(deadline=None)
@given(
    duration_ns=st.floats(min_value=20, max_value=1e9),
    spread=st.floats(min_value=0, max_value=0.9),
    budget_s=st.floats(min_value=0.001, max_value=0.3),
    block_ms=st.floats(min_value=0.01, max_value=2),
    min_blocks=st.integers(min_value=1, max_value=20),
    max_invokes=st.none() | st.integers(min_value=1, max_value=1000),
)
def test_any_settings(
    duration_ns: float, spread: float, budget_s: float, block_ms: float, min_blocks: int, max_invokes: int | None
) -> None:
    machine = noisy(max(duration_ns, block_ms * 100), spread)
    timing = run(
        machine,
        warm_up_s=0.001,
        time_budget_s=budget_s,
        block_ms=block_ms,
        min_blocks=min_blocks,
        max_invokes=max_invokes,
    )
    assert len(timing.blocks) >= min(min_blocks, FEWEST_BLOCKS)
    assert machine.invokes == timing.warm_up_invokes + sum(block.invokes for block in timing.blocks)
    if timing.stop_reason == "max_invokes" and len(timing.blocks) > min_blocks:
        assert max_invokes is not None
        assert sum(block.invokes for block in timing.blocks) <= max_invokes


@pytest.mark.parametrize("count", [*range(1, 60), 100, 999, 1000, 1001, 5000])
def test_ranks_cover_the_median_and_are_the_narrowest(count: int) -> None:
    ranks = median_ranks(count)
    if ranks is None:
        assert 1 - 2 * binom.cdf(0, count, 0.5) < 0.95
        return
    low, high = ranks
    assert high == count - 1 - low
    if count <= 1000:
        assert 1 - 2 * binom.cdf(low, count, 0.5) >= 0.95
        assert 1 - 2 * binom.cdf(low + 1, count, 0.5) < 0.95
    else:
        assert 1 - 2 * binom.cdf(low, count, 0.5) == pytest.approx(0.95, abs=0.01)


def test_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    generator = random.Random(7)
    hits = 0
    for _ in range(2000):
        values = sorted(generator.lognormvariate(0, 0.5) for _ in range(25))
        ranks = median_ranks(25)
        assert ranks is not None
        hits += values[ranks[0]] <= 1.0 <= values[ranks[1]]
    assert hits / 2000 > 0.945


def test_relative_half_width_by_hand() -> None:
    values = [float(value) for value in range(1, 11)]
    assert statistics.median(values) == 5.5
    assert relative_half_width(values) == pytest.approx((9 - 2) / 2 / 5.5)
    assert relative_half_width(values[:5]) == float("inf")
