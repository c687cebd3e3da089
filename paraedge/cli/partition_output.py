"""What `partition` prints, for people and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from paraedge.cli.output import quantity_bytes, say, table
from paraedge.core.device import Origin
from paraedge.core.partition import Partition, Stage
from paraedge.core.words import plural
from paraedge.segment import verdict

if TYPE_CHECKING:
    from paraedge.segment.costs import Costs


SHOWN_WARNINGS = 3


def partition_json(model: str, found: Partition, costs: Costs) -> dict[str, object]:
    """Times that are unknown, or inf because nothing fits, are null."""
    return {
        "model": model,
        "strategy": found.strategy,
        "objective": found.objective,
        "origin": origin(costs),
        "cost_model": "; ".join(costs.sentences),
        "cuts": found.cuts,
        "bottleneck_ms": found.bottleneck_ms,
        "limit": found.limit,
        "latency_ms": found.latency_ms,
        "host_ms": found.host_ms,
        "lower_bound_ms": found.lower_bound_ms,
        "gap": found.gap,
        "any_bound_ms": found.any_bound_ms,
        "any_gap": verdict.any_gap(found),
        "throughput_per_s": 1e3 / found.bottleneck_ms,
        "speedup": verdict.speedup(found, costs.problem),
        "best_ms": found.best_ms,
        "knee": verdict.knee(found.best_ms, found.objective),
        "data_parallel_ms": verdict.data_parallel_ms(costs.problem),
        "super_linear": verdict.memory_text(found, costs.problem),
        "worst_ms": found.worst_ms,
        "regret": found.regret,
        "unused": found.unused,
        "stages": [_stage_json(number, stage) for number, stage in enumerate(found.stages, start=1)],
    }


def origin(costs: Costs) -> str:
    """What the times are: simulated, or added up from ops that were measured; no pipeline was run for them."""
    words = {Origin.SIMULATED: "simulated", Origin.MEASURED: "estimated from measured ops"}
    return " and ".join(sorted(words[one] for one in costs.origins))


def _stage_json(number: int, stage: Stage) -> dict[str, object]:
    names = (
        *("first", "end", "devices", "receive_ms", "compute_ms", "send_ms", "busy_ms", "low_ms", "high_ms"),
        *("handover_ms", "input_bytes", "output_bytes", "on_chip_bytes", "off_chip_bytes", "warnings"),
    )
    return {"stage": number, **{name: getattr(stage, name) for name in names}, "ops": stage.end - stage.first}


def print_partition(model: str, found: Partition, costs: Costs, best: Partition | None) -> None:
    """A table of stages and what it is worth; `best`: the best split, where this is another."""
    used = sum(len(stage.devices) for stage in found.stages)
    over = plural(used, "device") if not found.unused else f"{used} of {plural(used + len(found.unused), 'device')}"
    lacks = (
        ", incomplete: the times leave out ops, named below" if any(stage.warnings for stage in found.stages) else ""
    )
    say(f"{model} over {over}: {found.strategy}, for {found.objective} ({origin(costs)}{lacks})")
    say()
    table([_row(number, stage, found) for number, stage in enumerate(found.stages, start=1)])
    if found.unused:
        say(f"not used: {', '.join(found.unused)}")
    say()
    for line in _lines(found, costs, best):
        say(line)
    for number, stage in enumerate(found.stages, start=1):
        for text in stage.warnings[:SHOWN_WARNINGS]:
            say(f"stage {number}: {text}")
        if len(stage.warnings) > SHOWN_WARNINGS:
            say(f"stage {number}: and {len(stage.warnings) - SHOWN_WARNINGS} more; --json lists all")
    say(f"cost model: {'; '.join(costs.sentences)}")
    if found.cuts:
        say(f"next: paraedge cut {model} --at {','.join(map(str, found.cuts))} -o DIR")


def _lines(found: Partition, costs: Costs, best: Partition | None) -> Iterator[str]:
    rate = f"{1e3 / found.bottleneck_ms:.4g} a second"
    yield f"an output every {found.bottleneck_ms:.4g} ms ({rate}), limited by {found.limit}"
    ratio = verdict.speedup_text(found, costs.problem)
    yield f"{ratio}; one input takes {found.latency_ms:.4g} ms through the empty pipeline"
    yield verdict.gap_text(found, best)
    yield verdict.any_text(found)
    yield verdict.knee(found.best_ms, found.objective)
    problem = costs.problem
    texts = (
        verdict.memory_text(found, problem),
        verdict.data_parallel_text(found, problem),
        verdict.intervals_text(found),
    )
    yield from (text for text in texts if text is not None)


def _row(number: int, stage: Stage, found: Partition) -> dict[str, object]:
    hands_over = any(one.handover_ms for one in found.stages)
    tells = any(one.on_chip_bytes is not None for one in found.stages)
    return {
        "stage": number,
        "ops": f"{stage.first}-{stage.end - 1}" if stage.end > stage.first + 1 else str(stage.first),
        "device": stage.devices[0]
        if len(stage.devices) == 1
        else f"{stage.devices[0]} and {len(stage.devices) - 1} more",
        "receive ms": stage.receive_ms,
        "compute ms": stage.compute_ms,
        "send ms": stage.send_ms,
        "busy ms": stage.busy_ms,
        "interval": _interval(stage),
        **({"hand-over ms": stage.handover_ms} if hands_over else {}),
        "in": quantity_bytes(stage.input_bytes),
        "out": quantity_bytes(stage.output_bytes),
        **({"on chip": quantity_bytes(stage.on_chip_bytes)} if tells else {}),
        **({"streamed": quantity_bytes(stage.off_chip_bytes)} if tells else {}),
    }


def _interval(stage: Stage) -> str | None:
    if stage.low_ms is None or stage.high_ms is None or not math.isfinite(stage.high_ms):
        return None
    return f"{stage.low_ms:.3g} to {stage.high_ms:.3g}"
