"""Inputs pushed through a pipeline as fast as there is room, and what came of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.core.outcome import Failure
from paraedge.core.pipeline import PipelineRun, StageRun
from paraedge.devices import interpreter
from paraedge.run.crew import PipelineFailed
from paraedge.run.pipeline import Pipeline, Popped
from paraedge.run.stages import PipelineStage

WARM_UPS = 2
"""Untimed inputs of each device, through the whole pipeline, after the models' own warm-up."""


def run_pipeline(
    stages: Sequence[PipelineStage],
    *,
    inputs: int,
    settings: MeasureSettings,
    outputs: Sequence[int] | None = None,
    queue: int = 2,
    repeats: int = 1,
) -> PipelineRun | Failure:
    """Push `inputs` inputs of seeded values and pop their outputs; a Failure names the stage.

    repeats: so often, the pipeline empty in between; the last is described, of the others the wall time is kept.

    Every input has the same values. The pipeline is warm and empty when the first timed input enters. An input enters
    when there is room for it in the first queue; it leaves when its outputs are popped. Stages, outputs and queue are
    those of `Pipeline`. Raises BadInput for stages that don't fit together, ParaedgeError where this machine has no
    memory, files or threads left.
    """
    if inputs < 1:
        raise BadInput(f"inputs = {inputs} is not possible; take 1 or more")
    warm = WARM_UPS * max((len(stage.targets) for stage in stages), default=1)
    untimed = warm + (repeats - 1) * inputs
    try:
        with Pipeline(stages, outputs=outputs, queue=queue, untimed=untimed, settings=settings) as pipeline:
            values = _seeded(pipeline, settings.seed)
            for _ in _through(pipeline, values, warm):
                pass
            walls, passed = [], list[tuple[int, int]]()
            for _ in range(repeats):
                passed = [(popped.entered_ns, popped.left_ns) for popped in _through(pipeline, values, inputs)]
                walls.append((passed[-1][1] - passed[0][0]) / 1e6)
            pipeline.push(None)
            pipeline.pop()
            return replace(_run(pipeline, passed, pipeline.finish()), earlier_ms=tuple(walls[:-1]))
    except PipelineFailed as error:
        return error.failure


def _seeded(pipeline: Pipeline, seed: int) -> dict[int, Any]:
    kinds = [(pipeline.types[tensor].shape, pipeline.types[tensor].dtype) for tensor in pipeline.inputs]
    return dict(zip(pipeline.inputs, interpreter.seeded_values(kinds, seed), strict=True))


def _through(pipeline: Pipeline, values: Mapping[int, Any], count: int) -> Iterator[Popped]:
    """What comes out of `count` inputs, which another thread pushes; raises what goes wrong in either."""
    wrong: list[Exception] = []

    def push() -> None:
        try:
            for _ in range(count):
                pipeline.push(values)
        except Exception as error:  # whatever it is, the one that pops must not wait for what never comes
            wrong.append(error)
            pipeline.close()

    pusher = threading.Thread(target=push, daemon=True)
    try:
        pusher.start()
    except RuntimeError as error:
        raise ParaedgeError(f"no thread left that pushes inputs: {short(error)}") from error
    for _ in range(count):
        try:
            popped = pipeline.take()
        except PipelineFailed:
            raise
        except ParaedgeError as error:  # closed, and this is why
            raise (wrong[0] if wrong else error) from None
        if popped is None:
            raise ParaedgeError("the pipeline ended before its inputs did")
        yield popped
    pusher.join()


def _run(pipeline: Pipeline, passed: Sequence[tuple[int, int]], times: Sequence[Mapping[str, float]]) -> PipelineRun:
    begin, end = passed[0][0], passed[-1][1]
    first = times[: len(pipeline.stages[0].targets)]
    return PipelineRun(
        inputs=len(passed),
        wall_ms=(end - begin) / 1e6,
        fill_ms=(passed[0][1] - begin) / 1e6,
        drain_ms=(end - int(max(one["entered_ns"] for one in first))) / 1e6,
        pass_ms=tuple((left - entered) / 1e6 for entered, left in passed),
        stages=tuple(_stage_runs(pipeline, times)),
    )


def _stage_runs(pipeline: Pipeline, times: Sequence[Mapping[str, float]]) -> Iterator[StageRun]:
    rest = iter(times)
    for number, stage in enumerate(pipeline.stages, 1):
        placement = stage.artifact.placement
        for replica, target in enumerate(stage.targets, 1):
            one = next(rest)
            if not one["inputs"]:  # fewer inputs than devices that take turns
                continue
            span_ns = one["last_ns"] - one["first_ns"]
            yield StageRun(
                stage=number,
                replica=replica,
                device=target.device,
                first=stage.first,
                end=stage.end,
                inputs=int(one["inputs"]),
                receive_ms=one["receive_ns"] / 1e6,
                compute_ms=one["compute_ns"] / 1e6,
                send_ms=one["send_ns"] / 1e6,
                wait_ms=one["wait_ns"] / 1e6,
                blocked_ms=one["blocked_ns"] / 1e6,
                busy_share=one["busy_ns"] / span_ns if span_ns else 0.0,
                input_bytes=sum(pipeline.types[tensor].size_bytes for tensor in stage.inputs),
                output_bytes=sum(pipeline.types[tensor].size_bytes for tensor in stage.outputs),
                on_chip_bytes=None if placement is None else placement.on_chip_bytes,
                off_chip_bytes=None if placement is None else placement.off_chip_bytes,
            )
