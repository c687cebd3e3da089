"""The points of a sweep without measuring them: as rows, or as model files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from paraedge import models, tflite
from paraedge.build.builders import open_builder
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.models.file import FileParams
from paraedge.models.zoo import published_sizes
from paraedge.sweep import Sweep

LOG = "tensorflow.log"
"""What TensorFlow printed, in the folder of what it built for."""


def expand(sweep: Sweep) -> Iterator[dict[str, object]]:
    """The points of a grid with their MACs, parameters and file size in bytes, without writing anything.

    Those of the zoo have the published sizes beside them, where there are any.
    """
    for spec in sweep.points():
        graph = models.build_graph(spec)
        yield {
            "spec_id": spec.spec_id,
            "family": spec.family,
            **spec.params.columns(),
            "batch": spec.batch,
            "precision": spec.precision,
            "macs": graph.macs,
            "parameters": None if graph.is_compiled else graph.parameters,
            **published_sizes(spec, graph),
            "weight_bytes": None if graph.is_compiled else graph.weight_bytes,
            "file_bytes": _file_bytes(spec, graph),
        }


def _file_bytes(spec: ModelSpec, graph: LayerGraph) -> int:
    if isinstance(spec.params, FileParams):
        return spec.params.file.stat().st_size
    return tflite.model_bytes_estimate(graph)


def build_models(
    sweep: Sweep, folder: Path, *, told: Callable[[ModelSpec, str], None] | None = None
) -> Iterator[tuple[ModelSpec, Artifact | Failure]]:
    """Have the sweep's builder write every point as a `.tflite` file; one that can't be written is a Failure.

    told: called with each model that TensorFlow converts and what is being done to it; its messages go to
    `tensorflow.log` in the folder. Raises BadInput where the builder is TensorFlow, and not installed.
    """
    with open_builder(sweep.builder, log=folder / LOG, told=told) as maker:
        folder.mkdir(parents=True, exist_ok=True)
        for spec in sweep.points():
            try:
                yield spec, maker.build(spec, models.build_graph(spec), folder)
            except BadInput as error:
                yield spec, Failure(stage="build", error="BadInput", message=short(error))
