"""A store of the tests' own, and no compiler but the one that a test names."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiler_stand_in import Bench

from paraedge import models
from paraedge.build import build_artifact, store
from paraedge.build.store import Entry
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact
from paraedge.core.spec import ModelSpec


@pytest.fixture(autouse=True)
def store_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARAEDGE_EDGETPU_COMPILER", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "cache" / "compiled"


@pytest.fixture(scope="session")
def cnn_graph() -> LayerGraph:
    """Twenty ops, a residual network."""
    params = models.FAMILIES["cnn"].params(kind="residual", block=1, filter=4, image=16, output=4)
    return models.build_graph(ModelSpec(family="cnn", params=params))


@pytest.fixture
def cnn_model(cnn_graph: LayerGraph, tmp_path: Path) -> Path:
    """The same as a file."""
    params = models.FAMILIES["cnn"].params(kind="residual", block=1, filter=4, image=16, output=4)
    artifact = build_artifact(ModelSpec(family="cnn", params=params), cnn_graph, tmp_path / "built")
    assert isinstance(artifact, Artifact)
    return artifact.path.rename(tmp_path / "my net.tflite")


@pytest.fixture
def bench(cnn_graph: LayerGraph, cnn_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(cnn_graph, cnn_model, tmp_path, monkeypatch)


@pytest.fixture
def kept(tmp_path: Path) -> Entry:
    """An entry of two files that is in the store `s`."""
    files = (tmp_path / "a", tmp_path / "b")
    for file in files:
        file.write_bytes(file.name.encode() * 20)
    entry = Entry(sha256="ab", compiler="16.0", options="n2", printed="p", files=files)
    store.put(tmp_path / "s", entry)
    return entry
