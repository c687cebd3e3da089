"""The best split of problems too large for brute force: against a mixed-integer programme, solved by HiGHS."""

from __future__ import annotations

import numpy as np
import pytest
from partition_problems import additive, spans_of
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

from paraedge.core.partition import Objective
from paraedge.partition.optimal import optimal
from paraedge.partition.problem import DeviceType, Problem

RESOLUTION = 1e-6
"""To which HiGHS is asked to solve."""


def fleet(seed: int, layers: int, counts: tuple[int, ...], *, bus: bool) -> Problem:
    """Devices of different speeds and memories, with a cliff, a limit and costs of transfer."""
    random = np.random.default_rng(seed)
    work, sizes = random.uniform(0.2, 3.0, layers), random.uniform(0.1, 2.0, layers)
    crossing = random.uniform(0.0, 1.0, layers + 1)
    transfer = crossing[:, None] + crossing[None, :]
    kinds = []
    for kind, count in enumerate(counts):
        weights = additive(sizes)
        room = random.uniform(3.0, 6.0)
        busy = additive(work * random.uniform(0.5, 2.0), fixed=0.2) + transfer + 2 * np.maximum(weights - room, 0)
        busy = np.where(weights > 3 * room, np.inf, np.maximum(busy, 0))
        names = tuple(f"d{kind}.{index}" for index in range(count))
        shared = {"bus": "usb", "bus_ms": 4 * transfer} if bus else {}
        kinds.append(DeviceType(devices=names, spans=spans_of(busy), **shared))
    return Problem(model="fleet", layers=layers, types=tuple(kinds), host_ms=0.5)


def by_milp(problem: Problem, objective: Objective, *, replicate: bool) -> float:
    """One binary a span, type and number of replicas; the spans that are chosen cover each layer once."""
    n = problem.layers
    options = [
        (first, end, kind, replicas)
        for first in range(n)
        for end in range(first + 1, n + 1)
        for kind, of in enumerate(problem.types)
        for replicas in range(1, (len(of.devices) if replicate else 1) + 1)
        if np.isfinite(of.spans.busy_ms[first, end])
    ]
    period = len(options)
    cover, take, slow = (lil_matrix((rows, period + 1)) for rows in (n, len(problem.types), n + 2))
    for column, (first, end, kind, replicas) in enumerate(options):
        of = problem.types[kind]
        cover[first:end, column] = 1
        take[kind, column] = replicas
        slow[first:end, column] = of.spans.busy_ms[first, end] / replicas  # at each layer: its stage
        slow[n, column] = 0.0 if of.bus_ms is None else of.bus_ms[first, end]
        slow[n + 1, column] = problem.host_ms if (end - first < n or replicas > 1) else 0.0
    # Some span of a pipeline begins with layer 0, so the host's row counts only that one.
    slow[n + 1, [column for column, option in enumerate(options) if option[0] > 0]] = 0.0
    slow[:, period] = -1
    goal = np.zeros(period + 1)
    if objective == "throughput":
        goal[period] = 1
    else:
        host = slow[n + 1].toarray()[0, :period]
        goal[:period] = host + [problem.types[kind].spans.busy_ms[first, end] for first, end, kind, _ in options]
    found = milp(
        goal,
        constraints=[
            LinearConstraint(cover.tocsr(), 1, 1),
            LinearConstraint(take.tocsr(), 0, [len(of.devices) for of in problem.types]),
            LinearConstraint(slow.tocsr(), -np.inf, 0 if objective == "throughput" else np.inf),
        ],
        integrality=[1] * period + [0],
        bounds=Bounds([0] * (period + 1), [1] * period + [np.inf]),
        options={"mip_rel_gap": RESOLUTION},
    )
    assert found.status == 0, found.message
    return float(found.fun)


@pytest.mark.parametrize(
    ("layers", "counts", "bus", "replicate", "objective"),
    [
        (40, (8,), False, False, "throughput"),
        (40, (4, 4), False, False, "throughput"),
        (30, (3, 3, 2), False, False, "throughput"),
        (30, (3, 3), True, False, "throughput"),
        (30, (3, 3), False, True, "throughput"),
        (36, (3, 3, 2), False, False, "latency"),
    ],
)
def test_equals_a_mixed_integer_programme(
    layers: int, counts: tuple[int, ...], bus: bool, replicate: bool, objective: Objective
) -> None:
    problem = fleet(layers + len(counts), layers, counts, bus=bus)
    solution = optimal(problem, objective=objective, replicate=replicate)
    assert solution is not None
    assert solution.value_ms == pytest.approx(by_milp(problem, objective, replicate=replicate), rel=2 * RESOLUTION)
