"""A simulated latency that leaves out products counts nowhere: not in tables to compare, not in a run's best rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraedge import flow
from paraedge.analyze.table import load_points
from paraedge.cli.campaigns import _by_device
from paraedge.sweep import parse_sweep

SWEEP = """
name = "parts"
devices = ["sim-edgetpu-usb3"]

[[grid]]
family = "matmul"
n = 64

[[grid]]
family = "zoo"
model = "transformer_base"
"""


def test_a_prediction_in_part_has_no_rate(tmp_path: Path) -> None:
    flow.run_campaign(parse_sweep(SWEEP, source="parts.toml"), folder=tmp_path)
    table = load_points(tmp_path).set_index("family")
    assert table["status"].to_dict() == {"matmul": "ok", "zoo": "failed"}
    assert table["gops_per_s"].isna().to_dict() == {"matmul": False, "zoo": True}
    assert str(table.loc["zoo", "error"]).startswith("incomplete prediction: ")
    (row,), _ = _by_device(tmp_path)
    assert row["rows_ok"] == 2
    assert row["best_gops_per_s"] == pytest.approx(table.loc["matmul", "gops_per_s"])
