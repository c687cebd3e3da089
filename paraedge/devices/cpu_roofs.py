"""The CPU's ceilings as found by trial: best rates of probe models, of numpy's own kernels, and of the memories.

A roof is an upper envelope, so each is the best of many tries, never a mean. It is what this machine showed and not a
data sheet's peak: a later, luckier run can lie a little above it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from paraedge.core.device import MeasureSettings, Origin, Roof
from paraedge.core.outcome import Job, Measurement
from paraedge.devices import host, stage

if TYPE_CHECKING:
    from paraedge.devices.cpu import CpuSession

Floats: TypeAlias = npt.NDArray[np.float32]

PROBES_S = 1.5
"""Time in timed blocks of all probe models together; loading them and the memories take about as much again each."""

TRY_NS = 5_000_000
TRIES = 12
BYTES_A_CALL = 16 << 20
"""A call of numpy passes over a small working set again and again until it has moved so much: a call costs 1 us."""

SINGLE_CALL_BYTES = 128 << 10
"""From this working set on, the cost of a call is small beside a single pass."""

DRAM_BYTES = 256 << 20
GEMM_SIZES = (256, 512, 1024)


def measure(session: CpuSession, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
    """Compute roofs by precision, bandwidths by level of memory, and the floor; within about 4 s.

    A probe needs its artifact, its graph's MACs and its spec's precision; one that fails is passed over, and a
    precision without any probe has no roof. float32 also counts numpy's matrix product, which may beat LiteRT's.
    """
    tries = _try(session, probes, settings)
    # the best once more, later: a neighbour's burst rarely lasts through both
    winners = [*_best_by_precision(tries).values(), *sorted(tries, key=lambda one: one.shortest_ns)[:1]]
    tries += _try(session, [one.probe for one in winners], settings)
    stage.alive()
    compute = _compute_roofs(session, _best_by_precision(tries))
    return (*compute, *_bandwidth_roofs(session.threads), *_floor_roof(tries))


@dataclass(frozen=True, kw_only=True)
class _Try:
    """A probe that ran: its shortest block, in nanoseconds an invoke."""

    probe: Job
    shortest_ns: float

    @property
    def gops_per_s(self) -> float:
        macs = self.probe.graph.macs if self.probe.graph else None
        return 2 * (macs or 0) / self.shortest_ns


def _try(session: CpuSession, probes: Sequence[Job], settings: MeasureSettings) -> list[_Try]:
    share_s = PROBES_S / 2 / max(1, len(probes))
    quick = replace(settings, time_budget_s=share_s, precision=0.0, max_invokes=None)
    tries = []
    for probe in probes:
        outcome = session.sample(probe, quick)
        if isinstance(outcome, Measurement):
            shortest_ns = min(block.invoke_ns for block in outcome.blocks)
            tries.append(_Try(probe=probe, shortest_ns=shortest_ns))
    return tries


def _best_by_precision(tries: Sequence[_Try]) -> dict[str, _Try]:
    best: dict[str, _Try] = {}
    for one in tries:
        if one.probe.spec and one.gops_per_s > 0:
            known = best.get(one.probe.spec.precision)
            if known is None or one.gops_per_s > known.gops_per_s:
                best[one.probe.spec.precision] = one
    return best


def _compute_roofs(session: CpuSession, best: Mapping[str, _Try]) -> list[Roof]:
    rates = {
        precision: (one.gops_per_s, f"LiteRT {session.kernels}, {one.probe.spec.label() if one.probe.spec else ''}")
        for precision, one in best.items()
    }
    gemm = _gemm_gops_per_s(session.threads)
    if gemm > rates.get("float32", (0.0, ""))[0]:
        rates["float32"] = gemm, "numpy matrix product"
    return [_compute_roof(precision, *rates[precision], session.threads) for precision in sorted(rates)]


def _compute_roof(precision: str, gops_per_s: float, source: str, threads: int) -> Roof:
    return Roof(
        name=f"{precision} peak",
        kind="compute",
        level=precision,
        value=gops_per_s,
        unit="gops_per_s",
        origin=Origin.MEASURED,
        source=f"best of {source}; {threads} thread(s)",
    )


def _floor_roof(tries: Sequence[_Try]) -> list[Roof]:
    if not tries:
        return []
    floor = Roof(
        name="shortest invoke",
        kind="floor",
        level="invoke",
        value=min(one.shortest_ns for one in tries) / 1e6,
        unit="ms",
        origin=Origin.MEASURED,
        source="shortest block of the probes",
    )
    return [floor]


def _gemm_gops_per_s(threads: int) -> float:
    best = 0.0
    for size in GEMM_SIZES:
        calls: list[Callable[[], object]] = []
        for _ in range(threads):
            left, right, out = (np.ones((size, size), np.float32) for _ in range(3))
            calls.append(functools.partial(np.matmul, left, right, out=out))
        best = max(best, _best_rate(calls, 2 * size**3))
    return best


@dataclass(frozen=True, kw_only=True)
class _Level:
    name: str
    capacity_bytes: int | None
    working_set_bytes: int


def _levels(threads: int) -> Iterator[_Level]:
    """Memories with a working set, of all threads together, that fits this level well and the one below not at all."""
    below = 0
    for cache in host.data_caches():
        # two threads may be siblings that share a core's caches, and other cores and machines share the last level
        part = 4 if cache.level >= 3 else 2
        working_set = max(cache.size_bytes // part, min(3 * below, cache.size_bytes))
        grown = threads // 2 if cache.level < 3 and threads > 1 else 1
        yield _Level(name=f"L{cache.level}", capacity_bytes=cache.size_bytes, working_set_bytes=working_set * grown)
        below = cache.size_bytes
    yield _Level(name="DRAM", capacity_bytes=None, working_set_bytes=min(max(4 * below, 64 << 20), DRAM_BYTES))


def _bandwidth_roofs(threads: int) -> list[Roof]:
    """Nearest memory first. What comes from a farther memory passes the nearer ones, so they are at least as fast."""
    roofs: list[Roof] = []
    fastest, source = 0.0, ""
    for level in reversed(list(_levels(threads))):
        stage.alive()
        try:
            found = _bandwidth(level, threads)
        except MemoryError:  # under a limit of ours; the smaller levels are still good
            continue
        fastest, source = max((fastest, source), found)
        roof = Roof(
            name=f"{level.name} bandwidth",
            kind="bandwidth",
            level=level.name,
            value=fastest,
            unit="gb_per_s",
            origin=Origin.MEASURED,
            capacity_bytes=level.capacity_bytes,
            source=f"{source}, bytes read and written; {threads} thread(s)",
        )
        roofs.insert(0, roof)
    return roofs


def _bandwidth(level: _Level, threads: int) -> tuple[float, str]:
    """Best gb_per_s at a level and how it was found."""
    found = (
        (_best_rate([p.call for p in patterns], patterns[0].size_bytes), patterns[0].name)
        for patterns in _patterns(level.working_set_bytes // threads, threads)
    )
    gb_per_s, name = max(found)
    return gb_per_s, f"numpy {name} over {level.working_set_bytes >> 10} KiB"


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    """A way to move bytes: one call moves `size_bytes`."""

    name: str
    call: Callable[[], object]
    size_bytes: int


def _patterns(working_set_bytes: int, threads: int) -> Iterator[list[_Pattern]]:
    """Ways to move a working set (of one thread), each once for every thread with arrays of its own."""
    arrays = [(_line_aligned(working_set_bytes // 2), _line_aligned(working_set_bytes // 2)) for _ in range(threads)]
    repeats = max(1, BYTES_A_CALL // working_set_bytes)
    yield [_product(left, right, repeats) for left, right in arrays]
    yield [_negate(left, right, repeats) for left, right in arrays]
    if working_set_bytes >= SINGLE_CALL_BYTES:
        yield [_add(left, right) for left, right in arrays]


def _product(left: Floats, right: Floats, repeats: int) -> _Pattern:
    """Scalar products: reads both arrays."""
    out = np.empty((repeats, 1), np.float32)
    call = functools.partial(np.matmul, _repeated(left, repeats)[:, None, :], right, out=out)
    return _Pattern(name="scalar product", call=call, size_bytes=repeats * (left.nbytes + right.nbytes))


def _negate(left: Floats, right: Floats, repeats: int) -> _Pattern:
    """Reads one array and writes the other."""
    call = functools.partial(np.negative, _repeated(left, repeats), out=_repeated(right, repeats))
    return _Pattern(name="negation", call=call, size_bytes=repeats * (left.nbytes + right.nbytes))


def _add(left: Floats, right: Floats) -> _Pattern:
    """Reads both arrays and writes one of them."""
    call = functools.partial(np.add, left, right, out=right)
    return _Pattern(name="addition in place", call=call, size_bytes=left.nbytes + 2 * right.nbytes)


def _repeated(row: Floats, repeats: int) -> Floats:
    """The row as a matrix of `repeats` equal rows over the same memory."""
    return np.lib.stride_tricks.as_strided(row, (repeats, row.size), (0, row.itemsize))


def _line_aligned(size_bytes: int) -> Floats:
    """Ones in fresh memory, aligned to 64 bytes."""
    count = max(16, size_bytes // 4)
    raw = np.empty(count + 16, np.float32)
    skip = (-raw.ctypes.data % 64) // raw.itemsize
    aligned = raw[skip : skip + count]
    aligned[:] = 1.0
    return aligned


def _best_rate(calls: Sequence[Callable[[], object]], amount: int) -> float:
    """Best of some tries, in 1e9 `amount` a second, of all calls at once, one a thread, each again and again."""
    begin = time.perf_counter_ns()
    calls[0]()
    once_ns = max(1, time.perf_counter_ns() - begin)
    count = max(1, round(TRY_NS / once_ns))
    tries = TRIES if once_ns < 3 * TRY_NS else 5

    def repeat(call: Callable[[], object]) -> None:
        for _ in range(count):
            call()

    if len(calls) == 1:
        return count * amount / min(_timed(lambda: repeat(calls[0])) for _ in range(tries))
    with ThreadPoolExecutor(len(calls)) as pool:
        shortest = min(_timed(lambda: list(pool.map(repeat, calls))) for _ in range(tries))
    return len(calls) * count * amount / shortest


def _timed(action: Callable[[], object]) -> int:
    begin = time.perf_counter_ns()
    action()
    return max(1, time.perf_counter_ns() - begin)
