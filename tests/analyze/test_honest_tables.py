"""What an analysis refuses or leaves out, so that no number is less than it seems."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paraedge.analyze.speedup import direction_of, speedup
from paraedge.analyze.table import load_table
from paraedge.core.errors import BadInput


def test_measured_and_simulated_rows_of_one_side_are_not_averaged() -> None:
    table = pd.DataFrame({"n": [1, 2], "origin": ["measured", "simulated"], "latency_ms": [1.0, 2.0]})
    with pytest.raises(BadInput, match="measured and simulated"):
        speedup(table, table, ["n"], "latency_ms")
    measured, simulated = table.iloc[:1], table.iloc[1:].assign(n=1)
    assert speedup(measured, simulated, ["n"], "latency_ms").median == 0.5


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("ms_per_invoke", "lower is better"),
        ("latency_per_example_ms", "lower is better"),
        ("latency_median_ms", "lower is better"),
        ("examples_per_s", "higher is better"),
        ("gops_per_s", "higher is better"),
    ],
)
def test_direction_of_a_metric(metric: str, direction: str) -> None:
    assert direction_of(metric) == direction


def test_a_number_cut_short_by_a_kill_is_not_read(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[2] / "results" / "example" / "runs.csv"
    lines = example.read_bytes().splitlines(keepends=True)[:4]
    whole, torn = tmp_path / "whole.csv", tmp_path / "torn.csv"
    whole.write_bytes(b"".join(lines[:3]))
    column = lines[0].decode().split(",").index("latency_median_ms")
    cells = lines[3].decode().split(",")
    torn.write_bytes(b"".join(lines[:3]) + ",".join([*cells[:column], cells[column][:1]]).encode())
    assert load_table(torn).latency_median_ms.tolist() == load_table(whole).latency_median_ms.tolist()
