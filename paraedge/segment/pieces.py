"""The pieces of a model, timed one by one: its ops, or those that can't be cut apart. Pieces alike are timed once."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import numpy as np

from paraedge import run
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.graph import BIAS_INPUT, ConstantWeights, FileWeights, Layer, LayerGraph
from paraedge.core.median import median_ranks
from paraedge.core.outcome import Artifact, Job, Measurement, Outcome
from paraedge.devices.driver import Driver
from paraedge.segment.cuttable import cuttable
from paraedge.tflite.cut import segments
from paraedge.tflite.model_file import ModelFile

SETTINGS = MeasureSettings(rounds=1, time_budget_s=0.05, warm_up_s=0.01, precision=0.02)
"""Of a piece: a model has hundreds of them."""
WHERE_INPUTS: Mapping[str, tuple[int, ...]] = {"SLICE": (1,), "STRIDED_SLICE": (1, 2)}
"""Inputs by op that say where something lies, which is as quick anywhere."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Ops [first, end) of a model; pieces of the same kind take the same time."""

    first: int
    end: int
    kind: Hashable


def pieces_of(graph: LayerGraph) -> list[Piece]:
    """The pieces of a graph, in order.

    Two ops are of one kind if they have the same options, shapes and types, are quantized in the same manner, and the
    same values where these say what is to be done (axes, paddings). Other values don't matter to their time.
    """
    allowed = cuttable(graph)
    starts = range(1, len(graph.layers)) if allowed is None else allowed
    return [Piece(first=a, end=b, kind=_kind(graph, a, b)) for a, b in pairwise((0, *starts, len(graph.layers)))]


class Bench:
    """One visit of a target, in which whole models and their pieces are timed. The caller holds the device's lock."""

    def __init__(self, driver: Driver, target: Target, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Hashable, Outcome] = {}
        self._numbers = itertools.count()
        self._job: Job | None = None
        self._outcomes = run.visit(driver, target, self._jobs(), SETTINGS)

    def time_file(self, artifact: Artifact) -> Outcome:
        """Of a model file, whole."""
        self._job = Job(spec=None, graph=None, artifact=artifact)
        return next(self._outcomes)

    def time_pieces(self, file: ModelFile, pieces: Sequence[Piece]) -> list[Outcome]:
        """Of each of the pieces of a model, by one of its kind; of an earlier model too."""
        new = {piece.kind: piece.first for piece in reversed(pieces) if piece.kind not in self._known}
        kinds = {first: kind for kind, first in new.items()}
        for segment in segments(file, [piece.first for piece in pieces[1:]], only=kinds) if kinds else ():
            self._known[kinds[segment.first]] = self._time_bytes(segment.data)
        return [self._known[piece.kind] for piece in pieces]

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._job = None
        for _ in self._outcomes:  # there is no further job, so the visit ends
            pass

    def _jobs(self) -> Iterator[Job]:
        while self._job is not None:
            yield self._job

    def _time_bytes(self, data: memoryview) -> Outcome:
        path = self.folder / f"piece-{next(self._numbers)}.tflite"  # a child may still have the last one mapped
        try:
            path.write_bytes(data)
            return self.time_file(Artifact(path=path, file_bytes=len(data), recipe="cut"))
        finally:
            path.unlink(missing_ok=True)


def interval_ms(one: Measurement) -> tuple[float, float, float]:
    """Median of the blocks within its 95 % interval; within all of their range where they are too few for one."""
    times = sorted(block.invoke_ns / 1e6 for block in one.blocks)
    low, high = median_ranks(len(times)) or (0, len(times) - 1)
    return times[low], float(np.median(times)), times[high]


def _kind(graph: LayerGraph, first: int, end: int) -> Hashable:
    layer = graph.layers[first]
    if end - first > 1 or layer.custom_code is not None:  # what a custom op is told is not in its options here
        return object()
    ids = [*layer.inputs, *layer.outputs]
    tensors = tuple(_tensor_kind(graph, layer, ids, position) for position in range(len(ids)))
    return layer.op, layer.version, tuple(sorted(layer.options.items())), len(layer.inputs), tensors


def _tensor_kind(graph: LayerGraph, layer: Layer, ids: Sequence[int], position: int) -> Hashable:
    """What of a tensor matters to its op's time; the tensors before it that are the same, or have the same scales, too.

    Ops on equal scales, as CONCATENATION, have less to do than on others.
    """
    if ids[position] < 0:
        return None
    tensor = graph.tensors[ids[position]]
    scales = [graph.tensors[i].quantization if i >= 0 else None for i in ids[: position + 1]]
    quantized = tensor.quantization
    how = None if quantized is None else (len(quantized.scales), quantized.axis, scales.index(quantized))
    weights = tensor.weights
    told = weights.size_bytes if isinstance(weights, FileWeights) else None
    mere = {*WHERE_INPUTS.get(layer.op, ()), BIAS_INPUT.get(layer.op)}
    values = weights.values if isinstance(weights, ConstantWeights) and position not in mere else None
    return tensor.shape, tensor.dtype, how, ids.index(ids[position]), weights is None, told, values
