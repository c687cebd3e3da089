"""The timed loop shared by all measured devices: warm up, find the length of a block, time blocks until it is enough.

Pure but for the clock and the garbage collector: `invoke` is any callable, `clock` any source of nanoseconds. The
protocol and its reasons are in docs/measuring.md.
"""

from __future__ import annotations

import bisect
import contextlib
import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from paraedge.core.device import MeasureSettings
from paraedge.core.median import median_ranks
from paraedge.core.outcome import Block, StopReason

Clock: TypeAlias = Callable[[], int]
Invoke: TypeAlias = Callable[[], object]

FEWEST_BLOCKS = 3
"""Blocks timed of a model whose single invoke is longer than the time budget; `min_blocks` is for all others."""

BLOCKS_A_LENGTH = 500
"""After so many blocks the next ones are twice as long, and so on: every block is a line on disk."""

BEAT_NS = 1_000_000_000
"""The watcher is told that we live about this often, so that a long measurement isn't taken for a hang."""

BLOCK_MARGIN = 1.15
"""Blocks are planned so much longer than asked for: a block that comes out quick is then still long enough."""

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What the loop found: every block in order, why it ended, and how many invokes went before."""

    blocks: tuple[Block, ...]
    stop_reason: StopReason
    warm_up_invokes: int


def time_invokes(
    invoke: Invoke,
    settings: MeasureSettings,
    *,
    clock: Clock = time.perf_counter_ns,
    beat: Callable[[], None] | None = None,
    block_invokes: int | None = None,
) -> Timing:
    """Time `invoke` in blocks as `settings` say.

    block_invokes: of the first block, where an earlier call has settled it; there is no warm-up then.
    Stops after `min_blocks` as soon as the 95 % interval of the median over blocks is within +-`precision` of it, or
    `time_budget_s` was spent in blocks, or another block would exceed `max_invokes`. Exceptions of `invoke` pass.
    """
    beat = _beater(beat, clock)
    with _no_garbage_collection():
        single_ns, untimed, invokes = 0.0, 0, block_invokes
        if invokes is None:
            single_ns, untimed = _warm_up(invoke, settings, clock, beat)
            invokes, more = _calibrate(invoke, single_ns, settings, clock)
            untimed += more
        blocks, reason = _time_blocks(invoke, invokes, single_ns, settings, clock, beat)
    return Timing(blocks=blocks, stop_reason=reason, warm_up_invokes=untimed)


def _warm_up(invoke: Invoke, settings: MeasureSettings, clock: Clock, beat: Callable[[], None]) -> tuple[float, int]:
    """Invoke in doubling runs for `warm_up_s`, at least once; returns (nanoseconds an invoke, last run; invokes)."""
    limit_ns = settings.warm_up_s * SECOND_NS
    spent_ns, done, count = 0, 0, 1
    while True:
        duration_ns = _run(invoke, count, clock)
        spent_ns += duration_ns
        done += count
        beat()
        single_ns = max(duration_ns / count, 0.1)
        if spent_ns >= limit_ns:
            return single_ns, done
        # never far beyond the limit: what is left of it in invokes, at most twice the last run
        # and no run so long that it would pass for silence
        count = max(1, min(2 * count, math.ceil(min(limit_ns - spent_ns, BEAT_NS) / single_ns)))


def _calibrate(invoke: Invoke, single_ns: float, settings: MeasureSettings, clock: Clock) -> tuple[int, int]:
    """Invokes that a block needs. Untimed runs settle it before the first block: no block is dropped for its length."""
    block_ns = settings.block_ms * 1e6
    invokes, done = max(1, math.ceil(BLOCK_MARGIN * block_ns / single_ns)), 0
    if single_ns >= max(block_ns, settings.time_budget_s * SECOND_NS / 10):  # another untimed run would cost much
        return 1, 0
    while True:
        duration_ns = _run(invoke, invokes, clock)
        done += invokes
        if duration_ns >= block_ns:
            return invokes, done
        invokes = _longer(invokes, duration_ns, block_ns)


def _time_blocks(
    invoke: Invoke,
    invokes: int,
    single_ns: float,
    settings: MeasureSettings,
    clock: Clock,
    beat: Callable[[], None],
) -> tuple[tuple[Block, ...], StopReason]:
    budget_ns = settings.time_budget_s * SECOND_NS
    block_ns = settings.block_ms * 1e6
    min_blocks = max(1, settings.min_blocks)
    if single_ns > budget_ns:
        min_blocks = min(min_blocks, FEWEST_BLOCKS)
    blocks: list[Block] = []
    latencies: list[float] = []  # nanoseconds an invoke, kept sorted
    spent_ns = total = 0
    while True:
        duration_ns = _run(invoke, invokes, clock)
        blocks.append(Block(invokes=invokes, duration_ns=duration_ns))
        bisect.insort(latencies, duration_ns / invokes)
        spent_ns += duration_ns
        total += invokes
        beat()
        if len(blocks) % BLOCKS_A_LENGTH == 0:
            block_ns, invokes = 2 * block_ns, 2 * invokes
        elif duration_ns < block_ns:
            invokes = _longer(invokes, duration_ns, block_ns)
        if len(blocks) < min_blocks:
            continue
        if relative_half_width(latencies) <= settings.precision:
            return tuple(blocks), "precision"
        if spent_ns >= budget_ns:
            return tuple(blocks), "time_budget"
        if settings.max_invokes is not None and total + invokes > settings.max_invokes:
            return tuple(blocks), "max_invokes"


def _run(invoke: Invoke, invokes: int, clock: Clock) -> int:
    begin = clock()
    for _ in itertools.repeat(None, invokes):
        invoke()
    return clock() - begin


def _longer(invokes: int, duration_ns: int, block_ns: float) -> int:
    """More invokes, so that the next block reaches `block_ns`; at most tenfold, the clock may have been too coarse."""
    factor = min(10.0, BLOCK_MARGIN * block_ns / max(duration_ns, 1))
    return max(invokes + 1, math.ceil(invokes * factor))


def relative_half_width(latencies: list[float]) -> float:
    """Half the 95 % interval of the median over the median, of sorted values; infinite below 6 values."""
    ranks = median_ranks(len(latencies))
    if ranks is None:
        return math.inf
    middle = len(latencies) // 2
    median = latencies[middle] if len(latencies) % 2 else (latencies[middle - 1] + latencies[middle]) / 2
    low, high = latencies[ranks[0]], latencies[ranks[1]]
    return (high - low) / (2 * median) if median > 0 else math.inf


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _beater(beat: Callable[[], None] | None, clock: Clock) -> Callable[[], None]:
    """`beat`, but called at most once in BEAT_NS."""
    if beat is None:
        return lambda: None
    last = clock()

    def now_and_then() -> None:
        nonlocal last
        now = clock()
        if now - last >= BEAT_NS:
            last = now
            beat()

    return now_and_then
