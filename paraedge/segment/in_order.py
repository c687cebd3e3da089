"""Strategies that take the devices in a given order: from a problem to the layers that each segment begins with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from paraedge.core.cut import complete
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

    latency: measured latencies of segments on the first device; None: those of the problem. borders: where the problem
    is one of units of several layers, the first layer of each, and the number of layers; None: a unit is a layer.
    """

    problem: Problem
    graph: LayerGraph
    kinds: tuple[int, ...]
    latency: SpanLatency | None
    borders: tuple[int, ...] | None = None

    @property
    def segments(self) -> int:
        """As many as devices."""
        return len(self.kinds)

    @property
    def spans(self) -> Spans:
        """Of the first device: these strategies take all devices for equal."""
        return self.problem.types[self.kinds[0]].spans


def parameter_sizes(given: Given) -> list[int]:
    """Parameter bytes of each unit as the device stores them; as the file has them where a device doesn't tell."""
    spans, units = given.spans, range(given.problem.layers)
    if any(spans.on_chip_bytes[k, k + 1] >= 0 for k in units):
        return [max(0, int(spans.on_chip_bytes[k, k + 1] + spans.off_chip_bytes[k, k + 1])) for k in units]
    unseen = set(given.graph.parameter_tensors)
    sizes = []
    for unit in pairwise(given.borders or range(given.problem.layers + 1)):
        layers = [given.graph.layers[index] for index in complete(given.graph, range(*unit))]
        held = unseen.intersection(i for layer in layers for i in layer.inputs)
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


def cuts_of(strategy: str, given: Given) -> Cuts:
    """The cuts of a strategy, which has layers that can't be cut apart for one. Raises BadInput where it finds none."""
    problem = given.problem
    if problem.cuttable is None:
        return CUTTERS[strategy](given)
    borders = tuple(sorted({0, *problem.cuttable, problem.layers}))
    units = len(borders) - 1
    if given.segments > units and strategy not in ("size6", "fit"):  # which find their own number
        raise BadInput(f"{given.segments} segments of {problem.model}, which can be cut into {units} at most")
    latency = None if given.latency is None else _of_units(given.latency, borders)
    joined = dataclasses.replace(given, problem=_in_units(problem, borders), latency=latency, borders=borders)
    return tuple(borders[cut] for cut in CUTTERS[strategy](joined))


def _of_units(latency: SpanLatency, borders: tuple[int, ...]) -> SpanLatency:
    return lambda first, end, rounds: latency(borders[first], borders[end], rounds)


def _in_units(problem: Problem, borders: tuple[int, ...]) -> Problem:
    """The same problem, whose layers are the runs from border to border."""
    table = np.ix_(borders, borders)
    types = []
    for kind in problem.types:
        columns = {field.name: getattr(kind.spans, field.name)[table] for field in dataclasses.fields(kind.spans)}
        bus_ms = None if kind.bus_ms is None else kind.bus_ms[table]
        types.append(dataclasses.replace(kind, spans=Spans(**columns), bus_ms=bus_ms))
    handover_ms = None if problem.handover_ms is None else problem.handover_ms[:, :, borders]
    return dataclasses.replace(
        problem, layers=len(borders) - 1, types=tuple(types), handover_ms=handover_ms, cuttable=None
    )


def manual(cuts: Sequence[int], given: Given) -> Cuts:
    """The user's cuts, checked; raises BadInput."""
    check_cuts(cuts, given.problem.layers, given.graph.name)
    if len(cuts) + 1 > given.segments:
        have = plural(given.segments, "device")
        raise BadInput(f"these cuts make {plural(len(cuts) + 1, 'segment')}, one a device; for {have} give fewer")
    return tuple(cuts)
