"""A driver whose models are a few lines of Python, and misbehave on request; a child imports this by its module name.

A stage's artifact says what its model does: `recipe` is JSON with the fields of `Recipe`, `path` is a file that gets
the child's process id, if it isn't `/`.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Roof, Target
from paraedge.core.errors import ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Job, Outcome
from paraedge.run import PipelineStage

INFO = DeviceInfo(id="strange", origin=Origin.MEASURED, batch_mode="native")
NOWHERE = Path("/")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The sum of all inputs plus `adds`, as each output.

    ms, load_ms: how long an invoke and loading take. wrong: how it misbehaves, see `misbehave`; when: in `load`, or in
    the invoke of this number, counted from 1, warm-up included.
    """

    inputs: int = 1
    outputs: int = 1
    shape: tuple[int, ...] = (3,)
    out_shape: tuple[int, ...] | None = None
    dtype: str = "int64"
    adds: int = 1
    ms: float = 0.0
    load_ms: float = 0.0
    wrong: str | None = None
    when: str | int = 1


class StrangeModel:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.values: dict[int, Any] = {}
        self.result = np.zeros(recipe.out_shape or recipe.shape, recipe.dtype)
        self.invokes = 0

    def get_input_details(self) -> list[dict[str, Any]]:
        shape = np.array(self.recipe.shape)
        return [{"index": i, "shape": shape, "dtype": np.dtype(self.recipe.dtype)} for i in range(self.recipe.inputs)]

    def get_output_details(self) -> list[dict[str, Any]]:
        dtype = np.dtype(self.recipe.dtype)
        return [{"index": 100 + i, "shape": self.result.shape, "dtype": dtype} for i in range(self.recipe.outputs)]

    def set_tensor(self, index: int, values: Any) -> None:
        assert values.shape == self.recipe.shape
        self.values[index] = values.copy()

    def invoke(self) -> None:
        self.invokes += 1
        time.sleep(self.recipe.ms / 1e3)
        if self.recipe.when == self.invokes:
            misbehave(self.recipe.wrong)
        total = sum(self.values.values()) + self.recipe.adds
        self.result[...] = total if self.recipe.out_shape is None else 0

    def get_tensor(self, index: int) -> Any:
        return self.result.copy()


def misbehave(how: str | None) -> None:
    if how == "hang":
        time.sleep(1000)
    if how == "hang in native code":
        ctypes.PyDLL(None).sleep(1000)
    if how == "raise":
        raise ParaedgeError("this one raises")
    if how == "leave":
        os.write(2, b"goodbye\n")
        os._exit(3)
    if how == "segfault":
        ctypes.string_at(0)
    if how == "allocate":
        bytearray(8 << 30)
    if how == "chatter":
        os.write(1, b'{"say":"passed","times":null}\n\xff\xfe' * 100_000)


class StrangeSession:
    info = INFO

    def model(self, job: Job, settings: MeasureSettings) -> StrangeModel:
        assert job.artifact is not None
        if job.artifact.path != NOWHERE:
            job.artifact.path.write_text(str(os.getpid()))
        fields = json.loads(job.artifact.recipe)
        shapes = {name: tuple(fields[name]) for name in ("shape", "out_shape") if fields[name] is not None}
        recipe = Recipe(**{**fields, **shapes})
        time.sleep(recipe.load_ms / 1e3)
        if recipe.when == "load":
            misbehave(recipe.wrong)
        return StrangeModel(recipe)

    def sample(self, job: Job, settings: MeasureSettings) -> Outcome:
        raise NotImplementedError

    def roofs(self, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
        raise NotImplementedError

    def close(self) -> None: ...


class StrangeDriver:
    """A target named `leave at open` and the like misbehaves as it is opened."""

    name = "strange"
    isolated = True
    needs_file = True
    needs_compiled = False
    batch_mode = "native"

    def probe(self) -> Sequence[DeviceInfo | Absence]:
        return [INFO]

    def targets(self, device: str, threads: Sequence[int], kernels: Sequence[str]) -> tuple[Target, ...]:
        return (Target(device=device),)

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        return None

    def open(self, target: Target) -> StrangeSession:
        how, _, when = target.device.partition(" at ")
        if when == "open":
            misbehave(how)
        return StrangeSession()


class DoorlessDriver(StrangeDriver):
    """A third party's whose session has no `model`."""

    def open(self, target: Target) -> Any:
        return type("Doorless", (), {"info": INFO, "close": lambda self: None})()


def stage(
    number: int,
    *,
    inputs: tuple[int, ...] | None = None,
    outputs: tuple[int, ...] | None = None,
    replicas: int = 1,
    device: str = "strange",
    driver: StrangeDriver | None = None,
    path: Path = NOWHERE,
    **recipe: Any,
) -> PipelineStage:
    """Stage `number` from 1 of a chain: takes tensor number - 1 and makes tensor `number`, if nothing else is said."""
    inputs = (number - 1,) if inputs is None else inputs
    outputs = (number,) if outputs is None else outputs
    fields = asdict(Recipe(**{"inputs": len(inputs), "outputs": len(outputs), **recipe}))
    return PipelineStage(
        driver=driver or StrangeDriver(),
        targets=(Target(device=device),) * replicas,
        artifact=Artifact(path=path, file_bytes=0, recipe=json.dumps(fields)),
        inputs=inputs,
        outputs=outputs,
        first=10 * number,
        end=10 * number + 10,
    )
