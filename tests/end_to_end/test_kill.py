"""A campaign killed at any moment and resumed ends with exactly the expected rows."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import psutil
import pytest

from paraedge.core.device import Origin
from paraedge.devices import registry
from paraedge.sweep import load_sweep

SWEEP = """
name = "killed"
devices = ["cpu", "sim-edgetpu-usb3"]

[measure]
rounds = 2
time_budget_s = 0.12
precision = 0.000001

[[grid]]
family = "fc"
layer = [1, 2, 3]
node = { min = 16, max = 128, times = 2 }
input = [16, 32]
output = 10

[[grid]]
family = "matmul"
n = { min = 8, max = 128, times = 2 }
"""


def command(sweep: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "paraedge", "run", str(sweep), "--out", str(out)]


def run_and_kill(arguments: list[str], environment: dict[str, str], delay_s: float) -> bool:
    """Start the campaign in a process group of its own, kill the whole group after `delay_s`; whether it was killed."""
    process = subprocess.Popen(
        arguments, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def living(mark: str) -> list[int]:
    """Processes that carry our mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("PARAEDGE_TEST_MARK") == mark:
                found.append(process.pid)
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kills", [12, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_again_and_again_and_resumed(tmp_path: Path, kills: int) -> None:
    sweep_file, out = tmp_path / "killed.toml", tmp_path / "campaign"
    sweep_file.write_text(SWEEP)
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PARAEDGE_TEST_MARK": mark}
    moments = random.Random(20)
    killed = 0
    for _ in range(kills):
        # most kills fall where rows are written; the rest on start-up, roofs and repair
        killed += run_and_kill(
            command(sweep_file, out), environment, moments.choice([0.3, 1.0, 2.5]) + moments.random()
        )
        deadline = time.monotonic() + 10
        while living(mark) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert living(mark) == []
    assert killed >= kills // 2, "the campaign ended too early for the kills to mean anything"

    done = subprocess.run(
        command(sweep_file, out), env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr

    sweep = load_sweep(sweep_file)
    expected = {
        (spec.spec_id, device, str(number))
        for spec in sweep.points()
        for device in sweep.devices
        for number in range(1, 1 + (2 if registry.info(device).origin is Origin.MEASURED else 1))
    }
    runs = rows(out / "runs.csv")
    found = Counter((row["spec_id"], row["device"], row["round"]) for row in runs)
    assert set(found) == expected
    assert max(found.values()) == 1
    assert {row["status"] for row in runs} == {"ok"}
    sampled = Counter(row["run_id"] for row in rows(out / "samples.csv"))
    assert sampled == {row["run_id"]: int(row["samples"]) for row in runs}
    assert living(mark) == []
