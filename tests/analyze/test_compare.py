"""Verdicts by hand, against scipy's tests, and their error rates by simulation."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from paraedge.analyze.compare import compare
from paraedge.analyze.points import points
from paraedge.core.errors import BadInput


def campaign(latencies_ms: np.ndarray, **given: object) -> pd.DataFrame:
    """Points from an array [points, rounds]."""
    count, rounds = latencies_ms.shape
    rows = {
        "spec_id": np.repeat([f"m{i}" for i in range(count)], rounds),
        "round": np.tile(np.arange(rounds), count),
        "latency_median_ms": latencies_ms.ravel(),
    }
    fixed = {"device": "cpu", "threads": 1, "kernels": "xnnpack", "origin": "measured", "status": "ok", "error": None}
    return points(pd.DataFrame(rows).assign(**(fixed | given)))


def noisy(generator: np.random.Generator, centre: np.ndarray, rounds: int, sigma: float) -> np.ndarray:
    return centre[:, None] * np.exp(generator.normal(0, sigma, (len(centre), rounds)))


def test_p_values_and_verdicts_are_those_of_welch_and_holm(generator) -> None:
    centre = generator.lognormal(0, 1, 40)
    factor = np.repeat([1.0, 1.2, 0.8, 1.02], 10)
    a, b = noisy(generator, centre, 5, 0.02), noisy(generator, centre * factor, 4, 0.02)
    result = compare(campaign(a), campaign(b))
    found = result.points.set_index("spec_id").loc[[f"m{i}" for i in range(40)]]
    tests = stats.ttest_ind(np.log(a), np.log(b), axis=1, equal_var=False)
    assert found["p"].to_numpy() == pytest.approx(tests.pvalue, rel=1e-6)
    corrected = multipletests(tests.pvalue, method="holm")[1]
    assert found["p_adjusted"].to_numpy() == pytest.approx(corrected, rel=1e-6)
    interval = tests.confidence_interval(0.95)
    assert np.log(found["low"].to_numpy()) == pytest.approx(interval.low, rel=1e-6)
    assert np.log(found["high"].to_numpy()) == pytest.approx(interval.high, rel=1e-6)
    log_ratio, limit = np.log(a).mean(1) - np.log(b).mean(1), math.log(1.03)
    for i, row in enumerate(found.itertuples()):
        if interval.low[i] >= -limit and interval.high[i] <= limit:
            expected = "same"
        elif corrected[i] < 0.05 and abs(log_ratio[i]) > limit:
            expected = "faster" if log_ratio[i] > 0 else "slower"
        else:
            expected = "undecided"
        assert row.verdict == expected
    assert result.tested == 40
    assert sum(result.counts.values()) == 40
    assert result.counts["slower"] >= 8
    assert result.counts["faster"] >= 8


def test_bh_decides_at_least_as_much(generator) -> None:
    centre = np.ones(60)
    a, b = noisy(generator, centre, 3, 0.02), noisy(generator, centre * 1.1, 3, 0.02)
    holm, bh = (compare(campaign(a), campaign(b), correction=name) for name in ("holm", "bh"))
    assert bh.counts["slower"] > holm.counts["slower"]
    assert bh.correction == "bh"


def test_nothing_changed_gives_no_false_alarm() -> None:
    """100 campaigns of 60 points against themselves: at most 5 % of them may hold any faster or slower point."""
    generator = np.random.default_rng(3)
    alarms = 0
    for _ in range(100):
        a, b = (noisy(generator, np.ones(60), 3, 0.02) for _ in range(2))
        counts = compare(campaign(a), campaign(b)).counts
        alarms += counts["faster"] + counts["slower"] > 0
    assert alarms <= 9  # binomial(100, 0.05) stays there with 97 %


def test_small_but_certain_differences_are_the_same_within_the_floor() -> None:
    a = np.array([[1.0, 1.0001, 0.9999]])
    assert compare(campaign(a), campaign(a * 1.01)).counts["same"] == 1
    assert compare(campaign(a), campaign(a * 1.01), floor=0.0).counts["slower"] == 1
    assert compare(campaign(a), campaign(a * 0.9)).points["speedup"].iloc[0] == pytest.approx(1 / 0.9)


def test_rounds_without_any_spread() -> None:
    a = np.full((2, 3), 1.0)
    found = compare(campaign(a), campaign(a * np.array([[1.0], [2.0]])))
    assert found.points["verdict"].tolist() == ["same", "slower"]
    assert json.dumps(found.as_dict(), allow_nan=False)


def test_one_round_decides_nothing() -> None:
    result = compare(campaign(np.array([[1.0]])), campaign(np.array([[9.0]])))
    assert result.counts["undecided"] == 1
    assert result.points["reason"].tolist() == ["fewer than two rounds on a side"]
    assert result.points["speedup"].iloc[0] == pytest.approx(1 / 9)
    assert "1 points have fewer than two rounds" in result.notes[0]
    assert result.tested == 0


def test_simulated_points_are_exact() -> None:
    given = {"device": "sim-edgetpu-pcie", "origin": "simulated", "threads": None, "kernels": None}
    base = campaign(np.array([[1.0], [1.0], [1.0]]), **given)
    new = campaign(np.array([[1.0 + 1e-12], [1.0001], [0.5]]), **given)
    result = compare(base, new)
    assert result.points["verdict"].tolist() == ["same", "slower", "faster"]
    assert result.tested == 0
    assert result.points["reason"].isna().all()


def test_geometric_mean_over_points_good_in_both() -> None:
    a = np.repeat([[1.0], [2.0], [4.0]], 3, axis=1)
    b = np.repeat([[0.5], [2.0], [1.0]], 3, axis=1)
    base, new = campaign(a), campaign(b)
    new.loc[1, "status"] = "failed"
    new.loc[1, "error"] = "run: Timeout"
    extra = campaign(np.repeat([[1.0]], 3, axis=1)).assign(spec_id="extra")
    result = compare(pd.concat([base, extra]), new)
    assert result.geometric_mean is not None
    assert result.geometric_mean.value == pytest.approx(math.sqrt(2 * 4))
    low, high = stats.t.interval(0.95, 1, loc=np.log([2, 4]).mean(), scale=stats.sem(np.log([2, 4])))
    assert np.log([result.geometric_mean.low, result.geometric_mean.high]) == pytest.approx([low, high])
    assert result.only_base == (
        "m1 cpu threads=1 kernels=xnnpack (failed: run: Timeout)", "extra cpu threads=1 kernels=xnnpack (not there)",
    )  # fmt: skip
    assert result.only_new == ()
    assert len(result.points) == 2


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "same"), (0.8, "faster"), (1.25, "slower")])
def test_the_verdict_on_the_mean(generator, factor: float, verdict: str) -> None:
    a, b = (noisy(generator, np.full(50, f), 3, 0.005) for f in (1.0, factor))
    assert compare(campaign(a), campaign(b)).overall == verdict


def test_measured_and_simulated_points_have_means_of_their_own() -> None:
    given = {"device": "sim-edgetpu-pcie", "origin": "simulated", "threads": None, "kernels": None}
    a, one = np.ones((2, 3)), np.ones((6, 1))
    result = compare(
        pd.concat([campaign(a), campaign(one, **given)]), pd.concat([campaign(a * 2), campaign(one, **given)])
    )
    assert result.geometric_mean == result.means["measured"]
    assert result.means["measured"].value == pytest.approx(0.5)
    assert result.means["simulated"].value == 1.0
    assert result.counts == {"faster": 0, "slower": 2, "same": 6, "undecided": 0}
    assert result.notes == ("6 simulated points are judged as exact and don't count in the mean of the measured ones",)


def test_a_busy_round_widens_the_interval_of_the_mean(generator) -> None:
    """One round of three is 30 % slower for all points alike: the points agree, the rounds don't."""
    centre, busy = np.ones(50), np.array([1.0, 1.0, 1.3])
    a, b = noisy(generator, centre, 3, 0.002), noisy(generator, centre, 3, 0.002) * busy
    result = compare(campaign(a), campaign(b))
    assert result.overall == "undecided"
    mean = result.geometric_mean
    assert mean is not None
    rounds = [np.log(side).mean(axis=0) for side in (a, b)]
    interval = stats.ttest_ind(*rounds, equal_var=False).confidence_interval(0.95)
    assert np.log([mean.low, mean.high]) == pytest.approx([interval.low, interval.high], rel=1e-6)


def test_a_mean_over_points_that_disagree_is_undecided() -> None:
    a = np.ones((6, 3))
    assert (
        compare(campaign(a), campaign(a * np.array([[0.5], [2.0], [0.6], [1.5], [0.9], [1.2]]))).overall == "undecided"
    )


def test_no_common_good_point() -> None:
    base = campaign(np.ones((1, 2)))
    result = compare(base, base.assign(status="failed", latency_median_ms=np.nan))
    assert result.geometric_mean is None
    assert result.overall is None
    assert result.counts == {"faster": 0, "slower": 0, "same": 0, "undecided": 0}
    assert json.dumps(result.as_dict(), allow_nan=False)


def test_like_is_compared_with_like_only() -> None:
    base = campaign(np.ones((2, 2)))
    with pytest.raises(BadInput, match="cpu is measured in base and simulated in new"):
        compare(base, base.assign(origin="simulated"))
    with pytest.raises(BadInput, match="no point is in both: base has 2 points on cpu"):
        compare(base, base.assign(threads=4))
    with pytest.raises(BadInput, match="noise floor"):
        compare(base, base, floor=-1)
    with pytest.raises(BadInput, match="no column 'log_mean'"):
        compare(base.drop(columns="log_mean"), base)
