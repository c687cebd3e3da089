"""What a partition is worth, in sentences: against the best split, any assignment, one device, and fewer devices."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from paraedge.core.partition import Objective, Partition
from paraedge.core.words import milliseconds, plural, quantity_bytes
from paraedge.partition.problem import Assigned, Problem, evaluate

SAME = 1e-9
"""Relative difference below which two times are the same but for rounding."""
WORTH = 0.05
"""A gain below this is not worth a device."""
BEYOND = 1.02
"""More than this times the number of devices is a super-linear speed-up."""


def single_ms(problem: Problem) -> float:
    """The whole model on the best single device; inf where it fits on none."""
    return min(float(kind.spans.busy_ms[0, problem.layers]) for kind in problem.types)


def speedup(partition: Partition, problem: Problem) -> float | None:
    """Throughput over that of the best single device; None where the model fits on none."""
    alone_ms = single_ms(problem)
    return alone_ms / partition.bottleneck_ms if math.isfinite(alone_ms) else None


def speedup_text(partition: Partition, problem: Problem) -> str:
    """The speed-up in words."""
    ratio = speedup(partition, problem)
    if ratio is None:
        return "no single device holds the model"
    if abs(ratio - 1) <= SAME:
        return "as fast as the best single device"
    return f"{ratio:.3g} times the throughput of the best single device"


def gap_text(partition: Partition, best: Partition | None) -> str:
    """How far it is from the best contiguous split; `best`: that split, where it is another one."""
    if partition.gap <= SAME:
        return f"the best there is among contiguous splits of these ops over {_allowed(partition)}"
    if best is None or best.value_ms > partition.lower_bound_ms * (1 + SAME):
        return f"at most {_slower(partition.gap)} the best contiguous split"
    where = f"cuts at {', '.join(map(str, best.cuts))}" if best.cuts else "has no cut"
    copies = [len(stage.devices) for stage in best.stages if len(stage.devices) > 1]
    more = f" and has {plural(len(copies), 'stage')} on several devices" if copies else ""
    return f"{_slower(partition.gap)} the best contiguous split, which {where}{more}"


def _allowed(partition: Partition) -> str:
    """These devices, or so many of them."""
    devices = sum(len(stage.devices) for stage in partition.stages) + len(partition.unused)
    most = len(partition.best_ms)
    return "these devices" if most >= devices else f"at most {most} of these {devices} devices"


def _slower(gap: float) -> str:
    return f"{_percent(gap)} slower than" if gap < 1 else f"takes {1 + gap:.3g} times as long as"


def any_text(partition: Partition) -> str:
    """The bound that holds for any assignment of layers to the devices, copies of them too where the split has any."""
    has_copies = any(len(stage.devices) > 1 for stage in partition.stages)
    what = "ops to any number of these devices each" if has_copies else "each op to one of these devices"
    bound = f"no assignment of {what}, contiguous or not, gets below {_ms(partition.any_bound_ms)}"
    gap = any_gap(partition)
    if gap is None:
        return bound
    if gap <= SAME:
        return f"{bound}, which this reaches"
    return f"{bound}; this is {f'{_percent(gap)} above it' if gap < 1 else f'{1 + gap:.3g} times that loose bound'}"


def any_gap(partition: Partition) -> float | None:
    """How far above that bound it is, as a ratio; None where the bound says nothing."""
    bound_ms = partition.any_bound_ms
    return partition.value_ms / bound_ms - 1 if 0 < bound_ms < math.inf else None


def knee(best_ms: Sequence[float], objective: Objective) -> str:
    """How many devices are worth having, in one sentence; best_ms: with at most 1, 2, ... devices."""
    least = next(number for number, ms in enumerate(best_ms, start=1) if math.isfinite(ms))
    enough = next(number for number, ms in enumerate(best_ms, start=1) if ms <= best_ms[-1] * (1 + WORTH))
    fits = "" if least == 1 else f"it takes {plural(least, 'device')} to hold the model; "
    first = "one" if least == 1 else str(least)
    if enough == least:
        text = f"{'one device is' if least == 1 else f'{least} devices are'} enough"
    else:
        text = f"{enough} devices {_gain(best_ms[least - 1] / best_ms[enough - 1], objective)} {first}"
    if len(best_ms) == least:
        return fits + (text if least > 1 else "one device is all there may be")
    return fits + text + "".join(_added(best_ms, enough))


def _gain(ratio: float, objective: Objective) -> str:
    if objective == "throughput":
        return f"give {ratio:.3g} times the throughput of"
    return f"take {_percent(1 - 1 / ratio)} less time for an input than"


def _added(best_ms: Sequence[float], enough: int) -> Iterator[str]:
    """What the next device adds, or the last of them."""
    devices = len(best_ms)
    if enough == devices:
        yield f"; the {ordinal(devices)} alone adds {_percent(best_ms[-2] / best_ms[-1] - 1)}"
        return
    yield f"; the {ordinal(enough + 1)} adds {_more(best_ms[enough - 1] / best_ms[enough] - 1)}"
    if devices > enough + 1:
        yield f", all {devices} {_more(best_ms[enough - 1] / best_ms[-1] - 1)}"


def data_parallel_ms(problem: Problem) -> float | None:
    """The bottleneck of whole models side by side on the best of the devices that are alike; None where none has two.

    inf where they can't hold it. Copies pay the host's time for each input as stages do, which is an assumption.
    """
    copies = (
        Assigned(first=0, end=problem.layers, type=number, replicas=len(kind.devices))
        for number, kind in enumerate(problem.types)
        if len(kind.devices) > 1
    )
    return min((evaluate(problem, [one]).bottleneck_ms for one in copies), default=None)


def data_parallel_text(partition: Partition, problem: Problem) -> str | None:
    """Data parallel against this; None where it is that, can't be had, or isn't asked for."""
    copies_ms = data_parallel_ms(problem)
    is_that = len(partition.stages) == 1 and len(partition.stages[0].devices) > 1
    if copies_ms is None or not math.isfinite(copies_ms) or is_that or partition.objective == "latency":
        return None
    ratio = copies_ms / partition.bottleneck_ms
    text = f"whole models side by side (data parallel) would give an output every {copies_ms:.4g} ms"
    if abs(ratio - 1) < WORTH:
        return f"{text}, about as fast"
    return (
        f"{text}: this is {ratio:.3g} times as fast" if ratio > 1 else f"{text}, {1 / ratio:.3g} times as fast as this"
    )


def memory_text(partition: Partition, problem: Problem) -> str | None:
    """Why a speed-up is beyond the number of devices: parameters that one device streams come on chip; None if not."""
    ratio = speedup(partition, problem)
    used = sum(len(stage.devices) for stage in partition.stages)
    if ratio is None or ratio <= BEYOND * used or used < 2:
        return None
    said = f"super-linear: {ratio:.3g} times one device with {used}"
    alone = min(problem.types, key=lambda kind: float(kind.spans.busy_ms[0, problem.layers])).spans
    streamed = int(alone.off_chip_bytes[0, problem.layers])
    left = sum(stage.off_chip_bytes or 0 for stage in partition.stages)
    if streamed <= left:
        return said
    where = "all are on chip" if not left else f"the segments stream {quantity_bytes(left)}"
    return (
        f"{said}, by memory: one device streams {quantity_bytes(streamed)} of parameters for each input, here {where}"
    )


def intervals_text(partition: Partition) -> str | None:
    """What the intervals of the stage times leave open; None where these are unknown."""
    if partition.worst_ms is None:
        return None
    said = f"with every stage at the upper end of its interval, {_ms(partition.worst_ms)}"
    if partition.regret is None:
        return said
    what = "throughput" if partition.objective == "throughput" else "time"
    lost = "nothing" if partition.regret <= SAME else f"up to {_percent(partition.regret)} of the {what}"
    return f"{said}; as stage times move within their intervals, {lost} is lost against the split that is then best"


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `11th`."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _more(share: float) -> str:
    return "nothing" if share <= SAME else _percent(share)


def _percent(share: float) -> str:
    """Two digits of a share below 10 %: `0.42 %`, `2.4 %`, `31 %`, `240 %`."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %" if value >= 0.01 else "less than 0.01 %"


def _ms(value: float) -> str:
    return f"{milliseconds(value)} ms"
