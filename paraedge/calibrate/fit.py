"""Costs from measured rows: one robust least squares over all hosts, the chip's constants shared between them.

`latency = sum of count x cost` is linear in the costs (`simulate.counts`), so only two things are searched for: the
memory constants (`memory`) and the scale of the stripes, both by what they do to whole rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import STRIPES_BYTES, CountedRows
from paraedge.calibrate.memory import MemoryFit
from paraedge.calibrate.plan import CHIP, ON_THE_LINK, Plan, published_plan
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import COSTS

PASSES = 8
FLOORS = {"network": 0.03}
FLOOR = 0.004
"""Least relative scatter that a kind of model is taken to have, so that no exact series rules the rest. Networks are
few a host, and nobody tells which compiler made the files that were timed."""
FASTEST_MB_PER_S = 1e5
"""What no link surpasses, for links whose line rate isn't known."""

Floats = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Costs in milliseconds by unknown, the memory constants, and the hardware that they make of each host's base."""

    costs: Mapping[str, float]
    memory: MemoryFit
    stripe_bytes: float
    stripe_range: tuple[int, int] | None
    hosts: Mapping[str, Hardware]


@dataclass(frozen=True)
class _Table:
    """The rows under one placement: amounts of each unknown, milliseconds that aren't fitted, and scatter groups."""

    design: Floats
    fixed: Floats
    groups: Mapping[str, Chosen]


