"""Several devices on one model: the statistics on made-up medians, and the rounds on the stand-in and the CPU."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import pytest
from compiled_files import compiled_model
from edgetpu_stand_in import make_host
from scipy import stats

from paraedge import checkup
from paraedge.checkup.selftest import Standing, compare, conclusion, visit_all
from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput

QUICK = MeasureSettings(time_budget_s=0.03, warm_up_s=0.002)


def made_up(
    factors: dict[str, float], *, rounds: int = 6, spread: float = 0.005, seed: int = 0
) -> dict[str, list[float]]:
    """Medians of devices whose latencies are in the ratio of `factors`; what a round brings is common to all."""
    generator = random.Random(seed)
    common = [generator.gauss(0, 0.05) for _ in range(rounds)]
    return {
        device: [2.0 * factor * math.exp(shared + generator.gauss(0, spread)) for shared in common]
        for device, factor in factors.items()
    }


def slower(factors: dict[str, float], **options: float) -> set[str]:
    return {one.device for one in compare(made_up(factors, **options)) if one.verdict == "slower"}  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_equal_devices_are_equal(count: int) -> None:
    found = compare(made_up({f"edgetpu:{i}": 1.0 for i in range(count)}))
    assert {one.verdict for one in found} == {"not slower"}
    assert "No device is slower" in conclusion(found)


@pytest.mark.parametrize("count", [2, 3, 4, 8])
@pytest.mark.parametrize("factor", [1.1, 2.0])
def test_the_slower_one_is_named(count: int, factor: float) -> None:
    factors = {"edgetpu:1": factor} | {f"edgetpu:{i}": 1.0 for i in (0, *range(2, count))}
    found = compare(made_up(factors))
    assert {one.device for one in found if one.verdict == "slower"} == {"edgetpu:1"}
    text = conclusion(found)
    assert text.startswith("edgetpu:1 takes")
    assert ("can't tell which" in text) == (count == 2)
    ratio = found[0].ratio
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low < factor < ratio.high


def test_two_of_four_slow_ones_are_both_named() -> None:
    assert slower({"a": 1.0, "b": 1.5, "c": 1.0, "d": 1.4}) == {"b", "d"}


def test_a_difference_within_the_noise_floor_is_none() -> None:
    found = compare(made_up({"a": 1.0, "b": 1.02}, spread=0.001))
    assert {one.verdict for one in found} == {"not slower"}


def test_noise_is_undecided() -> None:
    found = compare(made_up({"a": 1.0, "b": 1.05, "c": 1.0}, spread=0.1, rounds=3))
    assert "undecided" in {one.verdict for one in found}
    assert "take more rounds" in conclusion(found)


def test_false_alarms_are_rare() -> None:
    """At 95 % for all devices together; the noise floor only makes them rarer."""
    alarms = sum(bool(slower({"a": 1, "b": 1, "c": 1, "d": 1}, spread=0.05, seed=seed)) for seed in range(200))
    assert alarms <= 0.05 * 200


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_intervals_hold_for_all_devices_together(count: int) -> None:
    """Against scipy's interval of a mean, at 95 % shared among the devices."""
    medians = made_up({f"d{i}": 1.0 for i in range(count)}, spread=0.05)
    for one in compare(medians):
        others = [values for device, values in medians.items() if device != one.device]
        logs = [
            math.log(own / statistics.median(them)) for own, *them in zip(medians[one.device], *others, strict=True)
        ]
        mean, error = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(len(logs))
        low, high = stats.t.interval(1 - 0.05 / count, len(logs) - 1, mean, error)
        assert (one.ratio.low, one.ratio.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))


@pytest.mark.parametrize(
    "medians", [{"a": [1.0] * 5}, {"a": [1.0, 1.0], "b": [1.0, 1.0]}, {"a": [1.0] * 3, "b": [1.0] * 4}]
)
def test_too_little_to_compare(medians: dict[str, list[float]]) -> None:
    with pytest.raises(BadInput, match="two devices or more"):
        compare(medians)


def test_exactly_equal_medians() -> None:
    found = compare({"a": [1.0] * 3, "b": [1.0] * 3})
    assert [one.ratio.value for one in found] == [1.0, 1.0]
    assert all(isinstance(one, Standing) and one.verdict == "not slower" for one in found)


def test_rounds_on_the_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(tmp_path, monkeypatch)
    for port in ("2-1", "2-2", "2-3"):
        host.usb(port)
    host.behave(ms={"usb:0": 2.0, "usb:1": 6.0, "usb:2": 2.0})
    model = tmp_path / "m_edgetpu.tflite"
    model.write_bytes(compiled_model())
    places = [checkup.place_of(f"edgetpu:{number}") for number in range(3)]
    jobs = {place.info.id: checkup.model_job(model, place.driver) for place in places}
    visited = list(visit_all(places, jobs, QUICK, 3))
    assert [one.error for one in visited] == [None] * 9
    assert [one.round for one in visited] == [1] * 3 + [2] * 3 + [3] * 3
    orders = [tuple(one.device for one in visited[i : i + 3]) for i in (0, 3, 6)]
    assert len(set(orders)) > 1
    medians = {
        place.info.id: [one.latency_median_ms for one in visited if one.device == place.info.id] for place in places
    }
    found = compare(medians)  # type: ignore[arg-type]
    assert [one.device for one in found if one.verdict == "slower"] == ["edgetpu:1"]


def test_a_failing_device_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(tmp_path, monkeypatch)
    host.usb("2-1")
    host.behave(invoke="crash")
    model = tmp_path / "m_edgetpu.tflite"
    model.write_bytes(compiled_model())
    place = checkup.place_of("edgetpu:0")
    one = next(visit_all([place], {"edgetpu:0": checkup.model_job(model, place.driver)}, QUICK, 3))
    assert one.latency_median_ms is None
    assert "SIGSEGV" in (one.error or "")


def test_two_rounds_are_too_few() -> None:
    with pytest.raises(BadInput, match="3 or more"):
        next(visit_all([], {}, QUICK, 2))
