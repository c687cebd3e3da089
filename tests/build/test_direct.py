"""Artifacts on disk, and what can't be built."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from paraedge import models
from paraedge.build import build_artifact, direct
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.tflite import read_graph


def fc_spec(**params: int) -> ModelSpec:
    return ModelSpec(family="fc", params=models.FAMILIES["fc"].params(**params))


SPEC = fc_spec(layer=2, node=32)


def build(spec: ModelSpec, folder: Path) -> Artifact | Failure:
    return build_artifact(spec, models.build_graph(spec), folder)


def test_an_artifact_is_the_file_of_its_spec(tmp_path: Path) -> None:
    artifact = build(SPEC, tmp_path / "new" / "folder")
    assert isinstance(artifact, Artifact)
    assert artifact.path == tmp_path / "new" / "folder" / f"{SPEC.spec_id}.tflite"
    assert artifact.file_bytes == artifact.path.stat().st_size
    assert list(artifact.path.parent.iterdir()) == [artifact.path]
    assert read_graph(artifact.path).parameters == models.build_graph(SPEC).parameters


def test_building_again_replaces_the_file_by_an_equal_one(tmp_path: Path) -> None:
    build(SPEC, tmp_path)
    path = tmp_path / f"{SPEC.spec_id}.tflite"
    first = path.read_bytes()
    path.write_bytes(b"torn")
    assert isinstance(build(SPEC, tmp_path), Artifact)
    assert path.read_bytes() == first


def test_two_gigabytes_are_a_build_failure(tmp_path: Path) -> None:
    failure = build(fc_spec(input=8000, layer=32, node=8192, output=1000), tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.error) == ("build", "TooLarge")
    assert failure.message.endswith("a FlatBuffer ends at 2 GiB")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no space left in"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "can't write into .*: Read-only file system"),
    ],
)
def test_a_full_disk_is_a_build_failure_that_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: OSError, message: str
) -> None:
    def write_half(path: Path, data: memoryview) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", write_half)
    failure = build(SPEC, tmp_path)
    assert isinstance(failure, Failure)
    assert failure.stage == "build"
    assert list(tmp_path.iterdir()) == []
    assert re.search(message, failure.message)


def test_a_folder_that_is_a_file_is_a_build_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    failure = build(SPEC, tmp_path / "file")
    assert isinstance(failure, Failure)
    assert "can't write into" in failure.message


def test_memory_that_runs_out_is_a_build_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_memory(graph: LayerGraph) -> memoryview:
        raise MemoryError

    monkeypatch.setattr(direct, "write_model", no_memory)
    failure = build(SPEC, tmp_path)
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.error) == ("build", "MemoryError")
    assert "MB of memory" in failure.message


def test_what_tflite_has_no_name_for_is_a_build_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(graph: LayerGraph) -> memoryview:
        raise BadInput("TFLite has no operator DENSE")

    monkeypatch.setattr(direct, "write_model", refuse)
    assert build(SPEC, tmp_path) == Failure(stage="build", error="BadInput", message="TFLite has no operator DENSE")
