"""What makes model files: files that are kept between rounds, and those of one's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from paraedge.build import build_artifact, builders, converter
from paraedge.build.builders import DIRECT, open_builder
from paraedge.build.scratch import PREFIX
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.models import MatmulParams, build_graph

SPECS = tuple(ModelSpec(family="matmul", params=MatmulParams(n=n)) for n in (8, 16))


class Counting:
    """In place of TensorFlow's converter: the direct writer, and what it was asked for."""

    def __init__(self, log: Path, *, told: Callable[[ModelSpec, str], None] | None = None) -> None:
        self.asked: list[ModelSpec] = []
        self.fails = False

    def __enter__(self) -> Counting:
        opened.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def build(self, spec: ModelSpec, folder: Path) -> Artifact | Failure:
        self.asked.append(spec)
        if self.fails:
            return Failure(stage="build", error="Killed", message="it was killed")
        return build_artifact(spec, build_graph(spec), folder)


opened: list[Counting] = []


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "Converter", Counting)
    opened.clear()


def rounds(folder: Path, *, fails: bool = False) -> list[Artifact | Failure]:
    """Both models in two rounds, each deleted before the next is made, as a campaign does."""
    results = []
    with open_builder("tensorflow", log=folder / "log") as maker:
        opened[0].fails = fails
        for spec in (*SPECS, *SPECS):
            made = maker.build(spec, build_graph(spec), folder)
            results.append(made)
            if isinstance(made, Artifact):
                assert made.path == folder / f"{spec.spec_id}.tflite"
                assert made.path.stat().st_size == made.file_bytes
                made.path.unlink()
    return results


def test_a_model_is_converted_once_for_all_rounds(tmp_path: Path) -> None:
    first, second, *again = rounds(tmp_path)
    assert again == [first, second]
    assert opened[0].asked == list(SPECS)
    assert list(tmp_path.iterdir()) == []


def test_beyond_the_limit_it_is_converted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = build_artifact(SPECS[0], build_graph(SPECS[0]), tmp_path / "size")
    assert isinstance(size, Artifact)
    monkeypatch.setattr(builders, "KEPT_BYTES", size.file_bytes)
    rounds(tmp_path)
    assert opened[0].asked == [*SPECS, SPECS[1]]


def test_a_failure_stays_one(tmp_path: Path) -> None:
    assert {made.error for made in rounds(tmp_path, fails=True) if isinstance(made, Failure)} == {"Killed"}
    assert opened[0].asked == list(SPECS)


def test_what_is_kept_is_deleted_by_the_next_where_its_owner_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_builder("tensorflow", log=tmp_path / "log") as maker:
        maker.build(SPECS[0], build_graph(SPECS[0]), tmp_path / "out")
        (folder,) = {path.parent for path in tmp_path.glob("*/*.tflite")} - {tmp_path / "out"}
        assert folder.name.startswith(f"{PREFIX}{os.getpid()}-")
    assert not folder.exists()


def test_the_direct_writer_opens_nothing(tmp_path: Path) -> None:
    with open_builder("direct", log=tmp_path / "log") as maker:
        assert maker is DIRECT
    assert not opened
    assert list(tmp_path.iterdir()) == []
