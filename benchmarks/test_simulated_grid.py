"""100,000 simulated FC points through `paraedge run`, on one core, without writing a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

SWEEP = """
name = "hundred-thousand"
devices = ["sim-edgetpu-usb3"]

[[grid]]
family = "fc"
layer = { min = 1, max = 10, plus = 1 }
node = { min = 8, max = 4000, plus = 8 }
input = { min = 100, max = 2000, plus = 100 }
output = 10
"""


@pytest.mark.benchmark(group="simulated")
def test_hundred_thousand_points(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    sweep = tmp_path / "hundred-thousand.toml"
    sweep.write_text(SWEEP)
    pinned = ["taskset", "-c", "0"] if sys.platform == "linux" else []
    command = [*pinned, sys.executable, "-m", "paraedge", "run", str(sweep), "--out", str(tmp_path / "campaign")]
    benchmark.pedantic(subprocess.run, args=(command,), kwargs={"check": True, "capture_output": True}, rounds=1)
    rows = (tmp_path / "campaign" / "runs.csv").read_bytes().count(b"\n") - 1
    benchmark.extra_info.update(points=rows, points_per_s=round(rows / benchmark.stats["mean"]))
    assert rows == 100_000
