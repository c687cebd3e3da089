"""The errors that are left, as a hardware file carries them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import pytest

from paraedge.calibrate.fit import Problem
from paraedge.calibrate.report import Prediction
from paraedge.calibrate.residuals import covered_outside, covered_rows, residuals_of, widened
from paraedge.calibrate.row import Row
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware
from paraedge.simulate.hardware import SHIPPED

SHIPPED_NAMES = sorted(path.stem for path in SHIPPED.glob("*.toml"))


def prediction(row: Row, ratio: float, case: str) -> Prediction:
    return Prediction(
        name=row.name, source=row.source, host=row.host, case=case, is_model=row.case is not None,
        measured_ms=row.latency_ms or 0, predicted_ms={"row": ratio * (row.latency_ms or 0)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def hosts() -> dict[str, Hardware]:
    return {"h": load_hardware("sim-edgetpu-pcie"), "sim-edgetpu-usb2": load_hardware("sim-edgetpu-usb2")}


@pytest.fixture(scope="module")
def dense(
    network: Callable[..., LayerGraph], hosts: dict[str, Hardware], rows_of: Callable[..., list[Row]]
) -> list[Row]:
    return rows_of([network("FC", size) for size in range(100, 1200, 100)], hosts["h"])


def test_an_entry_by_hand(dense: Sequence[Row], hosts: dict[str, Hardware]) -> None:
    """Eleven rows: the interval is of the 11th smallest error, 0.9 x 12 rounded up."""
    case = "fully connected, on chip"
    ratios = [math.exp((-1) ** i * i / 100) for i in range(1, 12)]
    found = residuals_of("h", dense, [prediction(row, r, case) for row, r in zip(dense, ratios, strict=True)], hosts)
    assert set(found) == {case}
    entry = found[case]
    assert (entry.device, entry.rows, entry.ops) == ("h", 11, ("FULLY_CONNECTED",))
    assert entry.spread == pytest.approx(math.exp(0.11), rel=1e-3)
    assert entry.median_ape == pytest.approx(sorted(abs(ratio - 1) for ratio in ratios)[5], rel=1e-3)
    assert entry.within_10 == pytest.approx(sum(abs(ratio - 1) <= 0.1 for ratio in ratios) / 11, rel=1e-3)
    macs = [float(row.graph.macs or 0) for row in dense]
    assert entry.macs == (min(macs), max(macs))
    assert (entry.input_bytes, entry.output_bytes) == ((64, 64), (10, 10))


def test_another_devices_rows_fill_what_ones_own_lack(
    dense: Sequence[Row],
    network: Callable[..., LayerGraph],
    hosts: dict[str, Hardware],
    rows_of: Callable[..., list[Row]],
) -> None:
    [suite] = rows_of([network("MobileNetV2")], hosts["sim-edgetpu-usb2"], "sim-edgetpu-usb2")
    suite = dataclasses.replace(suite, case="MobileNetV2")
    rows = [*dense, suite]
    told = [prediction(row, 1.1, row.case or "fully connected, on chip") for row in rows]
    for device in ("h", "sim-edgetpu-usb2"):
        found = residuals_of(device, rows, told, hosts)
        assert found["fully connected, on chip"].device == "h"
        assert found["network, on chip"].device == "sim-edgetpu-usb2"


def test_a_row_is_covered_by_the_others_of_its_pool(dense: Sequence[Row]) -> None:
    """Ten rows that agree and one that doesn't: it lies outside the interval of the ten, they inside that of all."""
    case = "fully connected, on chip"
    told = [prediction(row, 1.05, case) for row in dense[:-1]]
    far = prediction(dense[-1], 1.3, case)
    inside = covered_rows([*told, far])
    assert inside == {**{each.source: True for each in told}, far.source: False}
    apart = dataclasses.replace(far, case="fully connected, streamed: 1 layer, fetched 1 times")
    assert covered_rows([*told, apart])[far.source] is False  # alone in its pool, nothing bounds it
    stripes = [dataclasses.replace(each, case=f"convolutions, streamed: {i} layers") for i, each in enumerate(told)]
    assert all(covered_rows(stripes).values())  # one pool, whatever follows the colon


def test_outside_counts_the_farthest_that_has_not_seen_the_case(
    dense: Sequence[Row], hosts: dict[str, Hardware]
) -> None:
    """Eleven rows within 5 % by row, off by up to 11 and 22 % without their regime and their host."""
    case = "fully connected, on chip"
    told = []
    for number, row in enumerate(dense, start=1):
        ms = {"row": 1.05, "regime": math.exp(number / 100), "host": math.exp(-number / 50)}
        ms = {key: ratio * (row.latency_ms or 0) for key, ratio in ms.items()}
        told.append(dataclasses.replace(prediction(row, 1.05, case), predicted_ms=ms))
    entry = residuals_of("h", dense, told, hosts)[case]
    assert entry.spread == pytest.approx(1.05, rel=1e-3)
    assert entry.spread_outside == pytest.approx(math.exp(0.22), rel=1e-3)
    assert sum(covered_outside(told).values()) == 10  # the farthest lies beyond the ten others
    assert all(covered_rows(told).values())
    unseen = [dataclasses.replace(each, predicted_ms={"row": each.predicted_ms["row"]}) for each in told]
    entry = residuals_of("h", dense, unseen, hosts)[case]
    assert entry.spread_outside == entry.spread


def test_errors_of_ones_own_host_are_as_wide_outside_as_the_base_s_widest(base: Hardware) -> None:
    widest = max(entry.spread_outside for entry in base.residuals.values())
    wide = dataclasses.replace(next(iter(base.residuals.values())), spread_outside=9.0)
    assert widened({"mine": wide}, base)["mine"] == wide
    mine = widened(base.residuals, base)
    assert mine.keys() == base.residuals.keys()
    assert {entry.spread_outside for entry in mine.values()} == {widest}
    for name, entry in mine.items():
        assert dataclasses.replace(entry, spread_outside=1.0) == dataclasses.replace(
            base.residuals[name], spread_outside=1.0
        )


@pytest.mark.parametrize("device", SHIPPED_NAMES)
def test_shipped_files_carry_what_cross_validation_gives(
    device: str, predictions: Sequence[Prediction], published: Problem
) -> None:
    made = residuals_of(device, published.rows, predictions, published.fit().hosts)
    shipped = load_hardware(device).residuals
    assert made.keys() == shipped.keys()
    for name, entry in made.items():
        mine, theirs = dataclasses.asdict(entry), dataclasses.asdict(shipped[name])
        for key, value in mine.items():
            number = isinstance(value, float)
            assert theirs[key] == (pytest.approx(value, rel=1e-3, abs=1e-6) if number else value), (name, key)
