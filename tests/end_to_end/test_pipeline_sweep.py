"""A sweep with pipelines through the command line: its rows, its words, and killed and resumed on the real CPU."""

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.sweep import load_sweep

KILLS = 5
SWEEP = """
name = "piped"
devices = ["cpu", "sim-edgetpu-pcie"]

[measure]
rounds = 2
time_budget_s = 0.02

[pipeline]
segments = [1, 2]
strategy = ["profiled", "optimal", "data"]
inputs = [1, 20]

[[grid]]
family = "fc"
layer = 2
node = 32
input = 16
output = 10
"""


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def living(mark: str) -> list[int]:
    """Processes that carry our mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("PARAEDGE_TEST_MARK") == mark:
                found.append(process.pid)
    return found


def test_killed_again_and_again_and_resumed(tmp_path: Path) -> None:
    file, out = tmp_path / "piped.toml", tmp_path / "campaign"
    file.write_text(SWEEP)
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PARAEDGE_TEST_MARK": mark, "PARAEDGE_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "paraedge", "run", str(file), "--out", str(out)]
    moments = random.Random(4)
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0 + 2 * moments.random())
        process.send_signal(signal.SIGKILL)  # the campaign's own process alone: its children must see to themselves
        process.wait()
        deadline = time.monotonic() + 30
        while living(mark) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert living(mark) == []
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr

    specs = [spec.spec_id for spec in load_sweep(file).points()]
    ways = [("1", ""), ("2", "profiled"), ("2", "optimal"), ("2", "data")]
    expected = {
        (spec, device, *way, inputs, number)
        for spec, way, inputs in itertools.product(specs, ways, ("1", "20"))
        for device, number in (("cpu", "1"), ("cpu", "2"), ("sim-edgetpu-pcie", "1"))
    }
    runs = rows(out / "runs.csv")
    keys = ("spec_id", "device", "segments", "strategy", "inputs", "round")
    assert Counter(tuple(row[key] for key in keys) for row in runs) == Counter(expected)
    assert {row["status"] for row in runs} == {"ok"}
    cuts = {(row["device"], row["strategy"], row["cuts"]) for row in runs if row["strategy"]}
    assert len(cuts) == 2 * 3, "calls that followed each other cut otherwise"
    stages = Counter(row["run_id"] for row in rows(out / "stages.csv"))
    assert stages == {row["run_id"]: int(row["devices_used"]) for row in runs}
    assert Counter(row["run_id"] for row in rows(out / "samples.csv")) == {
        row["run_id"]: int(row["samples"]) for row in runs
    }


def test_what_the_terminal_and_json_say(tmp_path: Path) -> None:
    file, out = tmp_path / "piped.toml", tmp_path / "campaign"
    file.write_text(SWEEP.replace('"data"]', '"fit", "data"]').replace("segments = [1, 2]", "segments = [1, 2, 4]"))
    result = call("run", file, "--out", out, "--device", "sim-edgetpu-pcie")
    assert result.exit_code == 0, result.stderr
    header, *lines = result.stdout.splitlines()
    assert header.split()[:7] == ["device", "origin", "segments", "inputs", "strategy", "points_ok", "points_failed"]
    first = lines[0].split()
    assert first[:5] == ["sim-edgetpu-pcie", "simulated", "1", "1", "1"]
    assert str(out / "stages.csv") in result.stdout
    again = json.loads(call("run", file, "--out", out, "--device", "sim-edgetpu-pcie", "--json").stdout)
    assert again["stages"] == str(out / "stages.csv")
    assert again["ok"] == 0
    found = {(row["segments"], row["strategy"], row["inputs"]): row for row in again["devices"]}
    assert len(found) == 2 * (1 + 2 * 4)
    assert found[1, None, 20]["speedup"] == 1
    assert found[4, "optimal", 20]["points_failed"] == 1  # of three layers
    assert any("4 segments" in kind["example"] for kind in again["failures"])


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "piped.toml"
    for wrong, say in (
        (
            SWEEP.replace("segments = [1, 2]", "segments = 0"),
            "pipeline.segments = 0: must be a whole number of devices",
        ),
        (SWEEP.replace('"optimal"', '"best"'), "pipeline.strategy = 'best': must be one of params"),
        (SWEEP.replace('"cpu"', '"cluster:none"'), "no cluster file none"),
        (SWEEP.replace('"cpu"', '"cluster:four-boards"').replace("[1, 2]", "5"), "has 4 hosts"),
    ):
        file.write_text(wrong)
        result = call("run", file, "--out", tmp_path / "campaign")
        assert result.exit_code == 2
        assert say in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_models_without_a_result_leave_the_others_speed_ups_alone(tmp_path: Path) -> None:
    """One whose cuts can't be looked for, and one that an Edge TPU takes in part, before one that it takes whole."""
    head = SWEEP.partition("[[grid]]")[0].replace('"cpu", ', "").replace('"profiled", ', "")
    whole = '[[grid]]\nfamily = "fc"\nlayer = 6\nnode = 2000\n'
    long = '[[grid]]\nfamily = "rnn"\ncell = "rnn"\nlayer = 9\nembed = 8\nlength = 100\nvocab = 8\n'
    partly = '[[grid]]\nfamily = "zoo"\nmodel = "transformer_base"\nimage = 8\n'
    found = []
    for name, grids in (("alone", whole), ("mixed", long + partly + whole)):
        file = tmp_path / f"{name}.toml"
        file.write_text(head + grids)
        ran = call("run", file, "--out", tmp_path / name, "--json")
        assert ran.exit_code == 0, ran.output
        found.append(json.loads(ran.stdout)["devices"])
    alone, mixed = found
    values = ("segments", "strategy", "inputs", "latency_median_ms", "speedup")
    assert [[row[key] for key in values] for row in mixed] == [[row[key] for key in values] for row in alone]
    assert {(row["points_ok"], row["points_failed"]) for row in mixed} == {(2, 1)}
    assert any(row["speedup"] > 1 for row in alone)
