"""Calibrating a host of one's own: made-up hosts whose constants are known."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from paraedge.calibrate import Calibration, calibrate, calibrate_published
from paraedge.calibrate.changed import changed
from paraedge.calibrate.fit import Problem
from paraedge.calibrate.hardware_text import hardware_text
from paraedge.calibrate.row import Row
from paraedge.calibrate.score import score
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware, predict
from paraedge.simulate.constants import UNITS
from paraedge.simulate.hardware_file import parse_hardware
from paraedge.simulate.shapes import MIB

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHIP = ("conv_cycles", "depthwise_cycles", "stripe_memory_bytes", "clock_mhz", "most_fetches")

Making = Callable[..., list[Row]]


@pytest.fixture(scope="module")
def graphs(spread_of_networks: Sequence[LayerGraph]) -> tuple[LayerGraph, ...]:
    return spread_of_networks[::3]


def own(rows: Sequence[Row], base: Hardware) -> Calibration:
    return calibrate(rows, base, name="sim-mine", source="own fit to a table")


def errors(rows: Sequence[Row], hardware: Hardware) -> list[float]:
    return [abs(np.log(predict(row.graph, hardware).latency_ms / (row.latency_ms or 0))) for row in rows]


@pytest.mark.parametrize(
    "host",
    [
        {"overhead_ms": 0.9},
        {"link_mb_per_s": 60.0},
        {"return_mb_per_s": 30.0},
        {"stream_ms_per_mib": 3.4},
        {"overhead_ms": 0.6, "stream_ms_per_mib": 3.4},
        {"overhead_ms": 1.2, "link_mb_per_s": 120.0, "return_mb_per_s": 40.0},
    ],
    ids=" ".join,
)
def test_what_differs_is_found_and_the_rest_is_kept(
    host: dict[str, float], graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making
) -> None:
    found = own(rows_of(graphs, changed(base, **host)), base)
    assert set(found.fitted) == set(host)
    assert {*found.fitted, *found.kept} == set(UNITS)
    assert len(found.fitted) + len(found.kept) == len(UNITS)
    for name, value in host.items():
        constant = found.hardware.sources[name]
        assert constant.value == found.hardware.values[name] == pytest.approx(value, rel=1e-4)
        assert constant.source == "own fit to a table"
        assert constant.low is not None
        assert constant.high is not None
        assert constant.low <= constant.value <= constant.high
    for name in found.kept:
        assert found.hardware.sources[name] == base.sources[name]
    assert (found.rows, found.score.rows) == (len(graphs), len(graphs))
    assert found.score.median_ape < 1e-4


def test_a_host_like_the_base_changes_nothing(graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making) -> None:
    found = own(rows_of(graphs, base), base)
    assert found.fitted == ()
    assert found.hardware.values == base.values
    assert found.score.median_ape == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("host", [{}, {"overhead_ms": 0.7}], ids=["like the base", "slow"])
def test_left_out_rows_are_never_predicted_worse_than_by_the_base(
    seed: int, host: dict[str, float], graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making
) -> None:
    noise = random.Random(seed)
    rows = rows_of(graphs, changed(base, **host), factors=[noise.lognormvariate(0, 0.05) for _ in graphs])
    found = own(rows, base)
    ratios = [predict(row.graph, base).latency_ms / (row.latency_ms or 0) for row in rows]
    assert found.score.median_ape <= score(ratios).median_ape * 1.2
    assert np.mean(errors(rows, found.hardware)) <= np.mean(errors(rows, base))
    if host:
        assert "overhead_ms" in found.fitted
        assert found.hardware.overhead_ms == pytest.approx(0.7, rel=0.15)


def test_a_host_twice_as_slow(graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making) -> None:
    """The chip's time can't be blamed on the host, so that not all of it is told; much of it is."""
    rows = rows_of(graphs, base, factors=[2.0] * len(graphs))
    found = own(rows, base)
    assert np.mean(errors(rows, found.hardware)) < 0.25 * np.mean(errors(rows, base))
    assert found.score.median_ape < 0.2
    for name in CHIP:
        assert found.hardware.values[name] == base.values[name]


def test_wild_rows_do_not_move_it(graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making) -> None:
    noise = random.Random(8)
    factors = [noise.lognormvariate(0, 0.03) for _ in graphs]
    factors[4], factors[9] = 5.0, 0.2
    found = own(rows_of(graphs, changed(base, overhead_ms=1.5), factors=factors), base)
    assert found.hardware.overhead_ms == pytest.approx(1.5, rel=0.1)


def test_three_networks_are_enough_and_fewer_are_refused(
    network: Callable[..., LayerGraph], base: Hardware, rows_of: Making
) -> None:
    slow = changed(base, overhead_ms=1.0)
    rows = rows_of([network("FC", size) for size in (64, 256, 512)], slow)
    found = own(rows, base)
    assert found.hardware.overhead_ms == pytest.approx(1.0, rel=0.01)
    for few in (rows[:2], rows[:1] * 9, [*rows[:2], rows[0]], []):
        with pytest.raises(BadInput, match=f"{len({row.name for row in few})} networks"):
            own(few, base)
    untimed = [*rows[:2], dataclasses.replace(rows[2], latency_ms=None)]
    with pytest.raises(BadInput, match="2 networks"):
        own(untimed, base)


def test_rows_of_one_network_count_as_one(network: Callable[..., LayerGraph], base: Hardware, rows_of: Making) -> None:
    """Left out, none of them stays; so that repeats can't predict each other."""
    rows = rows_of([network("FC", size) for size in (64, 256, 512, 900)], changed(base, overhead_ms=1.0))
    repeats = [dataclasses.replace(rows[0], latency_ms=(rows[0].latency_ms or 0) * factor) for factor in (0.5, 9.0)]
    once, often = own(rows, base), own([*repeats, *rows], base)
    assert (once.rows, often.rows) == (4, 4)
    assert often.hardware.values == pytest.approx(once.hardware.values)


