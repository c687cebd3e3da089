"""The reference writer: ModelSpec -> Keras -> TensorFlow's converter -> .tflite, in a child process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from paraedge import models
from paraedge.build.converter_process import ConverterEnded, ConverterProcess
from paraedge.build.scratch import work_folder
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.tflite import model_bytes_estimate, read_graph
from paraedge.tflite.estimate import FILE_BYTES_LIMIT

RECIPE = "tensorflow"
"""How such an artifact is made."""
INSTALL = "pip install 'paraedge[tensorflow]'"
TIMEOUT_S = 900.0
BASE_BYTES, BYTES_A_PARAMETER = 500 << 20, 40
"""Memory of TensorFlow itself, and for each weight of a model: somewhat less than was measured (docs/tensorflow.md)."""
SAVED_BYTES = 4 << 20
"""Of a model on disk that are no weights, roughly."""
GROWN_BYTES = 3 << 30
"""A child that has so much in memory between two models is replaced by a new one."""


class Converter:
    """TensorFlow's converter, for many models one after another. A context manager; its child never outlives it.

    log: the file that TensorFlow's messages are appended to. memory_mb: limit of the child's memory (None: none of
    ours). timeout_s: most time for one model. told: called with each model and what is being done to it. Raises
    BadInput on entry where TensorFlow is not installed. One thread uses it.
    """

    def __init__(
        self,
        log: Path,
        *,
        memory_mb: int | None = None,
        timeout_s: float = TIMEOUT_S,
        told: Callable[[ModelSpec, str], None] | None = None,
    ) -> None:
        self.log = log
        self.memory_mb = memory_mb
        self.timeout_s = timeout_s
        self._told = told
        self._process: ConverterProcess | None = None
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Converter:
        check_installed()
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.open("ab").close()
        except OSError as error:
            raise BadInput(f"can't write the converter's log {self.log}: {error.strerror or error}") from error
        self._scratch = self._held.enter_context(work_folder(in_memory=False))
        return self

    def __exit__(self, *_: object) -> None:
        self._end_process()
        self._held.close()

    def build(self, spec: ModelSpec, folder: Path) -> Artifact | Failure:
        """Convert the network of `spec` to `<spec_id>.tflite` in `folder`, which is made if absent.

        A file is there whole or not at all. Whatever goes wrong with it (the child killed, crashed, hung or out of
        memory, a float tensor in an int8 model) is a Failure of stage `build`; the next model gets a new child.
        """
        reason = why_not(spec, self.memory_mb, self._scratch)
        if reason is not None:
            return reason
        path = folder / f"{spec.spec_id}.tflite"
        part = path.with_suffix(f".{os.getpid()}.part").absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            failure = self._convert(spec, part) or wrong(part, spec)
            if failure is not None:
                return dataclasses.replace(failure, message=short(f"{failure.message}; its log: {self.log}"))
            part.replace(path)
            return Artifact(path=path, file_bytes=path.stat().st_size, recipe=RECIPE)
        except OSError as error:
            return Failure(stage="build", error=type(error).__name__, message=f"can't write into {folder}: {error}")
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _convert(self, spec: ModelSpec, path: Path) -> Failure | None:
        def told(phase: str) -> None:
            if self._told is not None:
                self._told(spec, phase)

        try:
            if self._process is not None and not self._process.alive():
                self._end_process()
            if self._process is None:
                self._process = ConverterProcess(self.log, self._scratch, self.memory_mb)
            answer = self._process.ask({"spec": fields_of(spec), "path": str(path)}, self.timeout_s, told)
        except ConverterEnded as error:
            self._end_process()
            return self._limited(error.failure)
        if "error" in answer:
            failure = Failure(stage="build", error=str(answer["error"]), message=short(answer.get("message")))
            if failure.error == "MemoryError":  # what is left of its memory is no fair start for the next model
                self._end_process()
            return self._limited(failure)
        if int(answer.get("memory_bytes", 0)) > GROWN_BYTES:
            self._end_process()
        return None

    def _limited(self, failure: Failure) -> Failure:
        """Native code rarely says that it ran out of memory, so a limit that was set is told with every failure."""
        if self.memory_mb is None or failure.error == "TimeOut":
            return failure
        return dataclasses.replace(
            failure, message=f"{failure.message} (under a limit of {self.memory_mb} MiB of memory)"
        )

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


def check_installed() -> None:
    """Raise BadInput, with the command that installs it, where TensorFlow or Keras is missing; nothing is imported."""
    for name in ("tensorflow", "keras"):
        if importlib.util.find_spec(name) is None:
            raise BadInput(f"the TensorFlow route needs {name}, which is not installed: {INSTALL}")


def fields_of(spec: ModelSpec) -> Mapping[str, object]:
    """What JSON can say of a spec; parameters that are None are left out."""
    params = {name: value for name, value in spec.params.columns().items() if value is not None}
    return {**{field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}, "params": params}


def why_not(spec: ModelSpec, memory_mb: int | None, scratch: Path) -> Failure | None:
    """Why the converter isn't even asked: the model is a file already, can't be, or is too large.

    scratch: folder of the converter's temporary files.
    """
    if spec.family == "file":
        return _failure("BadInput", f"{spec.label()} is a .tflite file already: there is nothing to convert")
    try:
        graph = models.build_graph(spec)
    except BadInput as error:
        return _failure("BadInput", str(error))
    size_bytes = max(model_bytes_estimate(graph), 4 * graph.parameters)
    if size_bytes > FILE_BYTES_LIMIT:
        message = f"{size_bytes / 2**30:.2f} GiB of float32 weights; what the converter can take ends at 2 GiB"
        return _failure("TooLarge", message)
    free_bytes = psutil.virtual_memory().available
    room_bytes = free_bytes if memory_mb is None else min(free_bytes, memory_mb << 20)
    needed_bytes = BASE_BYTES + BYTES_A_PARAMETER * graph.parameters
    if needed_bytes > room_bytes:
        message = (
            f"the converter needs about {needed_bytes >> 20} MiB of memory, of {room_bytes >> 20} MiB that it can have"
        )
        return _failure("MemoryError", message)
    return _no_space(size_bytes, scratch)


def _no_space(size_bytes: int, scratch: Path) -> Failure | None:
    """A Failure where the converter's temporary copy of a model doesn't fit: TensorFlow hides why it can't save it."""
    needed_bytes = size_bytes + SAVED_BYTES
    try:
        free_bytes = shutil.disk_usage(scratch).free
    except OSError as error:
        return _failure(type(error).__name__, short(error))
    if free_bytes >= needed_bytes:
        return None
    needed_mb, free_mb = needed_bytes >> 20, free_bytes >> 20
    message = f"the converter needs {needed_mb} MiB for temporary files; {scratch.parent} has {free_mb} MiB free"
    return _failure("OSError", f"{message}; TMPDIR may name another folder")


def wrong(path: Path, spec: ModelSpec) -> Failure | None:
    """What is wrong with a converted file: not readable, or an int8 model with a tensor that isn't quantized."""
    try:
        graph = read_graph(path)
    except (ParaedgeError, OSError) as error:
        return _failure(type(error).__name__, f"the converter wrote what can't be read: {error}")
    return float_op(graph) if spec.precision == "int8" else None


def float_op(graph: LayerGraph) -> Failure | None:
    """A Failure that names the first op of `graph` that reads or makes a float tensor; None where there is none."""
    for number, layer in enumerate(graph.layers):
        kinds = {graph.tensors[i].dtype for i in (*layer.inputs, *layer.outputs) if i >= 0}
        if kinds & {"float32", "float16", "float64", "bfloat16"}:
            message = f"op {number}, {layer.op}, was left in {', '.join(sorted(kinds))} by the converter"
            return _failure("FloatTensors", message)
    return None


def _failure(error: str, message: str) -> Failure:
    return Failure(stage="build", error=error, message=short(message))
