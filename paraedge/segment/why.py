"""Why a segment can't run on a device, and why a model fits nowhere, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paraedge.core.cut import cut
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.words import grouped, op_name, plural, quantity_bytes
from paraedge.partition.problem import Assigned, DeviceType, Problem
from paraedge.simulate.host_spans import HostCosts
from paraedge.simulate.mappable import check_mappable
from paraedge.simulate.placement import partition_of


def check_runs(problem: Problem, graph: LayerGraph, assigned: Sequence[Assigned]) -> None:
    """Raise BadInput for the first stage that can't run on its device."""
    for number, one in enumerate(assigned, start=1):
        kind = problem.types[one.type]
        if not np.isfinite(kind.spans.busy_ms[one.first, one.end]):
            device = kind.devices[sum(before.type == one.type for before in assigned[: number - 1])]
            why = why_not(kind, graph, one.first, one.end)
            raise BadInput(f"segment {number}, {_ops(one.first, one.end)}, can't run on {device}: {why}")


def why_not(kind: DeviceType, graph: LayerGraph, first: int, end: int) -> str:
    """Why layers [first, end) can't run on devices of this type."""
    if not is_edgetpu(kind):
        needed_bytes = float(HostCosts(graph).needed_bytes[first, end])
        return f"its parameters and activations, {quantity_bytes(needed_bytes)}, don't fit the memory"
    reasons = check_mappable(graph)
    of = [f"{op_name(at, graph.layers[at].op)}: {reasons[at]}" for at in range(first, end) if at in reasons]
    more = f"; and {plural(len(of) - 1, 'other')}" if len(of) > 1 else ""
    return f"it has no op for the Edge TPU ({of[0]}{more})" if of else "it has no op for the Edge TPU"


def why_nowhere(problem: Problem, graph: LayerGraph, devices: int) -> str:
    """Why no split of the model over so many of the devices runs."""
    for at in range(problem.layers):
        holding = np.s_[: at + 1, at + 1 :]
        if not any(np.isfinite(kind.spans.busy_ms[holding]).any() for kind in problem.types):
            why = why_not(problem.types[0], graph, at, at + 1)
            return f"{graph.name} fits nowhere: {_ops(at, at + 1)} runs on none of the devices: {why}"
    size = quantity_bytes(graph.weight_bytes)
    return (
        f"{graph.name} fits nowhere: no split of its {plural(problem.layers, 'op')} over {plural(devices, 'device')} "
        f"runs; its parameters alone take {size}; give more devices, or some with more memory"
    )


def left_out(kind: DeviceType, graph: LayerGraph, first: int, end: int) -> tuple[str, ...]:
    """Ops of layers [first, end) that an Edge TPU leaves to the CPU, and that the costs leave out, with the reason."""
    if not is_edgetpu(kind):
        return ()
    part = cut(graph, range(first, end))
    reasons = check_mappable(part)
    inside = set(partition_of(part, reasons))
    other = "it waits for an op on the CPU"
    outside = [at for at in range(len(part.layers)) if at not in inside]
    texts = grouped((first + at, part.layers[at].op, reasons.get(at, other)) for at in outside)
    return tuple(f"the time leaves out {text}" for text in texts)


def is_edgetpu(kind: DeviceType) -> bool:
    """Whether these are Edge TPUs: no other device tells parameters on chip from those off chip."""
    return bool((kind.spans.on_chip_bytes >= 0).any())


def _ops(first: int, end: int) -> str:
    return f"op {first}" if end == first + 1 else f"ops {first} to {end - 1}"
