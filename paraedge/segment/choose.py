"""The choice of cuts: a problem and a strategy to a Partition, judged on the true costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from paraedge import simulate
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.partition import Objective, Partition
from paraedge.core.words import did_you_mean, plural
from paraedge.partition.judge import judge
from paraedge.partition.memo import once
from paraedge.partition.optimal import Solution, optimal
from paraedge.partition.problem import Assigned, Problem
from paraedge.partition.profiled import SpanLatency
from paraedge.partition.strategies import check_segments, fit, size6_segments
from paraedge.segment.costs import simulated_as
from paraedge.segment.in_order import CUTTERS, Given, cuts_of, manual
from paraedge.segment.why import check_runs, left_out, why_nowhere
from paraedge.tflite import model_bytes_estimate

STRATEGIES = ("optimal", *CUTTERS, "manual", "data")


def choose(
    problem: Problem,
    graph: LayerGraph,
    strategy: str = "optimal",
    segments: int | None = None,
    *,
    objective: Objective = "throughput",
    replicate: bool = False,
    cuts: Sequence[int] | None = None,
    order: Sequence[int] | None = None,
    latency: SpanLatency | None = None,
) -> Partition:
    """Cut `graph` over the problem's devices, and judge what comes of it.

    segments: how many devices may be used, None for all. `optimal` takes any of them in any order; every other strategy
    has the first so many, and puts segment k on the k-th, by `order`, the type of each device (default: type after
    type). `size6` and `fit` find their number of segments themselves, `pipedream` may take fewer; `data` runs the whole
    model on each device. cuts: of `manual`, and of no other. replicate: `optimal` may give a stage several devices that
    take inputs in turn. latency: of segments on the first device, for `profiled`; None: by the problem's costs.
    Raises BadInput where the strategy can't be followed, or a segment can't run on its device.
    """
    check_strategy(strategy, replicate=replicate, has_cuts=cuts is not None)
    count = problem.devices if segments is None else segments
    if not 1 <= count <= problem.devices:
        have = plural(problem.devices, "device")
        raise BadInput(f"{plural(count, 'segment')} over {have}: a segment takes one, so give 1 to {problem.devices}")
    if segments is not None and strategy != "data" and not replicate:
        check_segments(problem.layers, segments)
    if strategy == "optimal":
        return _optimal(problem, graph, objective, replicate, count)
    kinds = tuple(order) if order is not None else tuple(k for k, one in enumerate(problem.types) for _ in one.devices)
    problem, kinds = first_devices(problem, kinds[:count])
    given = Given(problem=problem, graph=graph, kinds=kinds, latency=latency)
    assigned = _copies(problem) if strategy == "data" else _in_order(given, strategy, cuts)
    check_runs(problem, graph, assigned)
    return _judged(problem, graph, strategy, assigned, objective)


def check_strategy(strategy: str, *, replicate: bool, has_cuts: bool) -> None:
    """Raise BadInput for a strategy that there isn't, or that can't be told what it is told."""
    if strategy not in STRATEGIES:
        raise BadInput(f"unknown strategy {strategy!r}: {did_you_mean(strategy, STRATEGIES)}")
    if strategy == "manual" and not has_cuts:
        raise BadInput("the strategy manual needs cuts: the op that each segment but the first begins with")
    if strategy != "manual" and has_cuts:
        raise BadInput(f"the strategy {strategy} finds its cuts itself; to give your own, take the strategy manual")
    if replicate and strategy != "optimal":
        raise BadInput(f"only optimal can be asked to replicate stages, not {strategy}; take one of the two")


def _optimal(problem: Problem, graph: LayerGraph, objective: Objective, replicate: bool, count: int) -> Partition:
    found = optimal(problem, objective=objective, replicate=replicate, most_devices=count)
    if found is None:
        raise BadInput(why_nowhere(problem, graph, count))
    return _judged(problem, graph, "optimal", found.assigned, objective, replicate=replicate, best=found)


def _judged(
    problem: Problem,
    graph: LayerGraph,
    strategy: str,
    assigned: Sequence[Assigned],
    objective: Objective,
    *,
    replicate: bool = False,
    best: Solution | None = None,
) -> Partition:
    """The split judged, each stage with what its time leaves out."""
    found = judge(problem, strategy, assigned, objective=objective, replicate=replicate, best=best)
    texts = [left_out(problem.types[one.type], graph, one.first, one.end) for one in assigned]
    stages = tuple(
        dataclasses.replace(stage, warnings=(*stage.warnings, *more))
        for stage, more in zip(found.stages, texts, strict=True)
    )
    return dataclasses.replace(found, stages=stages)


@once
def first_devices(problem: Problem, kinds: tuple[int, ...]) -> tuple[Problem, tuple[int, ...]]:
    """The problem with the first devices of each type alone, and the same types in it; kinds: the type of each."""
    places = sorted(set(kinds))
    types = tuple(
        dataclasses.replace(problem.types[place], devices=problem.types[place].devices[: kinds.count(place)])
        for place in places
    )
    handover_ms = None if problem.handover_ms is None else problem.handover_ms[places][:, places]
    smaller = dataclasses.replace(problem, types=types, handover_ms=handover_ms)
    return smaller, tuple(places.index(kind) for kind in kinds)


def segments_for(graph: LayerGraph, device: str, strategy: str, cuts: Sequence[int] | None) -> int:
    """How many devices like this a strategy asks for that finds its number of segments itself; 1 for the others."""
    if cuts is not None:
        return len(cuts) + 1
    if strategy == "size6":
        return size6_segments(model_bytes_estimate(graph))
    if strategy == "fit":
        hardware = simulated_as(device)
        if hardware is None:
            raise BadInput(
                f"the strategy fit needs a device that tells parameters on chip from those off chip, not {device}"
            )
        return len(fit(simulate.spans(graph, hardware))) + 1
    return 1


def _in_order(given: Given, strategy: str, cuts: Sequence[int] | None) -> list[Assigned]:
    """Segment k on the k-th device."""
    found = cuts_of(strategy, given) if cuts is None else manual(cuts, given)
    spans = zip((0, *found), (*found, given.problem.layers), given.kinds, strict=False)
    return [Assigned(first=first, end=end, type=kind) for first, end, kind in spans]


def _copies(problem: Problem) -> list[Assigned]:
    """The whole model on every device."""
    if len(problem.types) > 1:
        names = ", ".join(one.devices[0] for one in problem.types)
        raise BadInput(f"the strategy data needs devices that are alike, to take inputs in turn; here are {names}")
    return [Assigned(first=0, end=problem.layers, type=0, replicas=problem.devices)]
