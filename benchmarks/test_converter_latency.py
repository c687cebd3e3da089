"""The same points from both writers, timed on the CPU and compared as a user would: `paraedge compare`."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

SWEEP = """
name = "{builder}"
devices = ["cpu"]
builder = "{builder}"

[measure]
rounds = 5
time_budget_s = 0.2

[[grid]]
family = "fc"
layer = 4
node = [512, 1024]

[[grid]]
family = "matmul"
n = 1024

[[grid]]
family = "cnn"
kind = ["residual", "bottleneck"]
block = 1
filter = 16
image = 96

[[grid]]
family = "rnn"
cell = ["lstm", "gru"]
layer = 1
embed = 128
length = 10
vocab = 32

[[grid]]
family = "zoo"
model = ["mobilenet_v1", "mobilenet_v2"]
image = 128
"""


def paraedge(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "paraedge", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.tensorflow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow: nox -s tensorflow")
@pytest.mark.benchmark(group="writers")
def test_the_writers_files_take_the_same_time(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    folders = []
    for builder in ("direct", "tensorflow"):
        (tmp_path / f"{builder}.toml").write_text(SWEEP.format(builder=builder))
        folders.append(str(tmp_path / builder))
        ran = paraedge("run", str(tmp_path / f"{builder}.toml"), "--out", folders[-1])
        assert ran.returncode == 0, ran.stderr
    compared = benchmark.pedantic(lambda: paraedge("compare", *folders, "--json"), rounds=1)
    found = json.loads(compared.stdout)
    print(f"\n{found['counts']}, measured mean {found['means']['measured']}")
    for point in found["points"]:
        interval = f"{point['low']:.3f} to {point['high']:.3f}"
        print(f"  {point['spec_id']} {point['speedup']:.3f} ({interval}) {point['verdict']}")
    benchmark.extra_info.update(found["counts"])
    assert found["counts"]["faster"] == found["counts"]["slower"] == 0
    assert sum(found["counts"].values()) == 9
