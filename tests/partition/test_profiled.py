"""The profiling partitioner against trying every split, libcoral's rule spelt out, and noise whose truth is known."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.errors import BadInput
from paraedge.partition.profiled import Measured, Profile, from_spans, profiled_cuts
from paraedge.partition.strategies import equal_cuts
from paraedge.segment.profile import estimate
from paraedge.segment.profile_cache import Visit

Cuts = tuple[int, ...]
PRECISION = 0.01


def parts(cuts: Cuts, layers: int) -> list[tuple[int, int]]:
    return list(zip((0, *cuts), (*cuts, layers), strict=True))


def bottleneck(cuts: Cuts, table: np.ndarray) -> float:
    return max(float(table[part]) for part in parts(cuts, len(table) - 1))


def best(table: np.ndarray, segments: int) -> float:
    layers = len(table) - 1
    return min(bottleneck(cuts, table) for cuts in itertools.combinations(range(1, layers), segments - 1))


def growing(layers: int, seed: int) -> np.ndarray:
    """Latencies that grow with the run but don't add up: each op has a time, and each distance a cliff."""
    draw = random.Random(seed)
    op_ms = [draw.choice((0.1, 1.0, draw.uniform(0, 5))) for _ in range(layers)]
    table = np.zeros((layers + 1, layers + 1))
    for length in range(1, layers + 1):
        for first in range(layers + 1 - length):
            end = first + length
            within = max(table[first, end - 1], table[first + 1, end])
            table[first, end] = within + draw.choice((0.0, 0.0, op_ms[first], 9.0))
    return table


def libcoral(table: np.ndarray, start: Cuts) -> Cuts:
    """As libcoral describes it: only the last segment is held against the target, bounds within 1 ms end it."""
    layers, segments = len(table) - 1, len(start) + 1
    times = [float(table[part]) for part in parts(start, layers)]
    low, high, chosen = min(times), max(times), start
    while high - low > 1:
        target, first, cuts = (low + high) / 2, 0, []
        for left in range(segments - 1, 0, -1):
            run = [end for end in range(first + 1, layers - left + 1) if table[first, end] <= target]
            first = max(run, default=first + 1)
            cuts.append(first)
        if table[first, layers] <= target:
            high, chosen = target, tuple(cuts)
        else:
            low = target
    return chosen


cases = st.tuples(st.integers(1, 9), st.integers(0, 2**32), st.integers(1, 9)).filter(lambda c: c[2] <= c[0])


@given(case=cases, every_end=st.booleans())
def test_within_the_precision_of_the_best_where_latencies_grow(case: tuple[int, int, int], every_end: bool) -> None:
    layers, seed, segments = case
    table = growing(layers, seed)
    profile = profiled_cuts(from_spans(table), layers, equal_cuts(layers, segments), every_end=every_end)
    assert len(profile.cuts) == segments - 1
    assert profile.bottleneck_ms == bottleneck(profile.cuts, table)
    assert profile.bottleneck_ms <= best(table, segments) / (1 - PRECISION)
    assert not profile.undecided
    assert not profile.rivals


@given(case=cases, scale=st.sampled_from([1.0, 30.0]))
def test_no_worse_than_libcorals_rule(case: tuple[int, int, int], scale: float) -> None:
    layers, seed, segments = case
    table = scale * growing(layers, seed)
    start = equal_cuts(layers, segments)
    theirs = bottleneck(libcoral(table, start), table)
    ours = profiled_cuts(from_spans(table), layers, start).bottleneck_ms
    assert ours <= theirs / (1 - PRECISION)


@given(case=cases, every_end=st.booleans())
def test_any_latencies_give_a_split_no_worse_than_the_first(case: tuple[int, int, int], every_end: bool) -> None:
    layers, seed, segments = case
    draw = random.Random(seed)
    table = np.array(
        [[draw.choice((0.0, 1.0, draw.uniform(0, 9))) for _ in range(layers + 1)] for _ in range(layers + 1)]
    )
    start = equal_cuts(layers, segments)
    profile = profiled_cuts(from_spans(table), layers, start, every_end=every_end)
    assert all(first < end for first, end in parts(profile.cuts, layers))
    assert profile.bottleneck_ms == bottleneck(profile.cuts, table) <= bottleneck(start, table)


def test_a_first_split_with_equal_segments_is_not_taken_for_the_best() -> None:
    """Both segments of the first split hand a large tensor over; libcoral's bounds meet there."""
    table = np.zeros((5, 5))
    table[0, 2] = table[2, 4] = 10.0
    table[0, 1], table[1, 4], table[0, 3], table[3, 4] = 1.0, 8.0, 4.0, 3.0
    assert profiled_cuts(from_spans(table), 4, (2,)).cuts == (3,)


