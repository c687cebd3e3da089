"""Baselines by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from paraedge.calibrate.baselines import constant, interpolation
from paraedge.calibrate.row import Row
from paraedge.core.graph import LayerGraph


@pytest.fixture
def row(network: Callable[..., LayerGraph]) -> Callable[..., Row]:
    def make(size: float, latency_ms: float | None, series: str = "FC") -> Row:
        return Row(
            source=f"t:{size}:{latency_ms}", name="n", host="h", graph=network("FC", 64), latency_ms=latency_ms,
            series=series, size=size,
        )  # fmt: skip

    return make


def test_the_constant_is_the_geometric_mean_of_the_series(row: Callable[..., Row]) -> None:
    known = [row(1, 1.0), row(2, 4.0), row(3, 16.0), row(1, 1000.0, "CONV"), row(4, None)]
    assert constant(row(9, 5.0), known) == pytest.approx(4.0)
    assert constant(row(9, 5.0, "RNN"), known) is None
    assert constant(row(9, 5.0), []) is None


def test_interpolation_between_neighbours(row: Callable[..., Row]) -> None:
    """Straight in logarithms: at the geometric middle of the sizes, the geometric mean of the latencies."""
    known = [row(100, 9.0), row(1, 1.0), row(10_000, 900.0)]
    assert interpolation(row(10, 5.0), known) == pytest.approx(3.0)
    assert interpolation(row(1000, 5.0), known) == pytest.approx(90.0)
    assert interpolation(row(100, 5.0), known) == pytest.approx(9.0)


def test_rows_of_one_size_count_as_one(row: Callable[..., Row]) -> None:
    known = [row(1, 1.0), row(100, 2.0), row(100, 8.0), row(10_000, 1.0)]
    assert interpolation(row(100, 5.0), known) == pytest.approx(4.0)
    assert interpolation(row(10, 5.0), known) == pytest.approx(2.0)
    assert constant(row(9, 5.0), known) == pytest.approx(2.0)


def test_beyond_the_ends_the_last_line_goes_on(row: Callable[..., Row]) -> None:
    known = [row(10, 2.0), row(100, 20.0), row(1000, 2000.0)]
    assert interpolation(row(1, 5.0), known) == pytest.approx(0.2)
    assert interpolation(row(10_000, 5.0), known) == pytest.approx(200_000.0)


def test_where_it_has_no_answer(row: Callable[..., Row]) -> None:
    assert interpolation(row(10, 5.0), []) is None
    assert interpolation(row(10, 5.0), [row(1, 1.0), row(1, 2.0), row(5, 3.0, "CONV"), row(7, None)]) is None
    assert interpolation(row(0, 5.0), [row(1, 1.0), row(2, 2.0)]) is None
    assert interpolation(row(4, 5.0), [row(0, 1.0), row(2, 2.0), row(8, 8.0)]) == pytest.approx(4.0)
