"""A model file of the user's, made ready for a device."""

from __future__ import annotations

from pathlib import Path

from paraedge import models
from paraedge.build import build_compiled
from paraedge.build.compiler_placement import compiler_placement
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Job, Placement
from paraedge.core.spec import ModelSpec
from paraedge.devices.driver import Driver
from paraedge.models.conv_stack import ConvStackParams
from paraedge.tflite import read_graph
from paraedge.tflite.executable import CUSTOM_CODE

PROBE = ModelSpec(family="conv_stack", params=ConvStackParams(layer=5, kernel=3, image=64, channel=3, filter=64))
"""Stays on chip, and takes a millisecond or so: long beside the fixed cost of an invoke, short beside a visit."""


def model_job(path: Path, driver: Driver) -> Job:
    """The file as a job for a driver's device; raises BadInput where the device can't take it, compiled or not."""
    graph = read_graph(path)
    compiled = is_compiled(graph)
    wanted = getattr(driver, "needs_compiled", False)
    if wanted and not compiled:
        raise BadInput(f"{path} is not compiled for the Edge TPU; compile it first: paraedge compile {path}")
    if compiled and not wanted:
        raise BadInput(f"{path} is compiled for the Edge TPU; give the model that it was compiled from, or an edgetpu")
    placement = compiled_placement(graph, path) if compiled else None
    artifact = Artifact(path=path, file_bytes=path.stat().st_size, recipe="given", placement=placement)
    return Job(spec=None, graph=graph, artifact=artifact)


def is_compiled(graph: LayerGraph) -> bool:
    """Whether the graph is that of a compiled file."""
    return any(layer.custom_code == CUSTOM_CODE for layer in graph.layers)


def compiled_placement(graph: LayerGraph, compiled: Path) -> Placement:
    """What the compiler did with `graph`, which may be that of the compiled file itself; raises BadModelFile."""
    return compiler_placement(graph, [compiled], ())


def compiled_probe(folder: Path) -> Path:
    """A small network, written and compiled into `folder`; raises ParaedgeError where there is no compiler."""
    made = build_compiled(PROBE, models.build_graph(PROBE), folder)
    if isinstance(made, Failure):
        raise ParaedgeError(f"{made.text()}; or give a compiled file with --model")
    return made.path