class Problem:
    """Rows to be fitted, many times over subsets, with the unknowns that a plan names.

    The memory and the stripes are the chip's: they are fitted freely where the plan asks for the chip's costs. Else the
    stripes are the base's, and so is the memory unless the rows' bytes speak against it.
    """

    def __init__(self, counted: CountedRows, plan: Plan = published_plan) -> None:
        self.counted, self.plan = counted, plan
        self.rows, self.bases, self.latency_ms = counted.rows, counted.bases, counted.latency_ms
        self._least = _least_costs(plan, counted.bases)
        self._unknowns = list(self._least)
        self._has_chip = not CHIP.isdisjoint(self._unknowns)
        self._fits: dict[bytes, Fit] = {}
        self._tables: dict[tuple[float, float, float], _Table] = {}
        self._stripes: dict[tuple[float, float, bytes], tuple[float, tuple[int, int]]] = {}

    def fit(self, chosen: Chosen | None = None) -> Fit:
        """Fit the chosen rows (all by default), with all of those that tell only bytes."""
        pick = np.ones(len(self.rows), dtype=bool) if chosen is None else chosen
        key = pick.tobytes()
        if key not in self._fits:
            byte_rows = np.ones(len(self.counted.byte_rows), dtype=bool)
            memory = self.counted.grid.fit(np.concatenate([pick, byte_rows]), keep_base=not self._has_chip)
            self._fits[key] = self._fit(pick, memory)
        return self._fits[key]

    def _fit(self, pick: Chosen, memory: MemoryFit) -> Fit:
        stripe_bytes, stripe_range = self._fit_stripes(pick, memory)
        costs, _ = self._solve(pick, memory, stripe_bytes)
        return Fit(
            costs=costs,
            memory=memory,
            stripe_bytes=stripe_bytes,
            stripe_range=stripe_range,
            hosts={host: self._hardware(host, costs, memory, stripe_bytes) for host in self.bases},
        )

    def _fit_stripes(self, pick: Chosen, memory: MemoryFit) -> tuple[float, tuple[int, int] | None]:
        """The middle of the plateau of stripe scales that leave the least error, and the plateau's ends, in bytes.

        Scales that do the same to every row are one. Judged by the chosen rows of the hosts that have rows in stripes.
        The base's own, without a plateau, where there are none.
        """
        base_bytes = next(iter(self.bases.values())).stripe_memory_bytes
        if not self._has_chip:
            return base_bytes, None
        streamed = self.counted.streamed(memory)
        moved = (streamed != streamed[0]).any(axis=0) & pick
        if not moved.any():
            return base_bytes, None
        judges = pick & np.isin(self.counted.hosts, self.counted.hosts[moved])
        key = (memory.wide_bytes, memory.input_room_bytes, judges.tobytes())
        if key not in self._stripes:
            _, first, plateau = np.unique(streamed[:, judges], axis=0, return_index=True, return_inverse=True)
            errors = [self._solve(judges, memory, STRIPES_BYTES[index])[1] for index in first]
            alike = [STRIPES_BYTES[index] for index in np.flatnonzero(plateau.ravel() == int(np.argmin(errors)))]
            self._stripes[key] = (alike[len(alike) // 2], (alike[0], alike[-1]))
        return self._stripes[key]

    def _solve(self, pick: Chosen, memory: MemoryFit, stripe_bytes: float) -> tuple[dict[str, float], float]:
        """Costs by unknown and the mean clipped error, by iteratively reweighted non-negative least squares.

        Errors are relative to the middle of measured and predicted, so that too much and too little weigh the same. A
        row's weight is 1 over the scatter of its group, less where it lies far out (Huber).
        """
        table = self._table(memory, stripe_bytes)
        latency, design, fixed = self.latency_ms[pick], table.design[pick], table.fixed[pick]
        members = {name: lines[pick] for name, lines in table.groups.items() if lines[pick].any()}
        used = np.flatnonzero(design.max(axis=0, initial=0.0) > 0)
        scale = np.linalg.norm(design[:, used] / latency[:, None], axis=0)
        values, middle, weights = np.zeros(len(used)), latency, np.ones(len(latency))
        for _ in range(PASSES if len(used) else 0):
            a, b = design[:, used] / middle[:, None], (latency - fixed) / middle
            values = nnls(a / scale * weights[:, None], b * weights)[0] / scale
            predicted = np.maximum(fixed + design[:, used] @ values, latency * 1e-3)
            weights, middle = robust_weights(log_errors(predicted, latency), members), np.sqrt(predicted * latency)
        left = log_errors(np.maximum(fixed + design[:, used] @ values, latency * 1e-3), latency)
        names = [self._unknowns[index] for index in used]
        costs = {name: self._least[name] + float(value) for name, value in zip(names, values, strict=True)}
        return costs, float(np.minimum(left, 0.1).mean()) if len(left) else 0.0

    def _table(self, memory: MemoryFit, stripe_bytes: float) -> _Table:
        key = (memory.wide_bytes, memory.input_room_bytes, stripe_bytes)
        if key not in self._tables:
            amounts = self.counted.amounts(memory, stripe_bytes)
            design, fixed = np.zeros((len(self.rows), len(self._unknowns))), np.zeros(len(self.rows))
            for host, base in self.bases.items():
                lines = self.counted.hosts == host
                for column, cost in enumerate(COSTS):
                    unknown = self.plan(cost.count, host, base.interface)
                    if unknown is None:
                        fixed[lines] += amounts.priced[lines, column] * base.costs[cost.count]
                    else:
                        design[lines, self._unknowns.index(unknown)] += amounts.priced[lines, column]
            fixed += design @ np.array(list(self._least.values()), dtype=float)
            groups = {str(name): amounts.groups == name for name in np.unique(amounts.groups)}
            self._tables[key] = _Table(design, fixed, groups)
        return self._tables[key]

    def _hardware(self, host: str, costs: Mapping[str, float], memory: MemoryFit, stripe_bytes: float) -> Hardware:
        base = self.counted.hardware(host, memory, stripe_bytes)
        values: dict[str, float] = {}
        for cost in COSTS:
            ms = costs.get(self.plan(cost.count, host, base.interface) or "")
            if ms is not None:
                values[cost.constant] = cost.to_value(ms, base.clock_mhz)
        return changed(base, **values)


def all_but(rows: int, index: int) -> Chosen:
    """Every row of so many but one."""
    chosen = np.ones(rows, dtype=bool)
    chosen[index] = False
    return chosen


def _least_costs(plan: Plan, bases: Mapping[str, Hardware]) -> dict[str, float]:
    """The unknowns that a plan names, each with the least that it can be, in ms.

    A byte can't cross a link in less than its line rate allows; every other cost may be 0.
    """
    least: dict[str, float] = {}
    for host, base in bases.items():
        for cost in COSTS:
            name = plan(cost.count, host, base.interface)
            if name is not None:
                rate = FASTEST_MB_PER_S if base.link_mbit_per_s is None else base.link_mbit_per_s / 8
                least[name] = max(least.get(name, 0.0), 1e-3 / rate if cost.count in ON_THE_LINK else 0.0)
    return least


def log_errors(predicted: Floats, latency: Floats) -> Floats:
    """Too much and too little alike."""
    found: Floats = np.abs(np.log(predicted / latency))
    return found


def robust_weights(error: Floats, groups: Mapping[str, Chosen]) -> Floats:
    """Of rows with these errors: 1 over the scatter of a row's group, less where it lies far out (Huber)."""
    weights = np.empty(len(error))
    for name, members in groups.items():
        scatter = max(FLOORS.get(name, FLOOR), 1.48 * _median(error[members]))
        far = np.minimum(1.0, 1.5 * scatter / np.maximum(error[members], 1e-12))
        weights[members] = np.sqrt(far) / scatter
    return weights


def _median(values: Floats) -> float:
    """As numpy's, a tenth of its time: it is taken 100,000 times."""
    ordered = np.sort(values)
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
