"""Rounds into points, against a plain loop and hand-computed numbers."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paraedge.analyze.points import invokes, last_attempts, parameter_columns, points, target_labels
from paraedge.core.device import Target
from paraedge.core.errors import BadInput


def test_median_interval_and_rates_of_three_rounds(run, make_runs) -> None:
    rounds = [2.0, 4.0, 3.0]
    rows = [
        run(round=i, latency_median_ms=ms, latency_low_ms=ms - 0.1, latency_high_ms=ms + 0.1, latency_min_ms=ms / 2,
            macs=3_000_000, batch=6, samples=10 + i, gops_per_s=99.0, temperature_c=40 + i)
        for i, ms in enumerate(rounds)
    ]  # fmt: skip
    point = points(make_runs(*rows)).iloc[0]
    assert point["latency_median_ms"] == 3.0
    assert point["round_medians_ms"] == (2.0, 4.0, 3.0)
    logs = np.log(rounds)
    low, high = stats.t.interval(0.95, 2, loc=logs.mean(), scale=stats.sem(logs))
    assert np.log([point["latency_low_ms"], point["latency_high_ms"]]) == pytest.approx([low, high])
    assert (point["within_low_ms"], point["within_high_ms"]) == pytest.approx((2.9, 3.1))
    assert point["gops_per_s"] == pytest.approx(2.0)  # 6e6 operations in 3 ms
    assert point["examples_per_s"] == pytest.approx(2000.0)
    assert (point["n_rounds"], point["n_failed"], point["samples"]) == (3, 0, 33)
    assert (point["latency_min_ms"], point["temperature_c"]) == (1.0, 42)
    assert point["between_spread"] == pytest.approx(math.exp(statistics.stdev(logs)) - 1)
    assert "round" not in point
    assert "run_id" not in point


def test_one_round_has_no_interval(run, make_runs) -> None:
    point = points(make_runs(run(latency_median_ms=2.0, latency_low_ms=1.0))).iloc[0]
    assert math.isnan(point["latency_low_ms"])
    assert math.isnan(point["latency_high_ms"])
    assert point["within_low_ms"] == 1.0


def test_a_point_is_good_if_one_round_is(run, make_runs) -> None:
    rows = [
        run(round=0, status="failed", error="run: Timeout"),
        run(round=1, latency_median_ms=5.0, warnings="hot"),
        run(spec_id="b", round=0, status="failed", error="build: TooLarge"),
        run(spec_id="b", round=1, status="failed", error="open: MemoryError"),
    ]
    found = points(make_runs(*rows))
    assert found["status"].tolist() == ["ok", "failed"]
    assert found["n_failed"].tolist() == [1, 2]
    assert found["n_rounds"].tolist() == [1, 0]
    assert found["round_medians_ms"].tolist() == [(5.0,), None]
    assert found["error"].isna().tolist() == [True, False]
    assert found["error"].iloc[1] == "open: MemoryError"
    assert found["warnings"].iloc[0] == "hot"
    assert found["latency_median_ms"].isna().tolist() == [False, True]


def test_targets_are_apart_and_empty_options_are_equal(run, make_runs) -> None:
    rows = [
        run(threads=1), run(threads=1, round=1), run(threads=2), run(kernels="builtin"),
        run(device="sim-edgetpu-pcie", origin="simulated", threads=None, kernels=None),
    ]  # fmt: skip
    found = points(make_runs(*rows))
    expected = [Target(device="cpu", threads=1, kernels="xnnpack"), Target(device="cpu", threads=2, kernels="xnnpack")]
    expected += [Target(device="cpu", threads=1, kernels="builtin"), Target(device="sim-edgetpu-pcie")]
    assert target_labels(found).tolist() == [target.label() for target in expected]
    assert found["n_rounds"].tolist() == [2, 1, 1, 1]


def test_only_the_last_attempt_counts(run, make_runs) -> None:
    rows = [
        run(attempt=2, latency_median_ms=7.0),
        run(attempt=1, status="failed", error="run: Timeout"),
        run(round=1, attempt=1, latency_median_ms=7.0),
    ]
    table = make_runs(*rows)
    assert last_attempts(table)["latency_median_ms"].tolist() == [7.0, 7.0]
    assert points(table)["n_failed"].tolist() == [0]
    assert len(last_attempts(table.drop(columns="attempt"))) == 2


def test_warnings_are_kept_once_each(run, make_runs) -> None:
    rows = [run(round=0, warnings="hot"), run(round=1, warnings="busy"), run(round=2, warnings="hot"), run(round=3)]
    assert points(make_runs(*rows))["warnings"].tolist() == ["hot; busy"]


def test_all_failed(run, make_runs) -> None:
    found = points(make_runs(run(status="failed", error="x"), run(spec_id="b", status="failed", error="y")))
    assert found["error"].tolist() == ["x", "y"]
    assert found["gops_per_s"].isna().all()


def test_many_points_equal_a_plain_loop(run, make_runs, generator) -> None:
    rows = [
        run(spec_id=f"{i:04x}", round=r, latency_median_ms=float(generator.lognormal()))
        for i in range(40) for r in range(generator.integers(1, 12))
    ]  # fmt: skip
    table = make_runs(*rows).sample(frac=1.0, random_state=1)
    found = points(table).set_index("spec_id")
    for spec_id, part in table.groupby("spec_id"):
        values = part["latency_median_ms"].tolist()
        middle = statistics.median(values)
        assert found.loc[spec_id, "latency_median_ms"] == pytest.approx(middle)
        if len(values) > 1:
            logs = np.log(values)
            half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(logs)
            assert found.loc[spec_id, "latency_low_ms"] == pytest.approx(min(math.exp(logs.mean() - half), middle))
            assert found.loc[spec_id, "latency_high_ms"] == pytest.approx(max(math.exp(logs.mean() + half), middle))


def test_points_need_a_campaigns_columns() -> None:
    with pytest.raises(BadInput, match="spec_id"):
        points(pd.DataFrame({"a": [1]}))


def test_parameters_and_invokes(run, make_runs) -> None:
    table = make_runs(run(batch=4), run(spec_id="b", batch=4, batch_mode="looped"))
    assert parameter_columns(table) == ["layer", "node", "batch"]  # kernel is empty
    assert parameter_columns(table[["layer"]]) == []
    assert invokes(table).tolist() == [1.0, 4.0]
    assert invokes(table[["layer"]]).tolist() == [1.0, 1.0]
