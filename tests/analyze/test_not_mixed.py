"""Rows of pipelines are not put into one number with each other, nor with those of models that ran whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paraedge.analyze.compare import compare
from paraedge.analyze.findings import findings
from paraedge.analyze.points import last_attempts, points, target_labels, whole
from paraedge.analyze.roofline import roofline
from paraedge.analyze.speedup import speedup
from paraedge.analyze.weights import weights
from paraedge.core.errors import BadInput

WAYS: list[tuple[int | None, str | None, int | None]] = [
    (None, None, None), (1, None, 1), (1, None, 50), (2, "params", 50), (2, "data", 50), (4, "data", 50),
]  # fmt: skip


def table(nodes: tuple[int, ...] = (64,), ways: list[tuple[int | None, str | None, int | None]] = WAYS) -> pd.DataFrame:
    """Two rounds of each way to run each model; the latency says which way it was."""
    lines = [
        {
            "run_id": f"r{node}-{k}-{number}", "spec_id": f"s{node}", "family": "fc", "node": node, "precision": "int8",
            "batch": 1, "batch_mode": "native", "device": "cpu", "origin": "measured", "round": number, "attempt": 1,
            "threads": 1, "kernels": "xnnpack", "segments": way[0], "strategy": way[1], "inputs": way[2],
            "status": "ok", "latency_median_ms": (1.0 + k) * node, "throughput_per_s": 10.0 * (1 + k) + number,
            "macs": node * node, "gap": 0.5, "off_chip_bytes": None,
        }
        for node in nodes
        for number in (1, 2)
        for k, way in enumerate(ways)
    ]  # fmt: skip
    made = pd.DataFrame(lines)
    return made.assign(segments=made["segments"].astype("Int64"), inputs=made["inputs"].astype("Int64"))


def test_each_way_is_a_point() -> None:
    made = points(table())
    assert made["latency_median_ms"].tolist() == [64.0 * (1 + k) for k in range(len(WAYS))]
    assert set(made["n_rounds"]) == {2}
    assert made["throughput_per_s"].tolist() == [10.0 * (1 + k) + 1.5 for k in range(len(WAYS))]
    assert set(made["gap"]) == {0.5}
    assert len(last_attempts(table())) == 2 * len(WAYS)


def test_labels_are_those_of_targets() -> None:
    assert target_labels(points(table())).tolist() == [
        "cpu threads=1 kernels=xnnpack",
        "cpu threads=1 kernels=xnnpack segments=1 inputs=1",
        "cpu threads=1 kernels=xnnpack segments=1 inputs=50",
        "cpu threads=1 kernels=xnnpack segments=2 strategy=params inputs=50",
        "cpu threads=1 kernels=xnnpack segments=2 strategy=data inputs=50",
        "cpu threads=1 kernels=xnnpack segments=4 strategy=data inputs=50",
    ]


def test_a_table_of_an_earlier_release_is_whole_models() -> None:
    earlier = table(ways=WAYS[:1]).drop(columns=["segments", "strategy", "inputs"])
    assert target_labels(earlier).unique().tolist() == ["cpu threads=1 kernels=xnnpack"]
    assert len(whole(earlier)) == len(earlier)
    assert len(points(earlier)) == 1


def test_a_comparison_holds_like_against_like() -> None:
    base, new = table(), table()
    new["latency_median_ms"] *= np.where(new["strategy"] == "params", 2.0, 1.0)
    found = compare(points(base), points(new)).points.set_index("strategy")
    assert found.loc["params", "speedup"] == pytest.approx(0.5)
    assert found.drop(index="params")["speedup"].tolist() == pytest.approx([1.0] * 5)


def test_a_comparison_with_an_earlier_release() -> None:
    earlier = table(ways=WAYS[:1]).drop(columns=["segments", "strategy", "inputs"])
    result = compare(points(earlier), points(table()))
    assert len(result.points) == 1
    assert result.points["speedup"].tolist() == [1.0]
    assert result.only_new == tuple(f"s64 {label} (not there)" for label in target_labels(points(table()))[1:])


def test_a_speedup_over_rows_of_several_ways_is_refused() -> None:
    made = points(table())
    with pytest.raises(BadInput, match="different segments"):
        speedup(made, made, ["spec_id"], "latency_median_ms")
    two = made[made["segments"] == 2]
    with pytest.raises(BadInput, match="different strategy"):
        speedup(two, two, ["spec_id"], "latency_median_ms")


def test_weights_have_a_line_for_each_way() -> None:
    nodes = (16, 32, 64, 128)
    made = points(table(nodes))
    result = weights(made, ["node"], "latency_median_ms")
    assert len(result.groups) == len(WAYS)
    assert all(group.r2 == pytest.approx(1) for group in result.groups)
    assert "segments=2 · params · inputs=50" in {group.name for group in result.groups}


def test_no_roof_is_held_over_several_devices() -> None:
    made = points(table())
    result = roofline(made, {})
    assert "5 points of pipelines are left out: several devices have no one roof" in result.notes


def test_findings_are_of_whole_models() -> None:
    made = points(table((16, 32, 64)))
    assert findings(made) == findings(whole(made))
    assert findings(made[made["segments"].notna()]) == []
