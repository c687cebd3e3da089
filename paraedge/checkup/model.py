"""A model file of the user's, made ready for a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from paraedge import models
from paraedge.build import build_compiled
from paraedge.build.compiler_placement import compiler_placement
from paraedge.checkup.place import Place, place_of
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Job, Placement
from paraedge.core.spec import ModelSpec
from paraedge.devices.driver import Driver
from paraedge.models.conv_stack import ConvStackParams
from paraedge.tflite import read_graph

PROBE = ModelSpec(family="conv_stack", params=ConvStackParams(layer=5, kernel=3, image=64, channel=3, filter=64))
"""Stays on chip, and takes a millisecond or so: long beside the fixed cost of an invoke, short beside a visit."""


def model_job(path: Path, driver: Driver) -> Job:
    """The file as a job for a driver's device; raises BadInput where the device can't take it, compiled or not."""
    graph = read_graph(path)
    compiled = graph.is_compiled
    wanted = getattr(driver, "needs_compiled", False)
    if wanted and not compiled:
        raise BadInput(f"{path} is not compiled for the Edge TPU; compile it first: paraedge compile {path}")
    if compiled and not wanted:
        raise BadInput(f"{path} is compiled for the Edge TPU; give the model that it was compiled from, or an edgetpu")
    placement = compiled_placement(graph, path) if compiled else None
    artifact = Artifact(path=path, file_bytes=path.stat().st_size, recipe="given", placement=placement)
    return Job(spec=None, graph=graph, artifact=artifact)


def place_and_job(device: str, path: Path) -> tuple[Place, Job]:
    """A device to be measured on and a file as a job for it; the file's errors come before those of the device."""
    read_graph(path)
    place = place_of(device)
    return place, model_job(path, place.driver)


def compiled_placement(graph: LayerGraph, compiled: Path) -> Placement:
    """What the compiler did with `graph`, which may be that of the compiled file itself; raises BadModelFile."""
    return compiler_placement(graph, [compiled], ())


def placement_of(model: Path, graph: LayerGraph, compiled: Path) -> Placement:
    """The compiler's placement of a model, from its compiled file; raises BadInput for the file of another model.

    The compiler keeps the names and shapes of the model's inputs and outputs.
    """
    made = read_graph(compiled)
    if not made.is_compiled:
        raise BadInput(f"{compiled} is not compiled for the Edge TPU; give what edgetpu_compiler made of {model}")
    for what, has, wanted in (
        ("inputs", _edge(made, made.inputs), _edge(graph, graph.inputs)),
        ("outputs", _edge(made, made.outputs), _edge(graph, graph.outputs)),
    ):
        if has != wanted:
            raise BadInput(
                f"{compiled} was not compiled from {model}: its {what} are {short(has, 200)}, the model's "
                f"{short(wanted, 200)}"
            )
    return compiled_placement(graph, compiled)


def _edge(graph: LayerGraph, tensors: Sequence[int]) -> str:
    """Inputs or outputs by name and shape: `input 1x224x224x3`."""
    return ", ".join(f"{graph.tensors[i].name} {'x'.join(map(str, graph.tensors[i].shape))}" for i in tensors)


def compiled_probe(folder: Path) -> Path:
    """A small network, written and compiled into `folder`; raises ParaedgeError where there is no compiler."""
    made = build_compiled(PROBE, models.build_graph(PROBE), folder)
    if isinstance(made, Failure):
        raise ParaedgeError(f"{made.text()}; or give a compiled file with --model")
    return made.path
