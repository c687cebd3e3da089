"""A point made ready for a driver: its graph, and the file that the driver needs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from paraedge import models
from paraedge.build.compiled import build_compiled
from paraedge.build.scratch import Work
from paraedge.core.device import Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Job
from paraedge.core.spec import ModelSpec
from paraedge.devices.driver import Driver
from paraedge.tflite.estimate import FILE_BYTES_LIMIT


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A point made ready for a driver: its graph and its job, or the failure that came of making them.

    builder: what its file comes from, `direct`, `tensorflow` or `file`; None where the driver needs no file.
    """

    spec: ModelSpec
    graph: LayerGraph | None
    job: Job | Failure
    builder: str | None

    @property
    def artifact(self) -> Artifact | None:
        """The model file, or None where none was written."""
        return self.job.artifact if isinstance(self.job, Job) else None

    def discard(self) -> None:
        """Delete the model file, if there is one."""
        if self.artifact is not None:
            self.artifact.path.unlink(missing_ok=True)


def prepare(spec: ModelSpec, driver: Driver, target: Target, work: Work) -> Prepared:
    """Make the graph and the file that the driver needs; a looping device gets a batch of one.

    For a pipeline the file is not compiled: its segments are. What is only simulated in parts may outgrow any file.
    """
    one = dataclasses.replace(spec, batch=1) if driver.batch_mode == "looped" and spec.batch != 1 else spec
    builder = work.maker.of(spec) if driver.needs_file else None
    try:
        graph = models.build_graph(one)
    except BadInput as error:
        failure = Failure(stage="build", error="BadInput", message=str(error))
        return Prepared(spec=spec, graph=None, job=failure, builder=builder)
    artifact = _why_not(graph, driver, target) or _file(one, graph, driver, target, work)
    job = artifact if isinstance(artifact, Failure) else Job(spec=spec, graph=graph, artifact=artifact)
    return Prepared(spec=spec, graph=graph, job=job, builder=builder)


def _why_not(graph: LayerGraph, driver: Driver, target: Target) -> Failure | None:
    if graph.weight_bytes >= FILE_BYTES_LIMIT and (target.segments is None or driver.needs_file):
        # no device gets what can't be written
        message = f"{graph.weight_bytes / 2**30:.2f} GiB of weights; a FlatBuffer ends at 2 GiB"
        return Failure(stage="build", error="TooLarge", message=message)
    try:
        reason = driver.why_not(graph, target)
    except Exception as error:  # a third party's driver; the campaign goes on
        reason = f"its driver failed: {error!r}"
    return None if reason is None else Failure(stage="load", error="Unsupported", message=reason)


def _file(spec: ModelSpec, graph: LayerGraph, driver: Driver, target: Target, work: Work) -> Artifact | Failure | None:
    """What the driver needs; None where that is the graph alone."""
    if target.segments is None and getattr(driver, "needs_compiled", False):  # a third party's driver may not say
        return build_compiled(spec, graph, work.folder, failed=work.failed, build=work.maker.build)
    return work.maker.build(spec, graph, work.folder) if driver.needs_file else None
