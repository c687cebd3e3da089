"""One round of the pipelines of a sweep: every point on every number of devices, cut by every strategy."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from paraedge.build.prepare import Prepared, prepare
from paraedge.build.scratch import Work
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import ParaedgeError, short
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Failure, Outcome
from paraedge.core.partition import Aim, Partition
from paraedge.core.spec import ModelSpec
from paraedge.devices.driver import Driver
from paraedge.partition.profiled import SpanLatency
from paraedge.segment.choose import choose
from paraedge.segment.costs import Costs, costs_of
from paraedge.segment.execute import run_partition, simulate_partition
from paraedge.segment.pool import cluster_of, members
from paraedge.segment.profile import span_latency
from paraedge.segment.profile_cache import ProfileCache, default_cache
from paraedge.tflite import read_graph

Made = TypeVar("Made")

Cuts: TypeAlias = "tuple[int, ...]"
"""First layer of each segment but the first."""

ONE_DEVICE = "optimal"
"""What chooses the device of a single segment: of a cluster's hosts the best."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """How models are cut on targets, the same in every round and for every number of inputs, so that these compare.

    aim: what for. made: in this call, by `cut_key`. earlier: the cuts of calls before it. They hold for measured
    devices, whose costs never come out the same again; from simulated costs the same cuts follow anyway.
    """

    aim: Aim = field(default_factory=Aim)
    earlier: Mapping[tuple[str, Target], Cuts] = field(default_factory=dict)
    made: dict[tuple[str, Target], Partition | Failure] = field(default_factory=dict)


def cut_key(spec_id: str, target: Target) -> tuple[str, Target]:
    """What has the same cuts: a model on a target, whatever the number of inputs."""
    return spec_id, dataclasses.replace(target, inputs=None)


def visit_pipelines(
    driver: Driver, points: Sequence[tuple[ModelSpec, Target]], settings: MeasureSettings, work: Work, chosen: Chosen
) -> Iterator[tuple[Target, Prepared, Outcome]]:
    """Cut and run each point, in order; points of one model follow each other, so it is made and costed once.

    A model that can't be made, a strategy that can't cut it and a stage that dies are Failures, and the next point
    goes on.
    """
    for spec, group in itertools.groupby(points, key=lambda point: point[0]):
        targets = [target for _, target in group]
        ready = prepare(spec, driver, targets[0], work)
        model = _Model(ready, driver, targets, settings, work, chosen)
        try:
            for target in targets:
                yield target, ready, model.outcome(target)
        finally:
            ready.discard()


class _Model:
    """One model and its devices: what its spans cost them is found out once, when the first target asks."""

    def __init__(
        self,
        ready: Prepared,
        driver: Driver,
        targets: Sequence[Target],
        settings: MeasureSettings,
        work: Work,
        chosen: Chosen,
    ) -> None:
        self.ready, self.driver, self.settings, self.work, self.chosen = ready, driver, settings, work, chosen
        self.target = targets[0].alone()
        self.most = max(target.segments or 1 for target in targets)

    def outcome(self, target: Target) -> Outcome:
        """The point's measurement, or why there is none."""
        if isinstance(self.ready.job, Failure):
            return self.ready.job
        split, artifact, inputs = self.split(target), self.ready.artifact, target.inputs or 1
        if isinstance(split, Failure):
            return split
        if artifact is not None:
            settings, folder = self.settings, self.work.folder
            return run_partition(split, artifact, self.driver, target, inputs=inputs, settings=settings, folder=folder)
        costs = self.costs
        if isinstance(costs, Failure):
            return costs
        return simulate_partition(split, costs.problem, target, inputs=inputs)

    def split(self, target: Target) -> Partition | Failure:
        """What was chosen for other inputs or in another round, or is now."""
        key = cut_key(self.ready.spec.spec_id, target)
        if key not in self.chosen.made:
            costs = self.costs
            self.chosen.made[key] = costs if isinstance(costs, Failure) else tried(lambda: self.choose(costs, target))
        return self.chosen.made[key]

    @functools.cached_property
    def costs(self) -> Costs | Failure:
        """Of as many devices as any target has, or of all hosts of a cluster."""
        devices = cluster_of(self.target) or members(self.target, self.most)
        file = None if self.ready.artifact is None else self.ready.artifact.path
        shared = self.chosen.aim.shared_bus
        return tried(lambda: costs_of(self.graph, devices, shared_bus=shared, file=file, held=self.target))

    def choose(self, costs: Costs, target: Target) -> Partition:
        """By the target's strategy, and where it is measured cut as earlier if there was an earlier time.

        `optimal` may take any hosts of a cluster, so many at most; the others take its first ones, in its order.
        Measured devices are profiled by measuring, which the next campaign remembers.
        """
        strategy, aim = target.strategy or ONE_DEVICE, self.chosen.aim
        with contextlib.ExitStack() as open_files:
            latency = None
            if strategy == "profiled" and self.driver.isolated:
                latency = self.latency(open_files.enter_context(ProfileCache(default_cache())))
            found = choose(
                costs.problem, self.graph, strategy, target.segments, objective=aim.objective,
                replicate=aim.replicate and strategy == "optimal", order=costs.order, latency=latency,
            )  # fmt: skip
        cuts = self.chosen.earlier.get(cut_key(self.ready.spec.spec_id, target), found.cuts)
        if cuts == found.cuts or aim.replicate or not self.driver.isolated:
            return found
        again = choose(
            costs.problem, self.graph, "manual", len(cuts) + 1, objective=aim.objective, cuts=cuts, order=costs.order
        )
        return dataclasses.replace(
            again, strategy=found.strategy, lower_bound_ms=found.lower_bound_ms, best_ms=found.best_ms
        )

    def latency(self, cache: ProfileCache) -> SpanLatency:
        """Of the model's segments on the first device."""
        artifact, first = self.ready.artifact, members(self.target, 1)[0]
        source = None if artifact is None else artifact.path.read_bytes()
        alone = dataclasses.replace(self.target, device=first)
        return span_latency(self.graph, source, self.driver, alone, self.settings, cache, self.work.folder)

    @functools.cached_property
    def graph(self) -> LayerGraph:
        """What is cut: the layers of the file, where there is one; TensorFlow's converter has an order of its own."""
        graph, artifact = self.ready.graph, self.ready.artifact
        if graph is None:  # there is one where there is a job
            raise ValueError(f"{self.ready.spec.label()} has no graph")
        if artifact is None or self.ready.builder != "tensorflow":
            return graph
        return dataclasses.replace(read_graph(artifact.path), name=graph.name)


def tried(make: Callable[[], Made]) -> Made | Failure:
    """What was made, or why it can't be."""
    try:
        return make()
    except (ParaedgeError, MemoryError, OSError) as error:
        return Failure(stage="partition", error=type(error).__name__, message=short(error) or "no message")
