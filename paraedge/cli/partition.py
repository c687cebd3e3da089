"""`partition`: where to cut a model over several devices, and how far that is from the best there is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast, get_args

import typer

from paraedge.checks import MOST_SEGMENTS
from paraedge.cli.compiled import read_uncompiled
from paraedge.cli.cut import read_cuts
from paraedge.cli.options import JsonOption, ModelArgument
from paraedge.cli.output import emit_json, note, say
from paraedge.core.device import Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.partition import Objective, Partition
from paraedge.core.words import did_you_mean

if TYPE_CHECKING:
    from paraedge.segment.costs import Costs
    from paraedge.simulate.hosts import Cluster

DEFAULT_DEVICE = "sim-edgetpu-usb3"
BUSES = ("own", "shared")


Segments: TypeAlias = Annotated[
    int | None,
    typer.Option("--segments", "-k", metavar="K", help="Use at most so many devices; with one --device, K of it."),
]
Devices: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--device", "-d", metavar="D", help="A device, in order; give several, or one with --segments."),
]
ClusterOption: TypeAlias = Annotated[
    str | None, typer.Option("--cluster", metavar="FILE", help="A cluster's TOML file, or a shipped one's name.")
]
Strategy: TypeAlias = Annotated[
    str,
    typer.Option(
        "--strategy",
        metavar="S",
        help="optimal, params, size6, fit, balanced, profiled, pipedream, equal, manual or data.",
    ),
]
ObjectiveOption: TypeAlias = Annotated[
    str, typer.Option("--objective", metavar="O", help="throughput or latency: what optimal makes best.")
]
At: TypeAlias = Annotated[
    str | None, typer.Option("--at", metavar="OP[,OP...]", help="The ops that segments begin with, for manual.")
]
Replicate: TypeAlias = Annotated[
    bool, typer.Option("--replicate", help="Let optimal give a slow stage several devices, which take turns.")
]
BusOption: TypeAlias = Annotated[
    str, typer.Option("--bus", metavar="B", help="own or shared: whether all simulated devices share a bus.")
]


def partition(
    model: ModelArgument,
    segments: Segments = None,
    device: Devices = None,
    cluster: ClusterOption = None,
    strategy: Strategy = "optimal",
    objective: ObjectiveOption = "throughput",
    at: At = None,
    replicate: Replicate = False,
    bus: BusOption = "own",
    json: JsonOption = False,
) -> None:
    """Choose where to cut a model over several devices.

    Prints the stages, and how far they are from the best contiguous split and from a bound for any assignment; and what
    each further device adds. Costs are simulated, but those of the cpu, which are measured now, op by op. Strategies
    other than optimal and data put segment k on the k-th device.
    """
    from paraedge.cli import partition_output as output
    from paraedge.segment.choose import check_strategy

    cuts = None if at is None else read_cuts(at)
    check_strategy(strategy, replicate=replicate, has_cuts=cuts is not None)
    goal = cast(Objective, _one_of("--objective", objective, get_args(Objective)))
    shared = _one_of("--bus", bus, BUSES) == "shared"
    _check_devices(segments, device, cluster, shared, cuts)
    request = _Request(
        graph=read_uncompiled(model), file=model, strategy=strategy, objective=goal, cuts=cuts, replicate=replicate
    )
    pool = _cluster(cluster) if cluster is not None else _devices(device or [DEFAULT_DEVICE], segments, request)
    costs, found, best = _chosen(request, pool, segments, shared, None if json else note)
    if json:
        emit_json(output.partition_json(str(model), found, costs))
        return
    output.print_partition(str(model), found, costs, best)
    if not device and cluster is None:
        say(f"no device was named, so these are {DEFAULT_DEVICE}; --device or --cluster takes others")


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What is to be cut, and how."""

    graph: LayerGraph
    file: Path
    strategy: str
    objective: Objective
    cuts: list[int] | None
    replicate: bool


def _chosen(
    request: _Request,
    pool: Cluster | Sequence[str],
    segments: int | None,
    shared: bool,
    told: Callable[[str], None] | None,
) -> tuple[Costs, Partition, Partition | None]:
    """The costs, the partition, and the best one where that is better."""
    from paraedge.segment.choose import choose, first_devices
    from paraedge.segment.costs import costs_of
    from paraedge.segment.measured import measured_latency

    costs = costs_of(request.graph, pool, shared_bus=shared, file=request.file, told=told)
    is_measured = request.strategy == "profiled" and costs.is_measured
    profiling = measured_latency(request.graph, request.file, "cpu") if is_measured else contextlib.nullcontext()
    with profiling as latency:
        found = choose(
            costs.problem,
            request.graph,
            request.strategy,
            segments,
            objective=request.objective,
            replicate=request.replicate,
            cuts=request.cuts,
            order=costs.order,
            latency=latency,
        )
    if found.gap <= 0:
        return costs, found, None
    smaller, _ = first_devices(costs.problem, costs.order[:segments])
    best = choose(
        smaller,
        request.graph,
        objective=request.objective,
        replicate=any(len(stage.devices) > 1 for stage in found.stages),
    )
    return costs, found, best


def _check_devices(
    segments: int | None, devices: Sequence[str] | None, cluster: str | None, shared: bool, cuts: list[int] | None
) -> None:
    """Raise BadInput where it isn't said what to cut the model over, or said twice."""
    if cluster is not None and devices:
        raise BadInput("--cluster and --device both name devices; give one of them")
    for name in devices or ():
        if name.startswith("cluster:"):
            raise BadInput(f"{name} is a cluster: give --cluster {name.partition(':')[2] or 'FILE.toml'}")
    if cluster is not None and shared:
        raise BadInput("--bus goes with --device; the hosts of a cluster share what its file says")
    if segments is None and not devices and cluster is None and cuts is None:
        raise BadInput("say over what: --segments K, --device D once or more, or --cluster FILE")
    if segments is not None and not 1 <= segments <= MOST_SEGMENTS:
        raise BadInput(f"--segments {segments}: give a number of devices, 1 to {MOST_SEGMENTS}")
    if segments is not None and devices and 1 < len(devices) < segments:
        raise BadInput(f"--segments {segments} over {len(devices)} devices; name more, or only one to have it so often")


def _devices(names: Sequence[str], segments: int | None, request: _Request) -> tuple[str, ...]:
    """The devices, one named as often as there are to be segments."""
    from paraedge.segment.choose import segments_for
    from paraedge.segment.pool import members

    if len(names) > 1:
        return tuple(names)
    name = names[0]
    count = segments or segments_for(request.graph, name, request.strategy, request.cuts)
    return (name,) * count if name.endswith(".toml") else members(Target(device=name), count)


def _cluster(name: str) -> Cluster:
    from paraedge.simulate.cluster import load_cluster

    return load_cluster(name)


def _one_of(option: str, word: str, known: Sequence[str]) -> str:
    if word not in known:
        raise BadInput(f"{option} {word!r}: {did_you_mean(word, known)}")
    return word
