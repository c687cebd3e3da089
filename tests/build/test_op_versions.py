"""The table of op versions against published models that the compiler took."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from paraedge.build.compiler_placement import compiler_placement
from paraedge.build.op_versions import KNOWN, TAKEN, doubtful_versions, refused_versions
from paraedge.core.graph import Layer, LayerGraph, Tensor
from paraedge.models.versions import LOWEST_VERSION
from paraedge.tflite import read_graph


def one_op(op: str, version: int, custom_code: str | None = None) -> LayerGraph:
    tensors = tuple(Tensor(name=name, shape=(1, 4), dtype="int8") for name in "xy")
    layer = Layer(op=op, inputs=(0,), outputs=(1,), options={}, version=version, custom_code=custom_code)
    return LayerGraph(name="one", tensors=tensors, layers=(layer,), inputs=(0,), outputs=(1,))


@pytest.mark.parametrize("op", sorted(KNOWN))
def test_the_next_version_is_refused(op: str) -> None:
    assert refused_versions(one_op(op, KNOWN[op])) == ()
    (found,) = refused_versions(one_op(op, KNOWN[op] + 1))
    assert (found.index, found.op, found.version, found.highest) == (0, op, KNOWN[op] + 1, KNOWN[op])
    why = f"it has version {KNOWN[op] + 1}, and edgetpu_compiler 16.0 knows it up to version {KNOWN[op]}"
    assert found.text() == f"op 0 ({op}) would be refused: {why}"


def test_an_op_of_a_later_time_is_refused_and_a_custom_op_is_not() -> None:
    (found,) = refused_versions(one_op("STABLEHLO_ADD", 1))
    assert found.highest == 0
    assert found.text().startswith("op 0 (STABLEHLO_ADD) would be refused: ")
    assert "doesn't know it" in found.text()
    assert refused_versions(one_op("CUSTOM", 99, "mine")) == ()


def test_between_taken_and_known_nothing_is_certain() -> None:
    assert doubtful_versions(one_op("FULLY_CONNECTED", 4)) == ()
    (found,) = doubtful_versions(one_op("FULLY_CONNECTED", 5))
    assert not found.certain
    assert found.text().startswith("op 0 (FULLY_CONNECTED) may be left on the CPU: it has version 5, ")
    assert doubtful_versions(one_op("FULLY_CONNECTED", 10)) == ()
    assert all(version <= KNOWN[op] for op, version in TAKEN.items())


def test_what_we_write_is_not_refused_but_for_an_op_of_vision_transformers() -> None:
    assert LOWEST_VERSION.keys() - KNOWN.keys() == {"GELU"}
    for op, versions in LOWEST_VERSION.items():
        if op not in KNOWN:
            continue
        assert max(versions.values()) <= KNOWN[op], op
        assert versions["int8"] <= TAKEN.get(op, versions["int8"]), op


def test_published_models_were_taken_in_these_versions(edgetpu_data: Path) -> None:
    """Models are beside their compiled files; what is no ordinary op there was mapped."""
    seen: dict[str, int] = defaultdict(int)
    for compiled in (edgetpu_data / "models").rglob("*_edgetpu.tflite"):
        model = compiled.with_name(compiled.name.replace("_edgetpu", ""))
        if model.is_file():
            graph = read_graph(model)
            assert refused_versions(graph) == ()
            for index in compiler_placement(graph, [compiled], ()).on_device:
                layer = graph.layers[index]
                if graph.tensors[layer.outputs[0]].dtype == "int8":
                    seen[layer.op] = max(seen[layer.op], layer.version)
    assert dict(seen) == dict(TAKEN)
