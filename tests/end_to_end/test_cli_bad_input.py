"""Bad input of each kind: exit code 2, one line on stderr that says what is wrong, and nothing is written."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from paraedge.cli import app

GOOD = """
name = "good"
devices = ["sim-edgetpu-usb3"]
[measure]
rounds = 1
[[grid]]
family = "fc"
layer = 2
node = [32, 64]
input = 64
output = 10
"""

BAD_SWEEPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unknown top key": (GOOD.replace("[measure]", "colour = 1\n[measure]"), ("colour",)),
    "unknown measure key": (GOOD.replace("rounds", "rouds"), ("rouds", "rounds")),
    "unknown parameter": (GOOD.replace("layer", "layers"), ("layers", "layer")),
    "wrong type": (GOOD.replace("layer = 2", 'layer = "two"'), ("layer", "two")),
    "boolean": (GOOD.replace("layer = 2", "layer = true"), ("layer",)),
    "fraction": (GOOD.replace("layer = 2", "layer = 2.5"), ("layer", "2.5")),
    "negative size": (GOOD.replace("input = 64", "input = -64"), ("input", "-64")),
    "zero size": (GOOD.replace("output = 10", "output = 0"), ("output",)),
    "empty list": (GOOD.replace("[32, 64]", "[]"), ("node",)),
    "empty range": (GOOD.replace("[32, 64]", "{ min = 64, max = 32, times = 2 }"), ("node", "min", "max")),
    "times 1": (GOOD.replace("[32, 64]", "{ min = 32, max = 64, times = 1 }"), ("node", "times")),
    "times 0": (GOOD.replace("[32, 64]", "{ min = 32, max = 64, times = 0 }"), ("node", "times")),
    "plus 0": (GOOD.replace("[32, 64]", "{ min = 32, max = 64, plus = 0 }"), ("node", "plus")),
    "times and plus": (GOOD.replace("[32, 64]", "{ min = 32, max = 64, plus = 1, times = 2 }"), ("node",)),
    "range without step": (GOOD.replace("[32, 64]", "{ min = 32, max = 64 }"), ("node",)),
    "unknown family": (GOOD.replace('"fc"', '"transformer"'), ("transformer", "fc")),
    "missing family": (GOOD.replace('family = "fc"', ""), ("family",)),
    "missing parameter": (GOOD.replace("node = [32, 64]", ""), ("node",)),
    "no grid": (GOOD.partition("[[grid]]")[0], ("grid",)),
    "no name": (GOOD.replace('name = "good"', ""), ("name",)),
    "unknown device": (GOOD.replace("sim-edgetpu-usb3", "tpu-v9"), ("tpu-v9", "sim-edgetpu-usb3")),
    "negative rounds": (GOOD.replace("rounds = 1", "rounds = -1"), ("rounds",)),
    "not TOML": ("this is = = not TOML", ("TOML",)),
    "empty": ("", ()),
    "too many points": (
        GOOD.replace("layer = 2", "layer = { min = 1, max = 2000, plus = 1 }")
        .replace("[32, 64]", "{ min = 1, max = 2000, plus = 1 }"),
        ("--yes", "4,000,000"),
    ),
}  # fmt: skip


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refuses(*arguments: object, names: tuple[str, ...] = ()) -> str:
    """Check that the command answers as bad input should be answered; the line that it says."""
    result = call(*arguments)
    assert result.exit_code == 2, (result.exit_code, result.stdout, result.stderr, result.exception)
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("paraedge: ")
    for name in names:
        assert name in lines[0]
    return str(lines[0])


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "good.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("kind", BAD_SWEEPS)
def test_a_bad_sweep(kind: str, tmp_path: Path) -> None:
    text, names = BAD_SWEEPS[kind]
    path = tmp_path / "bad.toml"
    path.write_text(text)
    refuses("run", path, "--out", tmp_path / "out", names=names)
    assert not (tmp_path / "out").exists()


def test_a_sweep_that_is_not_there(tmp_path: Path) -> None:
    refuses("run", tmp_path / "gone.toml", names=("gone.toml",))
    refuses("run", "no-such-shipped-sweep", names=("no-such-shipped-sweep",))
    refuses("run", tmp_path, names=(str(tmp_path),))
    (tmp_path / "bytes.toml").write_bytes(bytes(range(256)))
    refuses("run", tmp_path / "bytes.toml", names=("bytes.toml",))


def test_a_device_that_is_not_there(sweep: Path, tmp_path: Path) -> None:
    refuses("run", sweep, "--device", "abacus", "--out", tmp_path / "out", names=("abacus", "cpu"))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_or_an_edited_sweep(sweep: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("run", sweep, "--out", out).exit_code == 0
    before = (out / "runs.csv").read_bytes()
    edited = tmp_path / "edited.toml"
    edited.write_text(GOOD.replace("layer = 2", "layer = 3"))
    refuses("run", edited, "--out", out, names=(str(out),))
    other = tmp_path / "other.toml"
    other.write_text(GOOD.replace('name = "good"', 'name = "other"'))
    refuses("run", other, "--out", out, names=(str(out),))
    assert (out / "runs.csv").read_bytes() == before


def test_a_folder_that_holds_something_else(sweep: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"\xff\xd8")
    refuses("run", sweep, "--out", folder, names=(str(folder),))
    assert os.listdir(folder) == ["cat.jpg"]
    refuses("run", sweep, "--out", folder / "cat.jpg")


def truncated(data: bytes) -> bytes:
    return data[: len(data) // 2]


BAD_MODELS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": truncated,
    "empty": lambda data: b"",
    "text": lambda data: b"not a model\n" * 50,
    "random": lambda data: random.Random(1).randbytes(4096),
    "identifier only": lambda data: data[:8],
    "another identifier": lambda data: data[:4] + b"ABCD" + data[8:],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "good.toml").write_text(GOOD)
    assert call("build", folder / "good.toml", "-o", folder / "models").exit_code == 0
    return sorted((folder / "models").glob("*.tflite"))[0]


@pytest.mark.parametrize("kind", BAD_MODELS)
@pytest.mark.parametrize("command", [["inspect"], ["predict", "--device", "sim-edgetpu-usb3"]], ids=lambda c: c[0])
def test_a_bad_model(kind: str, command: list[str], model: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(BAD_MODELS[kind](model.read_bytes()))
    refuses(*command, path, names=("bad.tflite",))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    refuses("inspect", tmp_path / "gone.tflite", names=("gone.tflite",))
    refuses("inspect", tmp_path, names=(str(tmp_path),))


def test_a_prediction_for_what_is_not_simulated(model: Path) -> None:
    refuses("predict", model, "--device", "cpu", names=("cpu", "sim-edgetpu-usb3"))
    refuses("predict", model, "--device", "sim-abacus", names=("sim-abacus", "sim-edgetpu-usb3"))
    refuses("predict", model, names=("--device",))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text("layer,node,rate,kind\n1,2,3.0,a\n2,4,5.0,b\n3,6,9.0,c\n4,1,2.0,d\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["weights", "T", "--features", "layer,depth", "--target", "rate"], ("depth",)),
        (["weights", "T", "--features", "layer,node", "--target", "speed"], ("speed",)),
        (["weights", "T", "--features", "layer,kind", "--target", "rate"], ("kind",)),
        (["weights", "T", "--features", "layer,,node", "--target", "rate"], ("--features",)),
        (["weights", "T", "--features", "layer", "--target", "rate", "--where", "rate"], ("rate", "COLUMN=VALUE")),
        (["weights", "T", "--features", "layer", "--target", "rate", "--where", "kind=z"], ("kind=z", "a, b, c, d")),
        (["speedup", "--base", "T", "--new", "T", "--on", "depth", "--metric", "rate"], ("depth",)),
        (["speedup", "--base", "T", "--new", "T", "--on", "layer", "--metric", "speed"], ("speed",)),
        (["speedup", "--base", "T", "--new", "gone.csv", "--on", "layer", "--metric", "rate"], ("gone.csv",)),
        (["heatmap", "T", "--x", "layer", "--y", "depth", "--metric", "rate"], ("depth",)),
        (["heatmap", "T", "--x", "layer", "--y", "layer", "--metric", "rate"], ("layer",)),
        (["roofline", "T"], ("--peak",)),
        (["roofline", "T", "--macs", "gone", "--bytes", "node", "--peak", "1", "--bandwidth", "1"], ("gone",)),
        (["roofline", "T", *"--macs layer --bytes node --latency rate --peak -1 --bandwidth 1".split()], ("-1",)),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else "",
)  # fmt: skip
def test_an_analysis_of_columns_that_are_not_there(arguments: list[str], names: tuple[str, ...], table: Path) -> None:
    refuses("analyze", *(str(table) if text == "T" else text for text in arguments), names=names)


@pytest.mark.parametrize(
    "text", ["", "layer,node\n", "\x00\x01", 'a,b\n"1,2\n'], ids=["empty", "head", "bytes", "quote"]
)
def test_a_csv_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    refuses("analyze", "weights", path, "--features", "layer", "--target", "node")


@pytest.mark.parametrize("command", [["report"], ["compare"], ["analyze", "roofline"]], ids=" ".join)
def test_a_campaign_that_is_not_one(command: list[str], tmp_path: Path) -> None:
    arguments = [tmp_path] * (2 if command == ["compare"] else 1)
    refuses(*command, *arguments, names=(str(tmp_path),))
    gone = [tmp_path / "gone"] * len(arguments)
    refuses(*command, *gone, names=("gone",))
    (tmp_path / "runs.csv").write_text("this,is\nnot,one\n")
    (tmp_path / "meta.json").write_text("{}")
    refuses(*command, *arguments)


def test_the_program_itself_answers_so(tmp_path: Path) -> None:
    """The installed program, not only the runner: one line, no traceback."""
    command = [sys.executable, "-m", "paraedge", "run", str(tmp_path / "gone.toml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""
