"""Model files of one's own: which they are, what they compute in, and every file that can't be a point."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from compiled_files import compiled_model
from file_objects import objects, pack, vector
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge.core.errors import BadInput
from paraedge.core.spec import ModelSpec
from paraedge.models import FcParams, FileParams, RnnParams, build_graph, check_common
from paraedge.models.file import find_models, own_bytes
from paraedge.tflite import parse_graph, write_model

PARAMS = FcParams(input=40, layer=1, node=40, output=4)


def written(precision: Any = "int8", seed: int = 0) -> bytes:
    return bytes(write_model(build_graph(ModelSpec(family="fc", params=PARAMS, precision=precision, seed=seed))))


def found(folder: Path, path: str) -> list[str]:
    return [cast(FileParams, spec.params).path for spec in find_models(path, folder)]


@pytest.mark.parametrize("precision", ["int8", "float32", "float16", "dynamic_range"])
def test_the_precision_is_that_of_the_content(tmp_path: Path, precision: str) -> None:
    (tmp_path / "m.tflite").write_bytes(written(precision))
    (spec,) = find_models("m.tflite", tmp_path)
    assert (spec.precision, spec.batch, spec.seed) == (precision, 1, 0)
    assert check_common("precision", spec.precision) is None


@pytest.mark.parametrize("precision", ["int8", "float32", "float16", "dynamic_range"])
def test_an_embedding_does_not_make_a_network_int8(tmp_path: Path, precision: Any) -> None:
    """With dynamic range its rows are int8 until a DEQUANTIZE behind the GATHER."""
    params = RnnParams(cell="rnn", layer=1, embed=40, length=3, vocab=30, embedding="gather")
    (tmp_path / "m.tflite").write_bytes(
        write_model(build_graph(ModelSpec(family="rnn", params=params, precision=precision)))
    )
    (spec,) = find_models("m.tflite", tmp_path)
    assert spec.precision == precision


def test_uint8_counts_as_int8(edgetpu_data: Path) -> None:
    (spec,) = find_models("models/mobilenet_v2_1.0_224_quant.tflite", edgetpu_data)
    assert spec.precision == "int8"
    assert build_graph(spec).macs == 300_774_272 + 1280  # of the paper's network, and one class more


def test_the_content_is_the_identity(tmp_path: Path) -> None:
    data = written()
    for name in ("a.tflite", "b.tflite"):
        (tmp_path / name).write_bytes(data)
    (tmp_path / "c.tflite").write_bytes(written(seed=1))
    (a,), (b,), (c,) = (find_models(name, tmp_path) for name in ("a.tflite", "b.tflite", "c.tflite"))
    assert a.spec_id == b.spec_id != c.spec_id
    assert a.params.identity() == {"sha256": hashlib.sha256(data).hexdigest()}
    assert a.params.columns() == {"path": "a.tflite"}
    assert a.label() == "file path=a.tflite"


def test_the_graph_is_that_of_the_file_under_the_label(tmp_path: Path) -> None:
    data = written("float16")
    (tmp_path / "m.tflite").write_bytes(data)
    (spec,) = find_models("m.tflite", tmp_path)
    graph, expected = build_graph(spec), parse_graph(data, spec.label())
    assert graph == expected
    assert graph.macs == 40 * 40 + 40 * 4


def test_a_file_that_has_changed_is_another_model(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(written())
    (spec,) = find_models("m.tflite", tmp_path)
    path.write_bytes(written(seed=1))
    with pytest.raises(BadInput, match="has changed since the sweep was read"):
        build_graph(spec)
    path.unlink()
    with pytest.raises(BadInput, match="No such file"):
        build_graph(spec)


def test_a_file_that_is_cut_short_kills_nobody_who_has_its_bytes(tmp_path: Path) -> None:
    """Who reads a mapped file behind its new end gets SIGBUS."""
    path, data = tmp_path / "m.tflite", written("float32")
    path.write_bytes(data)
    (spec,) = find_models("m.tflite", tmp_path)
    held = own_bytes(cast(FileParams, spec.params))
    os.truncate(path, 0)
    assert bytes(held) == data


def test_patterns_are_sorted_and_equal_files_come_once(tmp_path: Path) -> None:
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for seed, name in enumerate(("b.tflite", "a.tflite", "more/c.tflite", "more/deep/d.tflite", "odd[1].tflite")):
        (tmp_path / name).write_bytes(written(seed=seed))
    (tmp_path / "same.tflite").write_bytes(written(seed=0))
    (tmp_path / "notes.txt").write_text("no model")
    assert found(tmp_path, "?.tflite") == ["a.tflite", "b.tflite"]
    assert found(tmp_path, "[bs]*.tflite") == ["b.tflite"]
    assert found(tmp_path, "odd[1].tflite") == ["odd[1].tflite"]  # a file of that very name
    assert found(tmp_path, "more/**/*.tflite") == ["more/c.tflite", "more/deep/d.tflite"]
    assert found(tmp_path, str(tmp_path / "more" / "*.tflite")) == [str(tmp_path / "more" / "c.tflite")]


def with_dynamic_batch(data: bytes) -> bytes:
    model = objects(data)
    model.subgraphs[0].tensors[0].shapeSignature = vector(-1, 40)
    return pack(model)


def with_two_subgraphs(data: bytes) -> bytes:
    model = objects(data)
    model.subgraphs.append(objects(data).subgraphs[0])
    return pack(model)


def without_ops(data: bytes) -> bytes:
    model = objects(data)
    model.subgraphs[0].operators = []
    return pack(model)


def with_float16_values(data: bytes) -> bytes:
    model = objects(data)
    for tensor in model.subgraphs[0].tensors:
        tensor.type = 1  # FLOAT16
        model.buffers[tensor.buffer].data = None
    return pack(model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: b"# a model\n" * 9, "is text"),
        (lambda data: b"PK\3\4" + bytes(99), "a zip archive, such as a .keras model"),
        (lambda data: data[:40], "truncated|damaged"),
        (with_dynamic_batch, "'input' has the shape \\?x40, and sizes must be fixed: convert the model with a fixed"),
        (with_two_subgraphs, "has 2 subgraphs, .* convert it so that it has one"),
        (without_ops, "has no ops"),
        (with_float16_values, "computes in float16, and not in int8, uint8 or float32"),
    ],
)
def test_what_can_not_be_a_point_is_said(tmp_path: Path, make: Callable[[bytes], bytes], message: str) -> None:
    (tmp_path / "m.tflite").write_bytes(make(written("float32")))
    with pytest.raises(BadInput, match=message) as error:
        find_models("m.tflite", tmp_path)
    assert str(tmp_path / "m.tflite") in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    os.symlink("loop", tmp_path / "loop")
    for name, message in (("no", "No such file"), ("folder", "directory"), ("pipe", "no regular file"), ("loop", "oo")):
        with pytest.raises(BadInput, match=f"{re.escape(str(tmp_path / name))}: .*{message}"):
            find_models(name, tmp_path)
    with pytest.raises(BadInput, match=re.escape("no file matches 'x*.tflite' in")):
        find_models("x*.tflite", tmp_path)


def test_compiled_files_are_points(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(compiled_model())
    (spec,) = find_models("m.tflite", tmp_path)
    assert spec.precision == "int8"
    assert build_graph(spec).is_compiled


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 2**32 - 1))
def test_any_bytes_are_a_model_or_bad_input(tmp_path_factory: pytest.TempPathFactory, tail: bytes, seed: int) -> None:
    path = tmp_path_factory.mktemp("any") / "m.tflite"
    whole = bytearray(written())
    at = seed % len(whole)
    whole[at : at + len(tail)] = tail
    for data in (tail, bytes(whole)):
        path.write_bytes(data)
        with contextlib.suppress(BadInput):
            (spec,) = find_models(path.name, path.parent)
            assert build_graph(spec).layers