def test_the_memory_follows_the_compiler_only_where_it_disagrees(
    network: Callable[..., LayerGraph], base: Hardware, rows_of: Making
) -> None:
    graphs = [network("FC", size) for size in range(1500, 1620, 5)]
    alike, smaller = (own(rows_of(graphs, made), base) for made in (base, changed(base, wide_memory_bytes=7.5e6)))
    assert "wide_memory_bytes" in alike.kept
    assert alike.hardware.wide_memory_bytes == base.wide_memory_bytes
    assert "wide_memory_bytes" in smaller.fitted
    assert smaller.hardware.wide_memory_bytes == pytest.approx(7.5e6, rel=0.03)


def test_the_hardware_reads_back_and_predicts(graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making) -> None:
    noise = random.Random(2)
    factors = [noise.lognormvariate(0, 0.03) for _ in graphs]
    slow = changed(base, overhead_ms=0.8, stream_ms_per_mib=3.3)
    made = own(rows_of(graphs, slow, factors=factors), base).hardware
    again = parse_hardware(tomllib.loads(hardware_text(made)), source="made")
    assert again == made
    for graph in graphs:
        prediction = predict(graph, again)
        assert prediction == predict(graph, made)
        assert prediction.low_ms is not None
        assert prediction.high_ms is not None
        assert prediction.low_ms < prediction.latency_ms < prediction.high_ms


def test_the_errors_left_are_the_rows_own(graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making) -> None:
    noise = random.Random(4)
    rows = rows_of(graphs, base, factors=[noise.lognormvariate(0, 0.05) for _ in graphs])
    dense = [row for row in rows if row.name.startswith("fc")]
    residuals = own(dense, base).hardware.residuals
    assert residuals.keys() >= base.residuals.keys()
    for name, entry in residuals.items():
        assert (entry.device == "sim-mine") == name.startswith("fully connected"), name
    whole = own(rows, base).hardware.residuals
    assert sum(entry.rows for entry in whole.values() if entry.device == "sim-mine") >= len(rows)
    assert all(0.9 < entry.spread < 1.5 for entry in whole.values() if entry.rows > 8)


def test_bytes_on_a_link_of_unknown_rate(graphs: Sequence[LayerGraph], base: Hardware, rows_of: Making) -> None:
    """A host whose returns cost nothing gets a high rate that reads back, not none."""
    unknown = dataclasses.replace(base, link_mbit_per_s=None)
    rows = rows_of(graphs, changed(unknown, return_mb_per_s=1e9))
    made = own(rows, unknown).hardware
    assert made.return_mb_per_s > 1e4
    parse_hardware(tomllib.loads(hardware_text(made)), source="made")
    assert max(errors(rows, made)) < 0.01


def test_only_hosts_of_the_tables_are_made_again(edgetpu_data: Path, base: Hardware) -> None:
    with pytest.raises(BadInput, match="sim-mine") as caught:
        calibrate_published(edgetpu_data, dataclasses.replace(base, name="sim-mine"))
    assert len(str(caught.value).splitlines()) == 1


def test_what_the_tables_tell_of_a_shipped_host(
    edgetpu_data: Path, published: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paraedge.calibrate.run.published_problem", lambda _: published)
    base = load_hardware("sim-edgetpu-usb3")
    found = calibrate_published(edgetpu_data, base)
    assert set(found.fitted) == {
        *("conv_cycles", "depthwise_cycles", "link_mb_per_s", "overhead_ms"),
        *("wide_memory_bytes", "input_room_bytes", "stripe_memory_bytes"),
        *("instruction_bytes_per_op", "instruction_bytes_per_border", "instruction_bytes_per_softmax"),
    }
    sources = found.hardware.sources
    assert all(sources[name].low <= sources[name].value <= sources[name].high for name in found.fitted)
    assert found.rows == 6
    assert found.hardware.stream_ms_per_mib == base.stream_ms_per_mib
    assert found.hardware.wide_memory_bytes < 8 * MIB
