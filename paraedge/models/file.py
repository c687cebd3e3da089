"""Model files of the user's own: a point each, which is what the file holds, wherever it lies."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params, ParamValue, Precision

EIGHT_BITS = frozenset({"int8", "uint8"})
OTHERS = frozenset({"int2", "int4", "int16", "float16", "bfloat16"})
"""Of values; int2 and int4 of weights too."""
MOST_READ_BYTES = 1 << 30
"""Larger files are mapped: there may be no memory for them."""


def _found() -> Any:
    """A field that no sweep file gives a value."""
    return dataclasses.field(metadata={"kind": "found"})


@dataclass(frozen=True, kw_only=True)
class FileParams(Params):
    """`path`: a .tflite file, from `folder` on, as the sweep names it. `sha256`: of its bytes, which are the model."""

    path: str = dataclasses.field(metadata={"kind": "file"})
    folder: str = _found()
    sha256: str = _found()

    def columns(self) -> dict[str, ParamValue]:
        """The path alone: what the content is, the spec's identity says."""
        return {"path": self.path}

    def identity(self) -> dict[str, ParamValue]:
        """The content: a file that was moved is the same network, one that was changed is another."""
        return {"sha256": self.sha256}

    @property
    def file(self) -> Path:
        """Where it lies."""
        return Path(self.folder, self.path)


def build_file(spec: ModelSpec, params: FileParams) -> LayerGraph:
    """The network that the file holds. Raises BadInput where it is not the file that the sweep was read with."""
    from paraedge.tflite.whole import whole_graph

    data = own_bytes(params)
    return dataclasses.replace(whole_graph(data, str(params.file)), name=spec.label())


def own_bytes(params: FileParams) -> memoryview:
    """What the file holds. Raises BadInput where it is not the file that the sweep was read with."""
    from paraedge.tflite.read import map_file

    data = map_file(params.file, read_bytes=MOST_READ_BYTES)
    if hashlib.sha256(data).hexdigest() != params.sha256:
        raise BadInput(f"{params.file} has changed since the sweep was read: run the sweep again, for another result")
    return data


def find_models(path: str, folder: Path) -> list[ModelSpec]:
    """The model file `path`, or those that match it as a pattern (`*`, `?`, `[...]`, `**`), sorted, from `folder` on.

    Files of equal content are the same spec. Raises BadInput for a path without a file, and for a file that is no
    TFLite model, has sizes which aren't fixed or several subgraphs, or computes in what is no precision of ours.
    """
    specs: dict[str, ModelSpec] = {}
    for name in _matching(path, folder):
        spec = _read_spec(name, folder)
        specs.setdefault(spec.spec_id, spec)
    return list(specs.values())


def _matching(path: str, folder: Path) -> list[str]:
    if os.path.lexists(folder / path) or not any(mark in path for mark in "*?["):
        return [path]
    found = sorted(glob.glob(path, root_dir=folder, recursive=True))
    if not found:
        raise BadInput(f"no file matches {path!r} in {folder.absolute()}")
    return found


def _read_spec(path: str, folder: Path) -> ModelSpec:
    from paraedge.tflite.read import map_file
    from paraedge.tflite.whole import whole_graph

    file = folder / path
    data = map_file(file, read_bytes=MOST_READ_BYTES)
    precision = precision_of(whole_graph(data, str(file)), str(file))
    sha256 = hashlib.sha256(data).hexdigest()
    params = FileParams(path=path, folder=str(folder.absolute()), sha256=sha256)
    return ModelSpec(family="file", params=params, precision=precision)


def precision_of(graph: LayerGraph, name: str) -> Precision:
    """What a network computes in, from the types of its weights and values; uint8 counts as int8.

    Raises BadInput, which begins with `name`, for a network of other types.
    """
    weights = {graph.tensors[i].dtype for i in graph.parameter_tensors}
    made = {i for layer in graph.layers for i in layer.outputs} - _looked_up(graph)
    values = {graph.tensors[i].dtype for i in made}
    others = OTHERS & (values | weights - {"float16"})
    if others or not {"int8", "uint8", "float32"} & values:
        raise BadInput(f"{name} computes in {', '.join(sorted(others or values))}, and not in int8, uint8 or float32")
    if EIGHT_BITS & values:
        return "int8"
    if "float16" in weights:
        return "float16"
    return "dynamic_range" if EIGHT_BITS & weights else "float32"


def _looked_up(graph: LayerGraph) -> set[int]:
    """What a GATHER takes from a table and only a DEQUANTIZE reads, as dynamic range has it: nothing computes in it."""
    tables = set(graph.parameter_tensors)
    gathers = [layer for layer in graph.layers if layer.op == "GATHER" and tables.intersection(layer.inputs)]
    rows = {i for layer in gathers for i in layer.outputs}
    read = {i for layer in graph.layers if layer.op != "DEQUANTIZE" for i in layer.inputs}
    return rows - read - set(graph.outputs)
