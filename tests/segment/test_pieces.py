"""Pieces of a model: which are alike, and that each sort is timed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from graph_builder import Builder

from paraedge import models
from paraedge.core.graph import LayerGraph, Quantization
from paraedge.core.outcome import Block, Failure, Job, Measurement, Outcome
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.fc import FcParams
from paraedge.segment import pieces
from paraedge.segment.pieces import Bench, interval_ms, pieces_of
from paraedge.tflite import read_graph, write_model
from paraedge.tflite.model_file import ModelFile


def sorts(graph: LayerGraph) -> list[int]:
    """The number of each piece's kind, in the order in which kinds come."""
    kinds = [piece.kind for piece in pieces_of(graph)]
    order = list(dict.fromkeys(kinds))
    return [order.index(kind) for kind in kinds]


def test_ops_of_the_same_shapes_are_alike_whatever_their_weights() -> None:
    builder = Builder()
    x = builder.tensor((1, 8))
    y = builder.dense(builder.dense(builder.dense(x, 8), 8), 4)
    assert sorts(builder.graph([x], [y])) == [0, 0, 1]


def test_what_an_op_is_told_tells_ops_apart() -> None:
    builder = Builder()
    x = builder.tensor((2, 2, 2, 2))
    for order in ((0, 2, 1, 3), (0, 2, 1, 3), (0, 3, 1, 2)):
        x = builder.op("TRANSPOSE", (x, builder.values(*order)), (2, 2, 2, 2))
    for axis in (1, 1, 2):
        builder.op("CONCATENATION", (x, x), (2, 2, 2, 4), axis=axis)
    assert sorts(builder.graph([0], [x])) == [0, 0, 1, 2, 2, 3]


def test_where_a_slice_begins_does_not_matter() -> None:
    builder = Builder()
    x = builder.tensor((1, 9, 4))
    for first in (0, 1, 5):
        ends = [builder.values(0, first, 0), builder.values(1, first + 1, 4), builder.values(1, 1, 1)]
        builder.op("STRIDED_SLICE", (x, *ends), (1, 4), shrink_axis_mask=2)
    ends = [builder.values(0, 0, 0), builder.values(1, 9, 4), builder.values(1, 9, 1)]
    builder.op("STRIDED_SLICE", (x, *ends), (1, 4), shrink_axis_mask=2)
    assert sorts(builder.graph([x], [4])) == [0, 0, 0, 1]


def test_equal_scales_and_equal_inputs_tell_ops_apart() -> None:
    builder = Builder()
    a, b = builder.tensor((1, 8)), builder.tensor((1, 8))
    other = dataclasses.replace(builder.tensors[b], quantization=Quantization(scales=(0.25,), zero_points=(0,)))
    builder.tensors.append(other)
    for pair in ((a, b), (b, a), (a, a), (a, 2)):
        builder.op("ADD", pair, (1, 8))
    assert sorts(builder.graph([a, b, 2], [3])) == [0, 0, 1, 2]


def test_what_is_told_elsewhere_is_alike_nothing() -> None:
    builder = Builder()
    x = builder.tensor((1, 8))
    for _ in range(2):
        x = builder.op("CUSTOM", (x,), (1, 8), custom_code="of-mine")
    assert sorts(builder.graph([0], [x])) == [0, 1]


def test_ops_that_share_a_state_stay_together() -> None:
    builder = Builder()
    x, state = builder.tensor((1, 8)), builder.tensor((1, 8))  # the state is no layer's output and no input
    y = builder.op("ADD", (x, state), (1, 8))
    z = builder.op("MUL", (y, state), (1, 8))
    end = builder.op("ADD", (z, z), (1, 8))
    found = pieces_of(builder.graph([x], [end]))
    assert [(piece.first, piece.end) for piece in found] == [(0, 2), (2, 3)]


def test_a_file_has_the_kinds_of_its_generator(tmp_path: Path) -> None:
    graph = models.build_graph(ModelSpec(family="fc", params=FcParams(layer=4, node=32)))
    path = tmp_path / "net.tflite"
    path.write_bytes(write_model(graph))
    assert sorts(read_graph(path)) == sorts(graph) == [0, 1, 1, 1, 2]


def timed(ms: float) -> Measurement:
    return Measurement(
        device=registry.info("cpu"),
        blocks=tuple(Block(invokes=1, duration_ns=round(ms * 1e6)) for _ in range(3)),
        stop_reason="precision",
    )


def test_a_piece_is_timed_once_also_for_later_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[int] = []

    def visit(driver: Any, target: Any, jobs: Iterator[Job], settings: Any) -> Iterator[Outcome]:
        for job in jobs:
            assert job.artifact is not None
            asked.append(len(read_graph(job.artifact.path).layers))
            yield timed(len(asked)) if len(asked) != 2 else Failure(stage="run", error="RuntimeError", message="no")

    monkeypatch.setattr(pieces.run, "visit", visit)
    driver = registry.find("cpu")
    with Bench(driver, driver.targets("cpu", (), ())[0], tmp_path) as bench:
        first, second = (outcomes_of(bench, (64, *units)) for units in ((32, 32, 32), (32, 32, 16)))
    assert asked == [1] * 5  # 64-32 (fails), 32-32, 32-10; then 32-16, 16-10
    shown = [one.message if isinstance(one, Failure) else interval_ms(one)[1] for one in (*first, *second)]
    assert shown == [1.0, "no", "no", 3.0, 1.0, "no", 4.0, 5.0]
    assert list(tmp_path.iterdir()) == []


def outcomes_of(bench: Bench, widths: Sequence[int]) -> list[Outcome]:
    params = FcParams(input=widths[0], widths=tuple(widths[1:]))
    file = ModelFile(memoryview(write_model(models.build_graph(ModelSpec(family="fc", params=params)))), "net")
    return bench.time_pieces(file, pieces_of(file.graph(0)))
