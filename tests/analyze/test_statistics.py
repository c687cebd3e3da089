"""Against scipy and statsmodels, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from paraedge.analyze.statistics import adjust, geometric_mean, log_t_interval, median_interval, t_quantile, welch
from paraedge.core.errors import BadInput

positive = st.floats(min_value=1e-6, max_value=1e6)


@given(st.lists(positive, min_size=1, max_size=50))
def test_geometric_mean_is_scipys(values: list[float]) -> None:
    assert geometric_mean(values) == pytest.approx(stats.gmean(values), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_geometric_mean_refuses_what_has_no_logarithm(value: float) -> None:
    with pytest.raises(BadInput, match="above zero"):
        geometric_mean([1.0, value])


def test_geometric_mean_of_nothing_is_unknown() -> None:
    assert math.isnan(geometric_mean([]))


@given(st.lists(positive, min_size=3, max_size=20, unique=True))
def test_log_interval_is_scipys_t_interval_of_the_logs(values: list[float]) -> None:
    found = log_t_interval(values, "ms")
    logs = np.log(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=logs.mean(), scale=stats.sem(logs))
    assert found.low is not None
    assert found.high is not None
    assert np.log([found.low, found.high]) == pytest.approx([low, high], rel=1e-9, abs=1e-9)
    assert found.unit == "ms"


def test_one_value_has_no_interval() -> None:
    found = log_t_interval([2.0], "ms")
    assert (found.value, found.low, found.high) == (2.0, None, None)


def test_median_interval_has_its_coverage() -> None:
    """Ten values: the 2nd and the 9th value, which cover 97.9 % (a table of every textbook)."""
    found = median_interval([9, 8, 7, 6, 5, 4, 3, 2, 1, 0], "ms")
    assert (found.value, found.low, found.high) == (4.5, 1.0, 8.0)


@pytest.mark.parametrize("n", range(6, 40))
def test_median_interval_is_the_narrowest_that_covers_enough(n: int) -> None:
    found = median_interval(np.arange(float(n)), "ms")
    assert found.low is not None
    k = int(found.low)

    def coverage(rank: int) -> float:
        return 1 - 2 * sum(math.comb(n, i) for i in range(rank + 1)) / 2**n

    assert coverage(k) >= 0.95 > coverage(k + 1)
    assert found.high == n - 1 - k


def test_five_values_are_too_few_for_a_median_interval() -> None:
    assert median_interval([1, 2, 3, 4, 5], "ms").low is None
    assert math.isnan(median_interval([], "ms").value)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
@pytest.mark.parametrize(("ours", "theirs"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_corrections_are_those_of_statsmodels(ours: str, theirs: str, values: list[float]) -> None:
    found = adjust(values, ours)
    assert found == pytest.approx(multipletests(values, method=theirs)[1], rel=1e-12, abs=1e-300)


def test_corrections_of_nothing_and_of_an_unknown_name() -> None:
    assert adjust([]).size == 0
    with pytest.raises(BadInput, match="holm, bh"):
        adjust([0.1], "bonferroni")


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 3), (3, 8), (20, 4)])
def test_welch_is_scipys(n_a: int, n_b: int) -> None:
    generator = np.random.default_rng(n_a * 100 + n_b)
    a, b = generator.normal(1, 0.1, (50, n_a)), generator.normal(1.1, 0.3, (50, n_b))
    p, error, degrees = welch(
        a.mean(1), a.std(1, ddof=1), np.full(50, n_a), b.mean(1), b.std(1, ddof=1), np.full(50, n_b)
    )
    theirs = stats.ttest_ind(a, b, axis=1, equal_var=False)
    assert p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert degrees == pytest.approx(theirs.df, rel=1e-9)
    interval = theirs.confidence_interval(0.95)
    half = t_quantile(degrees) * error
    assert a.mean(1) - b.mean(1) - half == pytest.approx(interval.low, rel=1e-9)


def test_welch_without_spread_is_exact() -> None:
    zero, three = np.zeros(2), np.full(2, 3.0)
    p, error, degrees = welch(np.array([1.0, 1.0]), zero, three, np.array([1.0, 2.0]), zero, three)
    assert p.tolist() == [1.0, 0.0]
    assert error.tolist() == [0.0, 0.0]
    assert degrees.tolist() == [4.0, 4.0]


def test_quantile_needs_a_degree_of_freedom() -> None:
    found = t_quantile([0, 1, 2])
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([12.706204736, 4.302652730], rel=1e-9)
