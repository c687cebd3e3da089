"""A bound that no assignment of layers to devices gets below, contiguous or not.

What it rests on, beyond the cost model: the layers that a device is given fall into runs of consecutive layers; it
executes each run as a segment of its own, and is busy with it at least as long as the table says for that span on that
device alone. So other runs on the same device may make a run dearer (they share its memory), never cheaper. Layers
between which no cut is allowed stay together, and hand-overs and buses are taken to cost nothing.

Then, for any prices p_t > 0 of a millisecond on a device of type t with the prices of all devices adding up to 1 (where
not all may be used, of the dearest), every device is busy for at most the period, so the period is at least the price
of all runs; which is at least the price of the cheapest cover of the layers by spans, of which none takes longer than
the period. Linear programming's duality says that good prices make this as strong as balancing the load perfectly.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np

from paraedge.partition.memo import once
from paraedge.partition.moves import between, boundaries
from paraedge.partition.problem import Assigned, Problem, evaluate

if TYPE_CHECKING:
    from paraedge.core.partition import Objective
    from paraedge.core.spans import Sizes, Times

ROUNDS = 60
"""Of improving the prices; any prices give a proven bound."""


@once
def any_bound(
    problem: Problem, objective: Objective, *, replicate: bool = False, most_devices: int | None = None
) -> float:
    """Milliseconds that no assignment of layers to the devices gets below; the module says what that rests on.

    For the latency the layers of one input run one after another, as the cost model has it. replicate: layers may be
    on several devices, and each input take a way of its own. most_devices: of all together. inf where no cover of the
    layers by spans exists.
    """
    whole = [(Assigned(first=0, end=problem.layers, type=kind),) for kind in range(len(problem.types))]
    alone = [evaluate(problem, assigned) for assigned in whole]
    at = boundaries(problem)
    busy = np.stack([between(kind.spans.busy_ms, at) for kind in problem.types])
    if objective == "latency":
        return min(*(value.latency_ms for value in alone), problem.host_ms + _cover(busy, np.ones(len(busy)))[0])
    counts = np.array([len(kind.devices) for kind in problem.types])
    most = problem.devices if most_devices is None else min(most_devices, problem.devices)
    period = max(problem.host_ms, _period(busy, counts, most, capped=not replicate))
    return min(*(value.bottleneck_ms for value in alone), period)


def _period(busy: Times, counts: Sizes, most: int, *, capped: bool) -> float:
    """Lower bound of the period of a pipeline; capped: no span takes longer than the period."""
    even = np.full(len(busy), 1 / most)
    first = _capped_period(busy, even) if capped else _cover(busy, even)[0]
    if len(busy) == 1 or not np.isfinite(first):
        return first
    prices = _better_prices(np.where(busy <= first, busy, np.inf) if capped else busy, counts, most)
    return max(first, _capped_period(busy, prices) if capped else _cover(busy, prices)[0])


def _capped_period(busy: Times, prices: Times) -> float:
    """The least max(T, price of the cheapest cover by spans that take T at most), over all times T of spans."""
    times = np.unique(busy[np.isfinite(busy)])

    def bound(index: int) -> float:
        return max(float(times[index]), _cover(np.where(busy <= times[index], busy, np.inf), prices)[0])

    enough = bisect.bisect_left(range(len(times)), True, key=lambda index: bound(index) <= times[index])
    return min((bound(index) for index in (enough - 1, enough) if 0 <= index < len(times)), default=np.inf)


def _better_prices(busy: Times, counts: Sizes, most: int) -> Times:
    """Prices under which the cheapest cover is dear: those of overloaded types rise."""
    prices = np.full(len(busy), 1 / most)
    best, best_price = prices, 0.0
    for step in range(ROUNDS):
        price, loads = _cover(busy, prices)
        if not 0 < price < np.inf:
            break
        if price > best_price:
            best, best_price = prices, price
        load = loads / counts
        prices = prices * np.exp(load / load.max() / np.sqrt(1 + step))
        prices = prices / np.sort(np.repeat(prices, counts))[-most:].sum()
    return best


def _cover(busy: Times, prices: Times) -> tuple[float, Times]:
    """The least price of spans that cover all layers, each on a type of its own choice; and the load of each type."""
    priced = busy * prices[:, None, None]
    kinds = np.argmin(priced, axis=0)
    price = np.min(priced, axis=0)
    least = np.zeros(price.shape[0])
    begin = np.zeros(price.shape[0], int)
    for end in range(1, len(least)):
        costs = least[:end] + price[:end, end]
        begin[end] = np.argmin(costs)
        least[end] = costs[begin[end]]
    loads, end = np.zeros(len(busy)), len(least) - 1
    while end and np.isfinite(least[-1]):
        first = begin[end]
        loads[kinds[first, end]] += busy[kinds[first, end], first, end]
        end = first
    return float(least[-1]), loads
