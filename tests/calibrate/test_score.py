"""Summaries by hand, and whether the interval holds what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paraedge.calibrate.score import FEW, score, spread


def test_a_score_by_hand() -> None:
    found = score([1.0, 1.05, 0.9, 1.3, 0.5])
    assert found.rows == 5
    assert found.median_ape == pytest.approx(0.1)
    assert found.p90_ape == pytest.approx(0.3 + 0.6 * 0.2)  # errors 0, 0.05, 0.1, 0.3, 0.5: 60 % on from the fourth
    assert found.within_10 == pytest.approx(3 / 5)
    assert found.bias == pytest.approx(0.0)


def test_bias_has_a_sign() -> None:
    assert score([1.2, 1.2, 0.9]).bias == pytest.approx(0.2)
    assert score([0.8]).bias == pytest.approx(-0.2)
    assert score([0.8]).median_ape == pytest.approx(0.2)


def test_nothing_has_no_score() -> None:
    with pytest.raises(ValueError, match="no rows"):
        score([])


def test_a_spread_by_hand() -> None:
    """Of 19 rows the 18th smallest error: the two largest lie outside or on the edge."""
    ratios = [math.exp((-1) ** i * i / 100) for i in range(1, 20)]
    assert spread(ratios) == pytest.approx(math.exp(0.18))
    assert spread([1.0] * 30) == 1.0


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_few_rows_widen(rows: int) -> None:
    ratios = [1.02] * (rows - 1) + [0.8]
    assert spread(ratios) == pytest.approx(0.8**-FEW)
    assert spread([1.02] * 8 + [0.8]) == pytest.approx(1 / 0.8)  # nine are enough


@pytest.mark.parametrize("rows", [9, 19, 24, 60])
@pytest.mark.parametrize("shape", ["normal", "heavy tails", "one-sided"])
def test_a_further_row_is_held_9_times_in_10(rows: int, shape: str) -> None:
    """Whatever the distribution: the share of draws held is at least 0.9, less four standard errors of 4000 draws."""
    draws = np.random.default_rng(rows)
    held, trials = 0, 4000
    for _ in range(trials):
        logs = draws.standard_normal(rows + 1) if shape == "normal" else draws.standard_t(2, rows + 1)
        ratios = np.exp(0.05 * (np.abs(logs) if shape == "one-sided" else logs))
        factor = spread(list(ratios[:-1]))
        held += 1 / factor <= ratios[-1] <= factor
    assert held / trials >= 0.9 - 4 * math.sqrt(0.9 * 0.1 / trials)
    assert held / trials <= 0.9 + 1 / (rows + 1) + 4 * math.sqrt(0.9 * 0.1 / trials)
