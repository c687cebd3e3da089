"""The commands from outside: exit codes, JSON and nothing else on stdout, help with an example, progress on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import paraedge
from paraedge.cli import app
from paraedge.core.errors import BadInput, DeviceBusy

SIMULATED = "sim-edgetpu-usb3"
SWEEP = f"""
name = "tiny"
devices = ["{SIMULATED}"]
[[grid]]
family = "fc"
input = 64
layer = [2, 3]
node = {{ min = 32, max = 64, times = 2 }}
output = 10
"""
LEAVES = [
    ["run"], ["expand"], ["build"], ["compile"], ["devices"], ["doctor"], ["inspect"], ["predict"], ["report"],
    ["compare"], ["calibrate"], ["validate"], ["cut"], ["partition"],
    ["edgetpu", "run"], ["edgetpu", "selftest"], ["edgetpu", "diagnose"],
    ["analyze", "roofline"], ["analyze", "weights"], ["analyze", "speedup"], ["analyze", "heatmap"],
]  # fmt: skip


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(SWEEP)
    return path


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "tiny.toml").write_text(SWEEP)
    assert call("run", folder / "tiny.toml", "--out", folder / "out").exit_code == 0
    return folder / "out"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny.toml").write_text(SWEEP)
    rows = as_json("build", folder / "tiny.toml", "-o", folder)
    return Path(rows[0]["path"])


# --- help and exit codes ---


@pytest.mark.parametrize("command", LEAVES, ids=" ".join)
def test_help_has_an_example_and_json(command: list[str]) -> None:
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert f"paraedge {' '.join(command)}" in result.stdout.partition("Example:")[2]
    assert "--json" in result.stdout


def test_the_example_lines_are_commands_that_parse() -> None:
    top = typer.main.get_command(app)
    for command in LEAVES:
        leaf: Any = top
        for name in command:
            leaf = leaf.commands[name]
        lines = [line.split() for line in leaf.epilog.splitlines() if line.strip().startswith("paraedge ")]
        assert lines
        for line in lines:
            at = line.index(command[-1]) + 1
            leaf.make_context("paraedge", [*line[at:]])


def test_version_and_no_command() -> None:
    assert call("--version").stdout.strip() == paraedge.__version__
    assert call().exit_code == 0
    assert "Commands:" in call().stdout


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["run"], ["run", "--nope"], ["expand", "a", "b"], ["build", "quick"], ["analyze"], ["analyze", "nope"]],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_code_2(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert "--help" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (BadInput("say\nwhat is right"), 2, "say what is right"),
        (DeviceBusy("cpu is held by process 7"), 1, "held by process 7"),
        (FileNotFoundError(2, "No such file or directory", "x.toml"), 2, "x.toml"),
        (OSError(28, "No space left on device", "runs.csv"), 1, "No space left"),
        (KeyboardInterrupt(), 1, "run the same command to go on"),
    ],
)
def test_errors_have_their_exit_code(
    monkeypatch: pytest.MonkeyPatch, sweep: Path, error: BaseException, code: int, text: str
) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise error

    monkeypatch.setattr("paraedge.flow.run_campaign", fail)
    result = call("run", sweep)
    assert result.exit_code == code
    assert text in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_a_bug_is_code_1(monkeypatch: pytest.MonkeyPatch, sweep: Path) -> None:
    monkeypatch.setattr("paraedge.flow.run_campaign", lambda *a, **b: 1 / 0)
    assert call("run", sweep).exit_code == 1


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "many.toml"
    path.write_text(SWEEP.replace("[2, 3]", "{ min = 1, max = 400, plus = 1 }"))
    shell = f"{sys.executable} -m paraedge expand {path} | head -1"
    result = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.startswith("spec_id")
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr


# --- results ---


def test_expand_lists_points_with_hand_computed_counts(sweep: Path) -> None:
    points = as_json("expand", sweep)
    assert [(p["layer"], p["node"]) for p in points] == [(2, 32), (2, 64), (3, 32), (3, 64)]
    first = points[0]
    assert first["macs"] == 64 * 32 + 32 * 32 + 32 * 10
    assert first["parameters"] == first["macs"] + 32 + 32 + 10
    assert call("expand", sweep).stdout.count("\n") == 5


def test_build_writes_the_files_that_expand_foretold(sweep: Path, tmp_path: Path) -> None:
    rows = as_json("build", sweep, "-o", tmp_path / "models")
    sizes = {point["spec_id"]: point["file_bytes"] for point in as_json("expand", sweep)}
    assert {row["spec_id"]: Path(row["path"]).stat().st_size for row in rows} == pytest.approx(sizes, rel=0.01)


def test_run_and_resume(sweep: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = as_json("run", sweep, "--out", out)
    assert (first["total"], first["done_before"], first["ok"], first["failed"]) == (4, 0, 4, 0)
    assert all(Path(first[name]).is_file() for name in ("runs", "samples", "meta"))
    assert first["devices"][0]["origin"] == "simulated"
    again = as_json("run", sweep, "--out", out)
    assert (again["done_before"], again["ok"]) == (4, 0)
    text = call("run", sweep, "--out", out)
    assert SIMULATED in text.stdout
    assert str(out / "runs.csv") in text.stdout


def test_run_takes_its_own_folder_by_default(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sweep.parent)
    assert as_json("run", sweep, "--device", "sim-edgetpu-usb2")["folder"] == "results/tiny"
    assert call("analyze", "heatmap", "tiny", "--x", "layer", "--y", "node").exit_code == 0


def test_devices_and_doctor_say_what_is_here() -> None:
    found = as_json("devices")
    assert {"cpu", SIMULATED} <= {device["id"] for device in found if device["here"]}
    assert all(device["origin"] in {"measured", "simulated"} for device in found if device["here"])
    assert {finding["status"] for finding in as_json("doctor")} <= {"ok", "warn", "missing", "info"}
    assert call("devices").exit_code == call("doctor").exit_code == 0


def test_inspect_counts_what_the_model_holds(model: Path, sweep: Path) -> None:
    point = next(p for p in as_json("expand", sweep) if p["spec_id"] == model.stem)
    found = as_json("inspect", model)
    assert found["totals"]["macs"] == point["macs"] == sum(op["macs"] for op in found["ops"])
    assert found["totals"]["weight_bytes"] == point["weight_bytes"] == sum(op["weight_bytes"] for op in found["ops"])
    assert found["ops"][0]["op"] == "FULLY_CONNECTED"
    both = point["weight_bytes"] + found["totals"]["activation_bytes"]
    assert found["totals"]["intensity"]["weights_and_activations_ops_per_byte"] == pytest.approx(
        2 * point["macs"] / both
    )
    text = call("inspect", model)
    assert text.stdout.count("FULLY_CONNECTED") == 3


def test_predict_names_its_terms_and_its_origin(model: Path) -> None:
    found = as_json("predict", model, "--device", SIMULATED, "--why")
    assert found["origin"] == "simulated"
    assert sum(found["terms"].values()) == pytest.approx(found["latency_ms"])
    assert found["why"]
    assert "(simulated)" in call("predict", model, "--device", SIMULATED).stdout


def test_unknown_and_custom_ops_have_empty_macs(edgetpu_data: Path) -> None:
    ops = as_json("inspect", edgetpu_data / "models" / "split_concat_edgetpu.tflite")["ops"]
    assert [(op["op"], op["custom_code"], op["macs"]) for op in ops] == [("CUSTOM", "edgetpu-custom-op", None)]
    found = as_json("inspect", edgetpu_data / "models" / "keras_lstm_mnist_ptq.tflite")
    assert found["totals"]["unknown_ops"] == ["UNIDIRECTIONAL_SEQUENCE_LSTM"]
    assert found["totals"]["macs"] is None


def test_a_prediction_names_what_cannot_be_timed(edgetpu_data: Path) -> None:
    model = edgetpu_data / "models" / "model_invoking_error.tflite"
    found = as_json("predict", model, "--device", SIMULATED)
    assert found["latency_ms"] is None
    assert "fake-op-double" in found["untimed"][0]
    assert "no op can run" in call("predict", model, "--device", SIMULATED).stdout


def test_an_option_of_the_device_may_be_an_axis(tmp_path: Path) -> None:
    table = tmp_path / "runs.csv"
    lines = [f"sim,{segments},{node},{segments * node}" for segments in (2, 3) for node in (64, 128)]
    table.write_text("device,segments,node,rate\n" + "\n".join(lines) + "\n")
    drawn = as_json("analyze", "heatmap", str(table), "--x", "segments", "--y", "node", "--metric", "rate")
    assert [one["matrix"] for one in drawn["heatmaps"]] == [[[128, 192], [256, 384]]]


def test_analyze_on_any_csv(tmp_path: Path) -> None:
    base, new = tmp_path / "a.csv", tmp_path / "b.csv"
    grid = [(layer, node) for layer in (1, 2, 4, 8) for node in (32, 64, 128)]
    base.write_text("layer,node,rate\n" + "".join(f"{a},{b},{a * b}\n" for a, b in grid))
    new.write_text("layer,node,rate\n" + "".join(f"{a},{b},{a * b * (4 if a > 1 else 0.5)}\n" for a, b in grid))
    fit = as_json("analyze", "weights", base, "--features", "layer,node", "--target", "rate", "--log2", "--target-log2")
    assert fit["groups"][0]["r2"] == pytest.approx(1.0)
    found = as_json("analyze", "speedup", "--base", base, "--new", new, "--on", "layer,node", "--metric", "rate")
    assert (found["count"], found["median"], found["share_above_1"]) == (12, 4.0, 0.75)
    assert found["geometric_mean"] == pytest.approx(4**0.75 * 0.5**0.25)
    drawn = as_json("analyze", "heatmap", base, "--x", "node", "--y", "layer", "--metric", "rate")
    assert drawn["heatmaps"][0]["matrix"][0] == [32, 64, 128]
    roofs = ["--ops", "layer", "--bytes", "node", "--latency", "rate", "--peak", "4", "--bandwidth", "2"]
    assert as_json("analyze", "roofline", base, *roofs)["points"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["roofline"],
        ["weights", "--features", "layer,node"],
        ["heatmap", "--x", "layer", "--y", "node", "--where", f"device={SIMULATED}"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_analyze_on_a_campaign(campaign: Path, arguments: list[str]) -> None:
    assert as_json("analyze", arguments[0], campaign, *arguments[1:])
    assert call("analyze", arguments[0], campaign, *arguments[1:]).stdout


def test_compare_with_itself_finds_no_change(campaign: Path) -> None:
    found = as_json("compare", campaign, campaign)
    assert found["counts"] == {"faster": 0, "slower": 0, "same": 4, "undecided": 0}
    assert "4 same" in call("compare", campaign, campaign).stdout


def test_report_prints_the_path_of_the_page(campaign: Path, tmp_path: Path) -> None:
    result = call("report", campaign, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000
