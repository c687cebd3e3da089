"""`paraedge predict`: what it prints for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compiled_files import compiled_model, model_of
from graph_builder import Builder
from typer.testing import CliRunner

from paraedge import models
from paraedge.cli import app
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models.conv_stack import ConvStackParams
from paraedge.models.fc import FcParams
from paraedge.simulate import load_hardware, predict
from paraedge.tflite import write_model

DEVICE = "sim-edgetpu-usb3"


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments), "--device", DEVICE])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def spilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "spilled.tflite"
    params = ConvStackParams(layer=5, kernel=3, image=64, channel=3, filter=640)
    path.write_bytes(write_model(models.build_graph(ModelSpec(family="conv_stack", params=params))))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small.tflite"
    params = FcParams(input=64, layer=2, node=64, output=10)
    path.write_bytes(write_model(models.build_graph(ModelSpec(family="fc", params=params))))
    return path


def test_every_streamed_layer_has_a_row_and_they_add_up(spilled: Path) -> None:
    found: dict[str, Any] = json.loads(call(spilled, "--why", "--json"))
    why = found["why"]
    assert [spill["index"] for spill in why["spilled"]] == found["placement"]["off_chip"]
    assert sum(spill["cost_ms"] for spill in why["spilled"]) + why["setup_ms"] == pytest.approx(
        found["terms"]["weights_ms"]
    )
    text = call(spilled, "--why")
    for sentence in why["sentences"]:
        assert sentence in text
    for spill in why["spilled"]:
        assert f"op {spill['index']} (CONV_2D)" in text.split("streamed layer")[1]
    advice = why["advice"]
    [[before, after]] = advice["widths"]["changed"]
    assert f"narrowed from {before} to {after} outputs" in text
    assert f"{advice['segments']['segments']} devices like {DEVICE}" in text
    assert f"predicted {advice['image']['latency_ms']:.3g} ms" in text


def test_the_interval_and_what_lies_outside_are_part_of_the_ordinary_output(small: Path, spilled: Path) -> None:
    for model in (small, spilled):
        found = json.loads(call(model, "--json"))
        text = call(model)
        assert "why" not in found
        assert ("90 % interval" in text) == (found["low_ms"] is not None)
        assert text.count("outside what was calibrated: ") == len(found["outside"])
        for clause in found["outside"]:
            assert f"outside what was calibrated: {clause}" in text
            assert call(model, "--why").count(clause) == 1


def test_a_compiled_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net_edgetpu.tflite"
    path.write_bytes(compiled_model(cached_bytes=100, cpu_ops=["ABS"]))
    result = CliRunner().invoke(app, ["predict", str(path), "--device", DEVICE])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "give the file that it was compiled from" in result.stderr


def test_a_model_of_which_nothing_can_be_mapped_is_one_statement_and_what_is_on_the_cpu(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(model_of([], cpu_ops=["ABS", "ABS", "NEG"]))
    for arguments in ([], ["--why"]):
        assert call(path, *arguments).splitlines() == [
            f"{path} on {DEVICE} (simulated): no latency; no op can run on the Edge TPU",
            "not timed:",
            "  ABS x2: on the CPU, operation not supported",
            "  op 2 (NEG): on the CPU, operation not supported",
        ]
    assert json.loads(call(path, "--json"))["latency_ms"] is None


def test_ops_on_the_cpu_are_told_once_and_leave_no_claim_of_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(write_model(with_cpu_ops(20)))
    text = call(path, "--why")
    headline, *lines = text.splitlines()
    assert headline.endswith("ms an invoke, without the ops on the CPU")
    assert "1 op on the device, 20 on the CPU (estimated)" in lines
    assert "at least" not in text
    assert "bound" not in text
    assert text.count("ABS") == 1
    assert "cpu_ms" not in text
    assert "first invoke" not in text  # there are no parameters to upload
    assert "stay in the device's cache" not in text


def with_cpu_ops(count: int) -> LayerGraph:
    """A RELU, and so many ABS behind it."""
    builder = Builder()
    x = builder.tensor((1, 64))
    y = builder.op("RELU", (x,), (1, 64))
    for _ in range(count):
        y = builder.op("ABS", (y,), (1, 64))
    return builder.graph([x], [y])


def test_the_command_says_what_the_library_says(small: Path) -> None:
    graph = models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=2, node=64, output=10)))
    found, wanted = json.loads(call(small, "--json")), predict(graph, load_hardware(DEVICE))
    assert found["latency_ms"] == pytest.approx(wanted.latency_ms)
    assert (found["low_ms"], found["high_ms"]) == (pytest.approx(wanted.low_ms), pytest.approx(wanted.high_ms))
    assert (found["regime"], found["outside"]) == (wanted.regime, list(wanted.outside))
    assert found["origin"] == "simulated"
    text = call(small, "--why")
    assert "nothing to mend" in text
    assert "streamed layer" not in text
