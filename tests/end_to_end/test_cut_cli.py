"""`paraedge cut` from outside: files that LiteRT runs, tables and JSON that agree with them, and bad input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_builder import Builder
from segment_runs import Loaded, random_inputs
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.tflite import parse_graph, write_model

TABLE = """\
segment  ops   macs  file_bytes  file
      0  0-0   6912        {0}  {folder}/net_segment_0_of_3.tflite
      1  1-1   2048        {1}  {folder}/net_segment_1_of_3.tflite
      2  2-3  18432        {2}  {folder}/net_segment_2_of_3.tflite

tensor  name  shape    dtype  size   from   to
     0  t0    1x8x8x3  int8   192 B  input  0
     3  t3    1x8x8x4  int8   256 B  0      1, 2
     6  t6    1x8x8x8  int8   512 B  1      2, output
    10  t10   1x8x8x4  int8   256 B  2      output
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Convolutions of 3 to 4 channels, of these to 8, of these to 4; to which the first's output is added."""
    builder = Builder()
    x = builder.tensor((1, 8, 8, 3))
    first = builder.conv(x, 4, padding="SAME", stride_w=1, stride_h=1)
    second = builder.conv(first, 8, kernel=1, padding="SAME", stride_w=1, stride_h=1)
    third = builder.conv(second, 4, padding="SAME", stride_w=1, stride_h=1)
    last = builder.op("ADD", (third, first), (1, 8, 8, 4))
    path = tmp_path / "net.tflite"
    path.write_bytes(write_model(builder.graph((x,), (last, second))))
    return path


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["cut", *map(str, arguments)])


def test_the_table(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "here"
    result = call(model, "--at", "1,2", "-o", out)
    assert result.exit_code == 0, result.stderr
    sizes = [f"{path.stat().st_size:>4}" for path in sorted(out.iterdir())]
    assert len(sizes) == 3
    assert result.stdout == TABLE.format(*sizes, folder=out)


def test_the_files_run_by_what_the_json_says(model: Path, tmp_path: Path) -> None:
    result = call(model, "--at", " 1, 3", "--out", tmp_path, "--json")
    content = json.loads(result.stdout)
    graph = parse_graph(model.read_bytes(), "net")
    (values,) = random_inputs(graph, 1)
    (expected,) = [Loaded(model.read_bytes(), graph.inputs, graph.outputs, "builtin")(values)]
    assert content["cuts"] == [1, 3]
    for segment in content["segments"]:
        path = Path(segment["file"])
        ids = [[tensor["tensor"] for tensor in segment[side]] for side in ("inputs", "outputs")]
        part = Loaded(path.read_bytes(), *ids, "builtin")
        for tensor, detail in zip(segment["inputs"], part.interpreter.get_input_details(), strict=True):
            assert (tensor["name"], tensor["shape"]) == (detail["name"], detail["shape"].tolist())
            assert tensor["dtype"] == np.dtype(detail["dtype"]).name
        assert segment["file_bytes"] == path.stat().st_size
        values |= part(values)
    assert all(np.array_equal(values[number], value) for number, value in expected.items())
    assert [segment["macs"] for segment in content["segments"]] == [6912, 20480, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net.tflite", "net_segment_0_of_3.tflite", "net_segment_1_of_3.tflite", "net_segment_2_of_3.tflite"
    ]  # fmt: skip


BAD: dict[str, tuple[Sequence[str], str]] = {
    "outside": (["--at", "4"], "can't be cut at op 4: it has 4 ops, so a segment can begin at any of 1 to 3"),
    "before": (["--at", "-1"], "can't be cut at op -1"),
    "first": (["--at", "0"], "can't be cut at op 0"),
    "far outside": (["--at", "9" * 19], "can't be cut at op 999"),
    "beyond numbers": (["--at", "9" * 5000], "--at takes numbers of ops such as 12 or 12,24, not '999"),
    "twice": (["--at", "2,2"], "the cut at op 2 is given twice"),
    "unordered": (["--at", "3,1"], "the cut at op 1 comes after 3"),
    "no number": (["--at", "1,conv"], "--at takes numbers of ops such as 12 or 12,24, not 'conv'"),
    "half a number": (["--at", "1.5"], "not '1.5'"),
    "another script": (["--at", "\u0662"], "not '\u0662'"),
    "empty": (["--at", ""], "not ''"),
    "a comma too many": (["--at", "1,"], "not ''"),
    "nothing": ([], "Missing option '--at'"),
}


def refused(*arguments: object) -> str:
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), (result.stdout, result.stderr, result.exception)
    (line,) = result.stderr.strip().splitlines()
    return str(line)


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD.keys())
def test_bad_cuts(arguments: Sequence[str], message: str, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert message in refused(model, *arguments, "-o", out)
    assert not out.exists()


def test_bad_files(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.tflite"
    text.write_text("no model")
    for path, message in ((tmp_path / "none.tflite", "No such file"), (text, "is text"), (tmp_path, "a directory")):
        assert message in refused(path, "--at", "1")
    assert "File exists; give a path that can be used" in refused(model, "--at", "1", "-o", text)
    assert "Not a directory" in refused(model, "--at", "1", "-o", text / "below")


def test_one_compiled_op(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.tensor((1, 8))
    path = tmp_path / "net_edgetpu.tflite"
    y = builder.op("CUSTOM", (x,), (1, 8), custom_code="edgetpu-custom-op")
    path.write_bytes(write_model(builder.graph((x,), (y,))))
    assert "has 1 op and can't be cut; what is compiled into one op can't either" in refused(path, "--at", "1")


def test_an_older_segment_is_replaced_and_nothing_else_left(model: Path, tmp_path: Path) -> None:
    old = tmp_path / "net_segment_0_of_2.tflite"
    old.write_text("old")
    assert call(model, "--at", "1", "-o", tmp_path).exit_code == 0
    assert parse_graph(old.read_bytes(), "new").layers
    assert len(list(tmp_path.iterdir())) == 3
