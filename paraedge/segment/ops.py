"""Where the time of a model goes: its ops, each measured alone, or a prediction taken apart by them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from paraedge import simulate
from paraedge.core.device import Origin, Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Failure, Job, Outcome, Placement
from paraedge.core.profile import OpTime, Profile
from paraedge.core.words import milliseconds, op_name, plural, quantity_bytes
from paraedge.devices.driver import Driver
from paraedge.segment.pieces import Bench, Piece, interval_ms, pieces_of
from paraedge.simulate.constants import Hardware
from paraedge.simulate.op_terms import op_terms
from paraedge.simulate.steps import UNTIMED
from paraedge.tflite.model_file import ModelFile
from paraedge.tflite.read import map_file

SAME = 0.03
"""Sum and whole that differ by less agree: processes of one model differ by as much."""
Profiler: TypeAlias = "Callable[[Job], Profile | Failure]"
MOST_NAMES = 3
"""Names of ops that a piece of several is called by."""


def check_profiled(driver: Driver, device: str) -> None:
    """Raise BadInput for a device whose ops can't be told apart."""
    if getattr(driver, "needs_compiled", False):
        raise BadInput(
            f"{device}: an op alone pays the whole way over its link, so ops can't be timed there one by one; "
            "take the simulated device of its link, or cpu"
        )
    if driver.isolated != driver.needs_file:
        raise BadInput(f"{device}: its ops can't be told apart; take cpu or a simulated device")


@contextlib.contextmanager
def open_profiler(driver: Driver, target: Target, folder: Path) -> Iterator[Profiler]:
    """What gives the profile of a job on `target`, or the Failure where the whole model can't be timed.

    On a measured device the job's file is timed whole and op by op, pieces of it in `folder`; an op that can't run
    alone has no time, and its reason. The caller holds the device's lock. A simulated device predicts the job's graph.
    The profiler raises BadModelFile for a file that can't be read.
    """
    if not driver.isolated:
        hardware = simulate.load_hardware(target.device)
        yield lambda job: _simulated(job, hardware, target)
        return
    with Bench(driver, target, folder) as bench:
        yield lambda job: _measured(bench, job, target)


def _measured(bench: Bench, job: Job, target: Target) -> Profile | Failure:
    if job.artifact is None:
        return Failure(stage="load", error="NoFile", message="a measured device needs the model's file")
    whole = bench.time_file(job.artifact)
    if isinstance(whole, Failure):
        return whole
    file = ModelFile(map_file(job.artifact.path), str(job.artifact.path))
    graph = file.graph(0)
    pieces = pieces_of(graph)
    ops = tuple(_timed(graph, pieces, bench.time_pieces(file, pieces)))
    again = bench.time_file(job.artifact)  # a machine that isn't at rest shows in the interval
    blocks = whole.blocks if isinstance(again, Failure) else (*whole.blocks, *again.blocks)
    low_ms, whole_ms, high_ms = interval_ms(dataclasses.replace(whole, blocks=blocks))
    return Profile(
        target=target,
        origin=whole.device.origin,
        ops=ops,
        other_ms={},
        whole_ms=whole_ms,
        low_ms=low_ms,
        high_ms=high_ms,
        least_ms=min(block.invoke_ns for block in blocks) / 1e6,
    )


def _simulated(job: Job, hardware: Hardware, target: Target) -> Profile | Failure:
    if job.graph is None:
        return Failure(stage="load", error="NoGraph", message="a simulated device needs the model's graph")
    invokes = 1 if job.spec is None else job.spec.batch  # it loops over a batch
    prediction = simulate.predict(job.graph, hardware)
    if not prediction.placement.on_device:
        reason = prediction.untimed[0] if prediction.untimed else "the model has no ops"
        return Failure(stage="compile", error="NothingMapped", message=f"no op can run on the Edge TPU: {reason}")
    terms = op_terms(job.graph, hardware)
    return Profile(
        target=target,
        origin=Origin.SIMULATED,
        ops=(*_predicted(job.graph, terms.by_op, invokes), *_left_out(job.graph, prediction.placement, invokes)),
        other_ms={name: invokes * value for name, value in terms.other_ms.items()},
        whole_ms=invokes * prediction.latency_ms,
        low_ms=None if prediction.low_ms is None else invokes * prediction.low_ms,
        high_ms=None if prediction.high_ms is None else invokes * prediction.high_ms,
        untimed=prediction.untimed,
    )


def sentences(profile: Profile, graph: LayerGraph) -> Iterator[str]:
    """What was timed, and how the sum compares with the whole and why."""
    measured = profile.origin is Origin.MEASURED
    alike = profile.pieces - len(profile.ops)
    if measured and alike:
        yield (
            f"{_pieces_text(profile, graph)}, {len(profile.ops)} of them timed: the other {alike} have the options, "
            "shapes and types of one of these and take its time"
        )
    for one in profile.failed if measured else ():
        yield f"{op_name(one.indices[0], one.op)} can't run alone, so the sum is without it: {one.error}"
    for text in profile.untimed:
        yield f"not timed: {text}"
    if measured:
        yield _difference(profile, graph)
    else:
        without = ", which leaves out what is not timed" if profile.untimed else ""
        yield f"the parts add up to the predicted {milliseconds(profile.whole_ms)} ms{without}: they are its terms"


def _pieces_text(profile: Profile, graph: LayerGraph) -> str:
    """`31 ops`; `31 pieces of 85 ops` where some can't be cut apart."""
    ops = len(graph.layers)
    if profile.pieces == ops:
        return plural(ops, "op")
    return f"{plural(profile.pieces, 'piece')} of {plural(ops, 'op')}, as some can't be cut apart"