@given(case=cases, limit=st.floats(0, 30))
def test_a_split_whose_segments_all_run_is_found_where_there_is_one(case: tuple[int, int, int], limit: float) -> None:
    layers, seed, segments = case
    table = growing(layers, seed)
    table[table > limit] = np.inf
    wanted = best(table, segments)
    if math.isinf(wanted):
        with pytest.raises(BadInput, match=r"no split into .* whose segments all run; ops \d+ to \d+: it can't run"):
            profiled_cuts(from_spans(table), layers, equal_cuts(layers, segments))
    else:
        profile = profiled_cuts(from_spans(table), layers, equal_cuts(layers, segments))
        assert profile.bottleneck_ms <= wanted / (1 - PRECISION)


class Noisy:
    """Visits with seeded noise: the medians of fresh processes differ by `spread`. Counts what is asked of it."""

    def __init__(self, table: np.ndarray, spread: float, seed: int) -> None:
        self.table, self.spread = table, spread
        self.draw = random.Random(seed)
        self.visits: dict[tuple[int, int], list[Visit]] = {}

    def __call__(self, first: int, end: int, rounds: int) -> Measured:
        visits = self.visits.setdefault((first, end), [])
        while len(visits) < rounds:
            value = float(self.table[first, end]) * math.exp(self.draw.gauss(0, self.spread))
            visits.append(Visit(value_ms=value, low_ms=value * 0.997, high_ms=value * 1.003))
        return estimate(visits)


def profiled(noisy: Noisy, start: Cuts, **options: int) -> Profile:
    return profiled_cuts(noisy, len(noisy.table) - 1, start, **options)


@pytest.mark.parametrize("spread", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("seed", range(12))
def test_noise_ends_in_a_split_with_a_bounded_number_of_visits(seed: int, spread: float) -> None:
    noisy = Noisy(growing(12, seed) + 1, spread, seed)
    profile = profiled(noisy, equal_cuts(12, 4))
    counts = [len(visits) for visits in noisy.visits.values()]
    assert max(counts) <= 9
    assert profile.spans == len(counts)
    assert set(profile.undecided) <= set(noisy.visits)
    assert bottleneck(profile.cuts, noisy.table) <= best(noisy.table, 4) * (1 + 4 * spread) / (1 - PRECISION)


def tie(apart: float) -> np.ndarray:
    """Of two segments: the first split is twice as slow, then (4,) comes, and (3,), whose bottleneck is a bit lower."""
    table = np.ones((7, 7))
    table[0, 1:6] = [1, 2, 2.8, 5, 20]
    table[1:6, 6] = [10, 7, 5 * (1 - apart), 1, 0.5]
    return table


def seeds(check: Callable[[Profile], bool], apart: float, spread: float) -> int:
    return sum(check(profiled(Noisy(tie(apart), spread, seed), (1,))) for seed in range(50))


def test_splits_that_can_not_be_told_apart_are_named() -> None:
    """At equal bottlenecks two 95 % intervals meet nearly always; 20 % apart at 1 % noise, never."""
    assert seeds(lambda p: {p.cuts, *p.rivals} == {(3,), (4,)}, apart=0.0, spread=0.02) >= 47
    assert seeds(lambda p: p.cuts == (3,) and not p.rivals, apart=0.2, spread=0.01) == 50


def test_what_can_not_be_told_apart_was_measured_as_often_as_may_be() -> None:
    for seed in range(20):
        noisy = Noisy(tie(0.0), 0.02, seed)
        if {(3,), (4,)} == {(profile := profiled(noisy, (1,))).cuts, *profile.rivals}:
            assert len(noisy.visits[0, 4]) == len(noisy.visits[3, 6]) == 9


def test_only_what_decides_is_measured_again() -> None:
    noisy = Noisy(tie(0.2), 0.001, 0)
    profiled(noisy, (1,))
    counts = {span: len(visits) for span, visits in noisy.visits.items()}
    assert counts[0, 1] == counts[0, 5] == counts[1, 6] == 1
    assert sum(counts.values()) < 3 * len(counts)


def test_one_visit_a_segment_can_be_all() -> None:
    noisy = Noisy(tie(0.0), 0.05, 1)
    profile = profiled(noisy, (1,), most_rounds=1)
    assert {len(visits) for visits in noisy.visits.values()} == {1}
    assert profile.rivals


def test_what_is_said_names_what_is_unsure() -> None:
    sure = profiled_cuts(from_spans(tie(0.2)), 6, (1,))
    assert sure.text() == f"{sure.spans} segments measured for {sure.targets} targets"
    texts = [profiled(Noisy(tie(0.0), 0.05, seed), (1,)).text() for seed in range(10)]
    assert any("the rest is noise" in text for text in texts)
    assert any("could not be told from a target" in text for text in texts)
    assert any("cuts that can't be told from the chosen ones: " in text for text in texts)
