"""`paraedge predict`: what it prints for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from paraedge import models
from paraedge.cli import app
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
        assert f"{spill['index']} CONV_2D" in text.split("streamed layer")[1]
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