def _difference(profile: Profile, graph: LayerGraph) -> str:
    added_ms, whole_ms = profile.added_ms, profile.whole_ms
    off = added_ms / whole_ms - 1
    said = f"ops alone add up to {milliseconds(added_ms)} ms, the whole takes {milliseconds(whole_ms)} ms"
    if profile.failed:
        return f"{said}; these can't be compared, as ops are missing from the sum"
    if abs(off) <= SAME:
        return f"{said}: they agree within {100 * SAME:.0f} %"
    if (profile.low_ms or whole_ms) <= added_ms <= (profile.high_ms or whole_ms):
        return f"{said}: the sum lies within the interval of the whole, timed before and after"
    if profile.pieces == 1:
        return f"{said}: {100 * abs(off):.0f} % apart, by when and where in memory the same work was timed"
    said = f"{said}: {100 * abs(off):.0f} % {'more' if off > 0 else 'less'} together than as a whole"
    if off < 0 and profile.least_ms is not None and added_ms >= (1 - SAME) * profile.least_ms:
        return f"{said}; its fastest block took {milliseconds(profile.least_ms)} ms: the machine was not at rest"
    if off < 0:
        return (
            f"{said}; likely because an op alone finds its code and all it reads in the caches, where in the whole "
            f"{plural(profile.pieces, 'op')} compete for them, with {_read_text(profile, graph)}"
        )
    return (
        f"{said}; each op alone pays for an invoke of its own, {1e3 * profile.fixed_ms:.3g} us (at most what the "
        f"quickest takes): this explains {milliseconds(profile.fixed_ms * (profile.pieces - 1))} of the "
        f"{milliseconds(added_ms - whole_ms)} ms of difference, and is taken off each op before shares are made"
    )


def _read_text(profile: Profile, graph: LayerGraph) -> str:
    """The parameters that the ops read; XNNPACK packs those that several ops share anew for each of them."""
    own = set(graph.parameter_tensors)
    read = [graph.tensors[i].size_bytes or 0 for layer in graph.layers for i in layer.inputs if i in own]
    said = f"{quantity_bytes(graph.weight_bytes)} of parameters"
    if sum(read) <= graph.weight_bytes:
        return said
    copies = ", and XNNPACK keeps a copy for each op" if profile.target.kernels == "xnnpack" else ""
    return f"{said} that are read several times, {quantity_bytes(sum(read))} in all{copies}"


def _timed(graph: LayerGraph, pieces: Sequence[Piece], outcomes: Sequence[Outcome]) -> Iterator[OpTime]:
    """Each kind of piece with its time."""
    groups: dict[Hashable, list[int]] = {}
    for place, piece in enumerate(pieces):
        groups.setdefault(piece.kind, []).append(place)
    for places in groups.values():
        piece, outcome = pieces[places[0]], outcomes[places[0]]
        low_ms, middle_ms, high_ms = (None,) * 3 if isinstance(outcome, Failure) else interval_ms(outcome)
        yield OpTime(
            op=_name(graph, piece.first, piece.end),
            indices=tuple(pieces[place].first for place in places),
            length=piece.end - piece.first,
            macs=_macs(graph, piece.first, piece.end),
            latency_ms=middle_ms,
            low_ms=low_ms,
            high_ms=high_ms,
            error=outcome.text() if isinstance(outcome, Failure) else None,
        )


def _predicted(graph: LayerGraph, by_op: Mapping[int, Mapping[str, float]], invokes: int) -> Iterator[OpTime]:
    """Each kind of op with its part of the prediction."""
    groups: dict[Hashable, list[int]] = {}
    for index, terms in by_op.items():
        groups.setdefault((graph.layers[index].op, graph.macs_by_layer[index], *terms.items()), []).append(index)
    for indices in groups.values():
        terms = {name: invokes * value for name, value in by_op[indices[0]].items()}
        macs = graph.macs_by_layer[indices[0]]
        yield OpTime(
            op=graph.layers[indices[0]].op,
            indices=tuple(indices),
            macs=None if macs is None else invokes * macs,
            latency_ms=sum(terms.values()) if terms else None,
            terms=terms,
            error=None if terms else UNTIMED,
        )


def _left_out(graph: LayerGraph, placement: Placement, invokes: int) -> Iterator[OpTime]:
    """The ops that stay on the host's CPU, which no prediction has a time for."""
    groups: dict[Hashable, list[int]] = {}
    for index in placement.on_cpu:
        kind = graph.layers[index].op, graph.macs_by_layer[index], placement.reasons[index]
        groups.setdefault(kind, []).append(index)
    for indices in groups.values():
        macs = graph.macs_by_layer[indices[0]]
        yield OpTime(
            op=graph.layers[indices[0]].op,
            indices=tuple(indices),
            macs=None if macs is None else invokes * macs,
            latency_ms=None,
            error=f"on the CPU, {placement.reasons[indices[0]]}",
        )


def _name(graph: LayerGraph, first: int, end: int) -> str:
    """`CONV_2D`; of ops that can't be cut apart their different names, joined."""
    names = list(dict.fromkeys(graph.layers[at].custom_code or graph.layers[at].op for at in range(first, end)))
    return " + ".join([*names[:MOST_NAMES], *(["..."] if len(names) > MOST_NAMES else [])])


def _macs(graph: LayerGraph, first: int, end: int) -> int | None:
    counts = graph.macs_by_layer[first:end]
    return None if None in counts else sum(count or 0 for count in counts)
