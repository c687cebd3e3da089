"""The fit against rows that were made with constants that are known."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pytest

from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import FASTEST_MB_PER_S, Fit, Problem, all_but, robust_weights
from paraedge.calibrate.row import Row
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware, predict
from paraedge.simulate.shapes import MIB

PCIE, USB = "sweeps", "desk"
CHIP = {
    "conv_cycles": 1.3,
    "depthwise_cycles": 18.0,
    "stripe_memory_bytes": round(3.52 * MIB),
    "wide_memory_bytes": round(7.6 * MIB),
}
PCIE_OWN = {
    "overhead_ms": 0.11,
    "link_mb_per_s": 150.0,
    "return_mb_per_s": 300.0,
    "return_block_ns": 60.0,
    "stream_ms_per_mib": 3.1,
    "stream_setup_ms": 0.4,
}
USB_OWN = {"overhead_ms": 0.35, "link_mb_per_s": 90.0}
SHARED = ("conv_cycles", "depthwise_cycles")
FITTED = {PCIE: (*SHARED, *PCIE_OWN), USB: (*SHARED, *USB_OWN)}
MEMORY = ("wide_memory_bytes", "input_room_bytes", "stripe_memory_bytes")

Making = Callable[..., list[Row]]


@pytest.fixture(scope="module")
def bases() -> dict[str, Hardware]:
    return {PCIE: load_hardware("sim-edgetpu-pcie"), USB: load_hardware("sim-edgetpu-usb3")}


@pytest.fixture(scope="module")
def truth(bases: Mapping[str, Hardware]) -> dict[str, Hardware]:
    return {PCIE: changed(bases[PCIE], **CHIP, **PCIE_OWN), USB: changed(bases[USB], **CHIP, **USB_OWN)}


@pytest.fixture(scope="module")
def clean(spread_of_networks: Sequence[LayerGraph], truth: Mapping[str, Hardware], rows_of: Making) -> list[Row]:
    """The spread on the one host, only real models on the other."""
    return [
        *rows_of(spread_of_networks, truth[PCIE], PCIE),
        *rows_of(spread_of_networks[-6:], truth[USB], USB),
    ]


@pytest.fixture(scope="module")
def counted(clean: Sequence[Row], bases: Mapping[str, Hardware]) -> CountedRows:
    return CountedRows(clean, bases)


def with_latency(counted: CountedRows, factors: Iterable[float]) -> Problem:
    """The same rows, their latencies times these."""
    other = copy.copy(counted)
    other.latency_ms = counted.latency_ms * np.array(list(factors))
    return Problem(other)


def fit_of(counted: CountedRows, factors: Iterable[float]) -> Fit:
    """A fit of the same rows with their latencies times these."""
    return with_latency(counted, factors).fit()


def test_without_noise_the_constants_come_back(counted: CountedRows, truth: Mapping[str, Hardware]) -> None:
    fit = Problem(counted).fit()
    for host, names in FITTED.items():
        for name in names:
            assert fit.hosts[host].values[name] == pytest.approx(truth[host].values[name], rel=1e-6), (host, name)
    assert fit.stripe_range is not None
    assert fit.memory.wide_range is not None
    assert fit.stripe_range[0] <= CHIP["stripe_memory_bytes"] <= fit.stripe_range[1]
    assert fit.memory.wide_range[0] <= CHIP["wide_memory_bytes"] <= fit.memory.wide_range[1]
    for row in counted.rows:
        assert predict(row.graph, fit.hosts[row.host]).latency_ms == pytest.approx(row.latency_ms, rel=1e-6)


def test_where_the_base_begins_makes_no_difference(
    counted: CountedRows, clean: Sequence[Row], bases: Mapping[str, Hardware]
) -> None:
    off = {
        host: changed(base, **{name: base.values[name] * factor for name in (*FITTED[host], *MEMORY)})
        for (host, base), factor in zip(bases.items(), (1.3, 0.7), strict=True)
    }
    told, again = Problem(counted), Problem(CountedRows(clean, off))
    dense = np.array([row.name.startswith("fc") for row in clean])
    for chosen in (None, all_but(len(clean), 3), ~dense):
        one, two = told.fit(chosen), again.fit(chosen)
        assert one.costs == pytest.approx(two.costs, rel=1e-9)
        assert (one.memory, one.stripe_bytes) == (two.memory, two.stripe_bytes)


def test_the_chip_is_one_for_all_hosts(counted: CountedRows) -> None:
    noise = random.Random(3)
    fit = fit_of(counted, [noise.lognormvariate(0, 0.1) for _ in counted.rows])
    one, two = fit.hosts[PCIE], fit.hosts[USB]
    for name in CHIP:
        assert one.values[name] == two.values[name]
    assert one.overhead_ms != two.overhead_ms


def standard_errors(counted: CountedRows, clean: Fit, noise: float) -> dict[str, float]:
    """Of the unknowns, by the normal equations of relative least squares, in shares of their values."""
    problem = Problem(counted)
    design = problem._table(clean.memory, clean.stripe_bytes).design / counted.latency_ms[:, None]
    variances = np.diag(np.linalg.inv(design.T @ design))
    return {
        name: noise * float(np.sqrt(variance)) / clean.costs[name]
        for name, variance in zip(problem._unknowns, variances, strict=True)
    }


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_3_percent_moves_constants_as_far_as_statistics_say(counted: CountedRows, seed: int) -> None:
    clean = Problem(counted).fit()
    noise = random.Random(seed)
    fit = fit_of(counted, [noise.lognormvariate(0, 0.03) for _ in counted.rows])
    errors = standard_errors(counted, clean, 0.03)
    assert errors["conv_steps"] < 0.03  # so that what follows says something
    for name, error in errors.items():
        assert abs(fit.costs[name] / clean.costs[name] - 1) < 4 * error, name
    for row, clean_ms in zip(counted.rows, counted.latency_ms, strict=True):
        assert predict(row.graph, fit.hosts[row.host]).latency_ms == pytest.approx(clean_ms, rel=0.09)


@pytest.mark.parametrize("first", range(5))
def test_wild_rows_do_not_move_it(counted: CountedRows, first: int) -> None:
    """One row in ten is three times too slow or too fast, and plain least squares is moved far by these.

    What a row or two tell alone, as the small stacks do of the outputs, no robust fit can guard.
    """
    clean = Problem(counted).fit()
    noise = random.Random(first)
    factors = np.array([noise.lognormvariate(0, 0.03) for _ in counted.rows])
    factors[first::20] *= 3
    factors[first + 10 :: 20] /= 3
    fit = fit_of(counted, factors)
    errors = standard_errors(counted, clean, 0.03)
    for name in ("conv_steps", "PCIe/streamed_bytes", "sweeps/link"):
        assert abs(fit.costs[name] / clean.costs[name] - 1) < 5 * errors[name], name
    robust = [predict(row.graph, fit.hosts[row.host]).latency_ms for row in counted.rows]
    table = Problem(counted)._table(clean.memory, clean.stripe_bytes)
    latency = counted.latency_ms * factors
    plain = np.linalg.lstsq(table.design / latency[:, None], (latency - table.fixed) / latency, rcond=None)[0]
    off, plain_off = (
        float(np.median(np.abs(ms / counted.latency_ms - 1))) for ms in (robust, table.fixed + table.design @ plain)
    )
    assert off < 0.02
    assert plain_off > 2 * off


def test_what_no_row_tells_stays_the_bases(
    network: Callable[..., LayerGraph], truth: Mapping[str, Hardware], bases: Mapping[str, Hardware], rows_of: Making
) -> None:
    rows = rows_of([network("FC", size) for size in (64, 300, 600, 900)], truth[PCIE], PCIE)
    fit = Problem(CountedRows(rows, {PCIE: bases[PCIE]})).fit()
    made = fit.hosts[PCIE]
    for name in ("conv_cycles", "depthwise_cycles", "stream_ms_per_mib", "stream_setup_ms", "return_block_ns"):
        assert made.values[name] == bases[PCIE].values[name], name
    assert (made.stripe_memory_bytes, fit.stripe_range) == (bases[PCIE].stripe_memory_bytes, None)
    assert made.wide_memory_bytes == bases[PCIE].wide_memory_bytes
    assert made.overhead_ms != bases[PCIE].overhead_ms
    nothing = Problem(CountedRows(rows, {PCIE: bases[PCIE]})).fit(np.zeros(len(rows), dtype=bool))
    assert nothing.hosts[PCIE].values == bases[PCIE].values


def test_nothing_is_faster_than_its_line(
    spread_of_networks: Sequence[LayerGraph], bases: Mapping[str, Hardware], rows_of: Making
) -> None:
    fast = changed(bases[PCIE], link_mb_per_s=5e3, return_mb_per_s=4e3, stream_ms_per_mib=0.1)
    rows = rows_of(spread_of_networks, fast, PCIE)
    made = Problem(CountedRows(rows, {PCIE: bases[PCIE]})).fit().hosts[PCIE]
    line = (bases[PCIE].link_mbit_per_s or 0) / 8
    for rate in (made.link_mb_per_s, made.return_mb_per_s, MIB / made.stream_ms_per_mib / 1e3):
        assert rate <= line * (1 + 1e-9)
    assert made.link_mb_per_s == pytest.approx(line)


def test_a_link_of_unknown_rate_may_cost_nothing(
    spread_of_networks: Sequence[LayerGraph], bases: Mapping[str, Hardware], rows_of: Making
) -> None:
    base = dataclasses.replace(bases[PCIE], link_mbit_per_s=None)
    rows = rows_of(spread_of_networks, changed(base, link_mb_per_s=1e9, return_mb_per_s=1e9), PCIE)
    made = Problem(CountedRows(rows, {PCIE: base})).fit().hosts[PCIE]
    assert 1e4 < made.link_mb_per_s <= FASTEST_MB_PER_S * (1 + 1e-9)
    assert 1e4 < made.return_mb_per_s <= FASTEST_MB_PER_S * (1 + 1e-9)
    for row in rows:
        assert predict(row.graph, made).latency_ms == pytest.approx(row.latency_ms, rel=0.01)


def test_weights_by_hand() -> None:
    """Scatter: 1.48 x the median error of the group, at least its floor. Beyond 1.5 of it a row counts less."""
    error = np.array([0.01, 0.02, 0.30, 0.0, 0.0, 0.0])
    groups = {"a": np.array([True] * 3 + [False] * 3), "network": np.array([False] * 3 + [True] * 3)}
    scatter = 1.48 * 0.02
    one, two, far, *floor = robust_weights(error, groups)
    assert (one, two) == pytest.approx((1 / scatter, 1 / scatter))
    assert far == pytest.approx((1.5 * scatter / 0.30) ** 0.5 / scatter)
    assert floor == pytest.approx([1 / 0.03] * 3)


def test_a_fit_is_made_once_for_the_same_rows(counted: CountedRows) -> None:
    problem = Problem(counted)
    assert problem.fit(all_but(len(counted.rows), 2)) is problem.fit(all_but(len(counted.rows), 2))
    assert problem.fit(all_but(len(counted.rows), 2)) is not problem.fit(all_but(len(counted.rows), 3))


def test_a_row_left_out_has_no_say(counted: CountedRows) -> None:
    """Ten times its latency, with the fit of all rows made first, changes nothing where the row is left out."""
    honest = Problem(counted)
    for index in range(0, len(counted.rows), 2):
        factors = np.ones(len(counted.rows))
        factors[index] = 10
        biased = with_latency(counted, factors)
        assert biased.fit() != honest.fit()
        left_out = all_but(len(counted.rows), index)
        assert biased.fit(left_out) == honest.fit(left_out), counted.rows[index].name
