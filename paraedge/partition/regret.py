"""What a split can lose when the times of spans move within their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from paraedge.partition.optimal import lower_bound, optimal
from paraedge.partition.problem import Assigned, DeviceType, Problem, evaluate

if TYPE_CHECKING:
    from paraedge.core.partition import Objective
    from paraedge.core.spans import Times


Span: TypeAlias = tuple[int, int, int]
"""Type of device, first layer, end."""


def worst_ms(problem: Problem, assigned: Sequence[Assigned]) -> float | None:
    """The bottleneck with every stage at the upper end of its interval; None where one is unknown."""
    highs = {span: float(problem.types[span[0]].spans.high_ms[span[1:]]) for span in _spans(assigned)}
    if any(math.isnan(high) for high in highs.values()):
        return None
    times = [kind.spans.busy_ms for kind in problem.types]
    return evaluate(_scenario(problem, times, highs), assigned).bottleneck_ms


def regret(
    problem: Problem,
    assigned: Sequence[Assigned],
    *,
    objective: Objective,
    replicate: bool = False,
    most_devices: int | None = None,
) -> float | None:
    """The largest share of the bottleneck or latency that another split would save, over all times within intervals.

    most_devices: of other splits, all together. A share of the bottleneck is one of the throughput. None where an
    interval is unknown. Exact, but for hand-overs that keep both ends busy, where it is the largest found.

    Bottleneck: lowering a stage that isn't the slowest lessens no loss, and raising the slowest raises no other split
    by a larger factor; so the worst is one stage at its upper end and all else at its lower, or all at its lower
    (Averbakh 2000, on bottleneck problems with intervals). Latency: the worst is all stages that the better split
    doesn't share at their upper ends and all else at its lower; a quotient of sums, minimised after Dinkelbach (1967).
    """
    lows = [_lows(kind) for kind in problem.types]
    if worst_ms(problem, assigned) is None or any(np.isnan(low).any() for low in lows):
        return None
    if objective == "latency":
        return _latency_regret(problem, assigned, lows, most_devices)
    return _bottleneck_regret(problem, assigned, lows, replicate, most_devices)


def _bottleneck_regret(
    problem: Problem, assigned: Sequence[Assigned], lows: Sequence[Times], replicate: bool, most: int | None
) -> float:
    highs = {span: float(problem.types[span[0]].spans.high_ms[span[1:]]) for span in _spans(assigned)}
    scenarios = [_scenario(problem, lows, dict(raised)) for raised in ((), *((item,) for item in highs.items()))]
    periods = [evaluate(scenario, assigned).bottleneck_ms for scenario in scenarios]
    least = loss = 0.0
    for index in (0, *sorted(range(1, len(periods)), key=periods.__getitem__, reverse=True)):
        # No scenario has a better split than that with all times at their lower ends: few need be solved.
        if periods[index] * (1 - loss) <= least:
            continue
        bound = lower_bound(scenarios[index], objective="throughput", replicate=replicate, most_devices=most)
        least = least or bound
        loss = max(loss, 1 - bound / periods[index])
    return loss


def _latency_regret(
    problem: Problem, assigned: Sequence[Assigned], lows: Sequence[Times], most_devices: int | None
) -> float:
    own = _spans(assigned)
    low = {span: float(lows[span[0]][span[1:]]) for span in own}
    width = {span: float(problem.types[span[0]].spans.high_ms[span[1:]]) - low[span] for span in own}
    most = evaluate(_scenario(problem, lows, {span: low[span] + width[span] for span in own}), assigned).latency_ms
    quotient = 1.0
    while True:
        priced = _scenario(problem, lows, {span: low[span] + quotient * width[span] for span in own})
        best = optimal(priced, objective="latency", most_devices=most_devices)
        if best is None:
            return 1 - quotient
        others = evaluate(_scenario(problem, lows, {}), best.assigned).latency_ms
        ours = most - sum(width[span] for span in _spans(best.assigned) if span in width)
        if ours <= 0 or others / ours >= quotient:
            return 1 - quotient
        quotient = others / ours


def _spans(assigned: Sequence[Assigned]) -> list[Span]:
    return [(stage.type, stage.first, stage.end) for stage in assigned]


def _lows(kind: DeviceType) -> Times:
    """Lower ends of the intervals of all spans that can run, inf for those that can't."""
    busy = kind.spans.busy_ms
    return np.where(np.triu(np.isfinite(busy), k=1), kind.spans.low_ms, np.inf)


def _scenario(problem: Problem, times: Sequence[Times], raised: Mapping[Span, float]) -> Problem:
    """The problem with these busy times, but for some spans."""
    types = []
    for index, (kind, busy) in enumerate(zip(problem.types, times, strict=True)):
        own = busy.copy()
        for (of, first, end), value in raised.items():
            if of == index:
                own[first, end] = value
        types.append(replace(kind, spans=replace(kind.spans, busy_ms=own)))
    return replace(problem, types=tuple(types))
