"""A split judged: what it is worth, how far it is from the best, and what it may lose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paraedge.core.errors import BadInput
from paraedge.core.partition import Partition, Stage
from paraedge.partition.bound import any_bound
from paraedge.partition.optimal import Solution, optimal
from paraedge.partition.problem import Assigned, Problem, added_handover, evaluate, is_pipeline
from paraedge.partition.regret import regret, worst_ms

if TYPE_CHECKING:
    from paraedge.core.partition import Objective


def judge(
    problem: Problem,
    strategy: str,
    assigned: Sequence[Assigned],
    *,
    objective: Objective,
    replicate: bool = False,
    best: Solution | None = None,
) -> Partition:
    """A strategy's split with its stages, bounds, the best values by number of devices, and its regret.

    It is compared with all contiguous splits over the problem's devices; with replicated stages too where `replicate`
    is set or the split has some. best: what `optimal` answered, if it was asked; then over as many devices as it was
    allowed. A hand-over that keeps both its ends busy is part of what they receive and send, so stages overlap in time
    there and the latency, which counts it once, is less than their sum. BadInput where it is no split or can't run.
    """
    value = evaluate(problem, assigned)
    if not value.feasible:
        raise BadInput(f"{strategy}: {_trouble(problem, assigned)}")
    replicate = replicate or any(stage.replicas > 1 for stage in assigned)
    best = best or optimal(problem, objective=objective, replicate=replicate)
    if best is None:
        raise AssertionError("a split that runs, and no best one")
    most, (stages, unused) = len(best.best_ms), _stages(problem, assigned)
    return Partition(
        model=problem.model,
        strategy=strategy,
        objective=objective,
        stages=stages,
        unused=unused,
        bottleneck_ms=value.bottleneck_ms,
        limit=value.limit,
        latency_ms=value.latency_ms,
        host_ms=problem.host_ms if is_pipeline(assigned) else 0.0,
        lower_bound_ms=best.bound_ms,
        any_bound_ms=min(any_bound(problem, objective, replicate=replicate, most_devices=most), best.bound_ms),
        best_ms=best.best_ms,
        worst_ms=worst_ms(problem, assigned),
        regret=regret(problem, assigned, objective=objective, replicate=replicate, most_devices=most),
    )


def _stages(problem: Problem, assigned: Sequence[Assigned]) -> tuple[tuple[Stage, ...], tuple[str, ...]]:
    """The stages on named devices, each type's in order; and the devices that are left."""
    free = [list(kind.devices) for kind in problem.types]
    stages = []
    for index, stage in enumerate(assigned):
        devices = tuple(free[stage.type][: stage.replicas])
        del free[stage.type][: stage.replicas]
        stages.append(_stage(problem, assigned, index, devices))
    return tuple(stages), tuple(name for names in free for name in names)


def _stage(problem: Problem, assigned: Sequence[Assigned], index: int, devices: tuple[str, ...]) -> Stage:
    stage = assigned[index]
    spans, at = problem.types[stage.type].spans, (stage.first, stage.end)
    received, sent = added_handover(problem, assigned, index)
    handover = 0.0
    if problem.handover_overlaps and index + 1 < len(assigned):
        handover = problem.handover(stage.type, assigned[index + 1].type, stage.end)
    low, high = (
        None if math.isnan(end[at]) else float(end[at]) + received + sent for end in (spans.low_ms, spans.high_ms)
    )
    return Stage(
        first=stage.first,
        end=stage.end,
        devices=devices,
        receive_ms=float(spans.receive_ms[at]) + received,
        compute_ms=float(spans.compute_ms[at]),
        send_ms=float(spans.send_ms[at]) + sent,
        busy_ms=received + float(spans.busy_ms[at]) + sent,
        input_bytes=int(spans.input_bytes[at]),
        output_bytes=int(spans.output_bytes[at]),
        on_chip_bytes=_known(int(spans.on_chip_bytes[at])),
        off_chip_bytes=_known(int(spans.off_chip_bytes[at])),
        low_ms=low,
        high_ms=high,
        handover_ms=handover,
    )


def _known(count: int) -> int | None:
    return None if count < 0 else count


def _trouble(problem: Problem, assigned: Sequence[Assigned]) -> str:
    """Which stage or hand-over is impossible."""
    for stage in assigned:
        kind = problem.types[stage.type]
        if math.isinf(kind.spans.busy_ms[stage.first, stage.end]):
            return f"{kind.devices[0]} can't hold or run layers {stage.first} to {stage.end - 1} of {problem.model}"
    return f"{problem.model} needs a hand-over between devices that aren't connected"
