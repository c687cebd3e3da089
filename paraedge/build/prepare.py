"""A point made ready for a driver: its graph, and the file that the driver needs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from paraedge import models
from paraedge.build.compiled import build_compiled
from paraedge.build.direct import build_artifact
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
    """A point made ready for a driver: its graph and its job, or the failure that came of making them."""

    spec: ModelSpec
    graph: LayerGraph | None
    job: Job | Failure

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
    looped, whole = driver.batch_mode == "looped", target.segments is None
    try:
        graph = models.build_graph(dataclasses.replace(spec, batch=1) if looped and spec.batch != 1 else spec)
    except BadInput as error:
        return Prepared(spec=spec, graph=None, job=Failure(stage="build", error="BadInput", message=str(error)))
    if graph.weight_bytes >= FILE_BYTES_LIMIT and (whole or driver.needs_file):  # no device gets what can't be written
        message = f"{graph.weight_bytes / 2**30:.2f} GiB of weights; a FlatBuffer ends at 2 GiB"
        return Prepared(spec=spec, graph=graph, job=Failure(stage="build", error="TooLarge", message=message))
    try:
        reason = driver.why_not(graph, target)
    except Exception as error:  # a third party's driver; the campaign goes on
        reason = f"its driver failed: {error!r}"
    if reason is not None:
        return Prepared(spec=spec, graph=graph, job=Failure(stage="load", error="Unsupported", message=reason))
    artifact: Artifact | Failure | None = None
    if whole and getattr(driver, "needs_compiled", False):  # a third party's driver may not say
        artifact = build_compiled(spec, graph, work.folder, failed=work.failed)
    elif driver.needs_file:
        artifact = build_artifact(spec, graph, work.folder)
    if isinstance(artifact, Failure):
        return Prepared(spec=spec, graph=graph, job=artifact)
    return Prepared(spec=spec, graph=graph, job=Job(spec=spec, graph=graph, artifact=artifact))
