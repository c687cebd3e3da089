"""Strategies that take the devices in a given order: from a problem to the layers that each segment begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spans import Spans
from paraedge.core.words import plural, quantity_bytes
from paraedge.partition import strategies
from paraedge.partition.problem import Problem
from paraedge.partition.profiled import SpanLatency, from_spans, profiled_cuts
from paraedge.simulate.shapes import known_bytes
from paraedge.tflite import model_bytes_estimate
from paraedge.tflite.cut import check_cuts

if TYPE_CHECKING:
    from paraedge.core.spans import Times

Cuts: TypeAlias = "tuple[int, ...]"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is to be cut. kinds: the type of each device, segment by segment, so at most so many segments.

    latency: measured latencies of segments on the first device; None: those of the problem.
    """

    problem: Problem
    graph: LayerGraph
    kinds: tuple[int, ...]
    latency: SpanLatency | None

    @property
    def segments(self) -> int:
        """As many as devices."""
        return len(self.kinds)

    @property
    def spans(self) -> Spans:
        """Of the first device: these strategies take all devices for equal."""
        return self.problem.types[self.kinds[0]].spans


def parameter_sizes(given: Given) -> list[int]:
    """Parameter bytes of each layer as the device stores them; as the file has them where a device doesn't tell."""
    spans, layers = given.spans, range(given.problem.layers)
    if any(spans.on_chip_bytes[k, k + 1] >= 0 for k in layers):
        return [max(0, int(spans.on_chip_bytes[k, k + 1] + spans.off_chip_bytes[k, k + 1])) for k in layers]
    unseen = set(given.graph.parameter_tensors)
    sizes = []
    for layer in given.graph.layers:
        held = unseen.intersection(layer.inputs)
        unseen -= held
        sizes.append(sum(known_bytes(given.graph.tensors[i]) for i in held))
    return sizes


def _params(given: Given) -> Cuts:
    return strategies.params_cuts(parameter_sizes(given), given.segments)


def _equal(given: Given) -> Cuts:
    return strategies.equal_cuts(given.problem.layers, given.segments)


def _balanced(given: Given) -> Cuts:
    return strategies.balanced_cuts(parameter_sizes(given), given.segments, given.spans.off_chip_bytes)


def _size6(given: Given) -> Cuts:
    size = model_bytes_estimate(given.graph)
    segments = strategies.size6_segments(size)
    _check_room("size6", segments, f"{quantity_bytes(size)} by 6 MB", given)
    return strategies.params_cuts(parameter_sizes(given), segments)


def _fit(given: Given) -> Cuts:
    cuts = strategies.fit(given.spans)
    _check_room("fit", len(cuts) + 1, "so that all parameters are on chip", given)
    return cuts


def _check_room(strategy: str, segments: int, why: str, given: Given) -> None:
    if segments > given.segments:
        have = plural(given.segments, "device")
        raise BadInput(f"{strategy} asks for {segments} segments ({why}), one a device, and has {have}; give more")


def _profiled(given: Given) -> Cuts:
    latency = given.latency or from_spans(given.spans.busy_ms)
    return profiled_cuts(latency, given.problem.layers, _params(given), every_end=given.latency is None).cuts


def _pipedream(given: Given) -> Cuts:
    """An op costs what it adds to a segment, and a boundary its transfer, both on the average of the devices."""
    types = given.problem.types
    counts = [given.kinds.count(kind) for kind in range(len(types))]
    weights = np.array([count / given.segments for count in counts])
    layer_ms = sum(w * _added_ms(t.spans) for w, t in zip(weights, types, strict=True) if w)
    return strategies.pipedream_cuts(list(layer_ms), list(_boundary_ms(given.problem, weights)), given.segments)


def _added_ms(spans: Spans) -> Times:
    """What each op adds to a segment: its time alone less the fixed time of a segment, which joining two ops shows.

    Where joined ops stream what fits alone, no fixed time can be seen.
    """
    alone = np.diagonal(np.where(np.isfinite(spans.busy_ms), spans.compute_ms, np.inf), 1)
    pairs = np.diagonal(spans.compute_ms, 2)
    with np.errstate(invalid="ignore"):
        fixed = np.median(alone[:-1] + alone[1:] - pairs) if len(pairs) else 0.0
    added: Times = np.maximum(alone - (max(fixed, 0.0) if np.isfinite(fixed) else 0.0), 0.0)
    return added


def _boundary_ms(problem: Problem, weights: Times) -> Times:
    """What crossing each boundary takes: a hand-over, or the next segment's receiving and this one's sending."""
    if problem.handover_ms is not None:
        times: Times = np.einsum("u,v,uvc->c", weights, weights, problem.handover_ms)
        return times
    both = [one.spans.receive_ms[:, -1] + one.spans.send_ms[0] for one in problem.types]
    averages: Times = np.einsum("u,uc->c", weights, np.array(both))
    return averages


CUTTERS: Mapping[str, Callable[[Given], Cuts]] = {
    "params": _params,
    "size6": _size6,
    "fit": _fit,
    "balanced": _balanced,
    "profiled": _profiled,
    "pipedream": _pipedream,
    "equal": _equal,
}


def manual(cuts: Sequence[int], given: Given) -> Cuts:
    """The user's cuts, checked; raises BadInput."""
    check_cuts(cuts, given.problem.layers, given.graph.name)
    if len(cuts) + 1 > given.segments:
        have = plural(given.segments, "device")
        raise BadInput(f"these cuts make {plural(len(cuts) + 1, 'segment')}, one a device; for {have} give fewer")
    return tuple(cuts)
