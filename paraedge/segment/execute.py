"""A partition run: simulated with the times it was chosen by, or for real with a file for each segment."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from paraedge import build, run, tflite
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.core.outcome import Artifact, Block, Failure, Measurement
from paraedge.core.partition import Partition, Stage
from paraedge.core.pipeline import PipelineRun
from paraedge.devices.driver import Driver
from paraedge.partition.problem import Problem
from paraedge.segment.pool import device_of, info, simulated_as
from paraedge.simulate.hardware import load_hardware
from paraedge.simulate.pipeline import SimStage, simulate_pipeline, stages_of

BY_SIMULATION = "cuts, bottleneck_ms, lower_bound_ms and gap are by simulated costs"
"""What a row of real Edge TPUs must not hide."""
FEW_INPUTS = 20
"""A measured run of fewer inputs is made again and again until there are so many: one alone is mostly noise."""
RECIPE = "segment"
"""How a segment's file is made."""


def simulate_partition(partition: Partition, problem: Problem, target: Target, *, inputs: int) -> Measurement | Failure:
    """`inputs` inputs pushed through the partition's simulated devices, with the buses of the problem."""
    is_cut = len(partition.stages) > 1
    stages = [
        _with_shared(stage, problem, _idle_ms(target, stage) if is_cut else 0.0) for stage in stages_of(partition)
    ]
    is_pipeline = is_cut or len(partition.stages[0].devices) > 1
    try:
        made = simulate_pipeline(stages, inputs=inputs, host_ms=problem.host_ms if is_pipeline else 0.0)
    except BadInput as error:
        return Failure(stage="run", error="BadInput", message=str(error))
    return _measurement(made, partition, target, simulated=True)


def run_partition(
    partition: Partition,
    artifact: Artifact,
    driver: Driver,
    target: Target,
    *,
    inputs: int,
    settings: MeasureSettings,
    folder: Path,
) -> Measurement | Failure:
    """`inputs` inputs pushed through the partition's devices, one child process each; segment files go to `folder`.

    artifact: the whole model, not compiled. What goes wrong in any segment or stage is a Failure that says in which.
    """
    with contextlib.ExitStack() as files:
        try:
            stages = list(_stages(partition, artifact, driver, target, folder, files))
            wanted = tflite.read_graph(artifact.path).outputs
            made = {tensor_id for stage in stages for tensor_id in stage.outputs}
            outputs = [tensor_id for tensor_id in dict.fromkeys(wanted) if tensor_id in made]
            repeats = max(1, -(-FEW_INPUTS // inputs))
            ran = run.run_pipeline(stages, inputs=inputs, outputs=outputs, settings=settings, repeats=repeats)
        except NotMade as error:
            return error.failure
        except (ParaedgeError, MemoryError) as error:
            return Failure(stage="run", error=type(error).__name__, message=short(error) or "no memory left")
        except OSError as error:
            return Failure(stage="build", error=type(error).__name__, message=f"a segment's file: {error.strerror}")
    if isinstance(ran, Failure):
        return ran
    measured = _measurement(ran, _as_compiled(partition, stages), target, simulated=False)
    if driver.name != "edgetpu":
        return measured
    return dataclasses.replace(measured, warnings=(*measured.warnings, BY_SIMULATION))


class NotMade(Exception):
    """A segment that has no file."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text())
        self.failure = failure


def _stages(
    partition: Partition, artifact: Artifact, driver: Driver, target: Target, folder: Path, files: contextlib.ExitStack
) -> Iterator[run.PipelineStage]:
    """Each stage with its file, compiled where the driver asks for that; `files` deletes them."""
    segments = tflite.cut_model(artifact.path.read_bytes(), partition.cuts, name=partition.model)
    for number, (stage, segment) in enumerate(zip(partition.stages, segments, strict=True), start=1):
        path = folder / f"{artifact.path.stem}-{number}-of-{len(segments)}.tflite"
        file = segment_file(segment, path, driver, files)
        if isinstance(file, Failure):
            raise NotMade(dataclasses.replace(file, message=f"segment {number}: {file.message}"))
        yield run.PipelineStage(
            driver=driver,
            targets=tuple(dataclasses.replace(target.alone(), device=device_of(name)) for name in stage.devices),
            artifact=file,
            inputs=segment.inputs,
            outputs=segment.outputs,
            first=segment.first,
            end=segment.end,
        )


def segment_file(
    segment: tflite.Segment, path: Path, driver: Driver, files: contextlib.ExitStack
) -> Artifact | Failure:
    """The segment as a file at `path`, compiled beside it where the driver asks for that; `files` deletes both."""
    files.callback(path.unlink, missing_ok=True)
    path.write_bytes(segment.data)
    plain = Artifact(path=path, file_bytes=len(segment.data), recipe=RECIPE)
    if not getattr(driver, "needs_compiled", False):  # a third party's driver may not say
        return plain
    compiled = build.compile_artifact(plain, tflite.read_graph(path), path.parent)
    if isinstance(compiled, Artifact):
        files.callback(compiled.path.unlink, missing_ok=True)
    return compiled


def _as_compiled(partition: Partition, stages: Sequence[run.PipelineStage]) -> Partition:
    """The partition with the compiler's word on where the parameters are, instead of the cost model's."""
    told = [stage.artifact.placement for stage in stages]
    known = [
        stage
        if place is None
        else dataclasses.replace(stage, on_chip_bytes=place.on_chip_bytes, off_chip_bytes=place.off_chip_bytes)
        for stage, place in zip(partition.stages, told, strict=True)
    ]
    return dataclasses.replace(partition, stages=tuple(known))


def _with_shared(stage: SimStage, problem: Problem, idle_ms: float) -> SimStage:
    """The stage with what its partition doesn't know: the bus that it shares, and how long it is slow at first."""
    kind = next(kind for kind in problem.types if stage.devices[0] in kind.devices)
    if kind.bus is None or kind.bus_ms is None:
        return dataclasses.replace(stage, idle_ms=idle_ms)
    bus_ms = float(kind.bus_ms[stage.first, stage.end])
    return dataclasses.replace(stage, bus=kind.bus, bus_ms=bus_ms, idle_ms=idle_ms)


def _idle_ms(target: Target, stage: SimStage) -> float:
    """Of a stage that streams parameters."""
    hardware = simulated_as(target, stage.devices[0])
    return load_hardware(hardware).idle_ms if hardware is not None and stage.off_chip_bytes else 0.0


def _measurement(ran: PipelineRun, partition: Partition, target: Target, *, simulated: bool) -> Measurement:
    """A block a run: its time by the number of inputs is that of one input."""
    walls_ms = (*ran.earlier_ms, ran.wall_ms)
    found = [*_warnings(partition.stages)]
    return Measurement(
        device=info(target),
        blocks=tuple(Block(invokes=ran.inputs, duration_ns=max(1, round(wall_ms * 1e6))) for wall_ms in walls_ms),
        stop_reason="simulated" if simulated else "max_invokes",
        warnings=tuple(dict.fromkeys(found)),
        pipeline=ran,
        partition=partition,
    )


def _warnings(stages: Sequence[Stage]) -> Iterator[str]:
    for number, stage in enumerate(stages, start=1):
        for text in stage.warnings:
            yield f"stage {number}: {text}"
