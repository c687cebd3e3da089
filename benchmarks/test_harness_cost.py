"""What the harness costs: a 200-point grid through `paraedge run` against a bare loop in one process.

The bare loop uses the same writer, the same interpreter and, point by point, as many invokes as the campaign made.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

SWEEP = """
name = "harness-cost"
devices = ["cpu"]

[measure]
rounds = 1
time_budget_s = 1
precision = 0.000001
warm_up_s = 0
max_invokes = 100

[[grid]]
family = "fc"
layer = { min = 4, max = 32, plus = 4 }
node = { min = 64, max = 1600, plus = 64 }
input = 64
output = 10
"""

BARE = """
import csv, json, sys, time
started = time.perf_counter()
from ai_edge_litert.interpreter import Interpreter
import numpy as np
from paraedge import models, tflite
from paraedge.sweep import load_sweep
invokes = json.load(open(sys.argv[2]))
for spec in load_sweep(sys.argv[1]).points():
    interpreter = Interpreter(model_content=bytes(tflite.write_model(models.build_graph(spec))), num_threads=1)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    for _ in range(invokes[spec.spec_id]):
        interpreter.invoke()
    del interpreter
print(time.perf_counter() - started)
"""


def timed(command: list[str]) -> float:
    """Wall seconds of a whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def invokes_by_spec(campaign: Path) -> dict[str, int]:
    """Timed invokes of each point, and one for the first."""
    with (campaign / "runs.csv").open(newline="") as file:
        spec_of = {row["run_id"]: row["spec_id"] for row in csv.DictReader(file)}
    counts: Counter[str] = Counter(dict.fromkeys(spec_of.values(), 1))
    with (campaign / "samples.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            counts[spec_of[row["run_id"]]] += int(row["invokes"])
    return dict(counts)


@pytest.mark.benchmark(group="harness")
def test_harness_cost(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    sweep, bare = tmp_path / "harness-cost.toml", tmp_path / "bare.py"
    sweep.write_text(SWEEP)
    bare.write_text(BARE)
    campaign = tmp_path / "campaign"
    command = [sys.executable, "-m", "paraedge", "run", str(sweep), "--out", str(campaign)]
    campaign_s = benchmark.pedantic(timed, args=(command,), rounds=1, iterations=1)
    invokes = invokes_by_spec(campaign)
    (tmp_path / "invokes.json").write_text(json.dumps(invokes))
    bare_s = timed([sys.executable, str(bare), str(sweep), str(tmp_path / "invokes.json")])
    left = sum(path.stat().st_size for path in campaign.rglob("*") if path.is_file())
    benchmark.extra_info.update(
        points=len(invokes),
        invokes=sum(invokes.values()),
        campaign_s=round(campaign_s, 2),
        bare_s=round(bare_s, 2),
        ratio=round(campaign_s / bare_s, 3),
        bytes_left=left,
    )
    print(f"\nharness {campaign_s:.1f} s, bare loop {bare_s:.1f} s, ratio {campaign_s / bare_s:.2f}, left {left} bytes")
    assert len(invokes) == 200
    assert campaign_s / bare_s <= 1.5
    assert left < 10_000_000
