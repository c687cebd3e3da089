"""What the simulator must show, on the published tables where they are present; and that the check is honest."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import Problem, all_but
from paraedge.calibrate.report import Group, Prediction, Validation
from paraedge.calibrate.residuals import SUITE
from paraedge.calibrate.row import Row
from paraedge.calibrate.validate import _foreign_chip, _unseen_host, cross_validate, group_names, groups
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware, predict

STREAMED, ON_CHIP, CONV = "fully connected, streamed", "fully connected, on chip", "CONV sweep"
MODELS = [f"models on {host}" for host in SUITE]
FITTED = (
    *("conv_cycles", "depthwise_cycles", "link_mb_per_s", "overhead_ms"),
    *("wide_memory_bytes", "input_room_bytes", "stripe_memory_bytes"),
)
PCIE = ("return_mb_per_s", "return_block_ns", "stream_ms_per_mib", "stream_setup_ms")


@pytest.fixture(scope="module")
def found(validation: Validation) -> dict[str, Group]:
    return {group.name: group for group in validation.groups}


# --- the target, line by line ---


def test_fc_sweep_parameters_streamed(found: dict[str, Group]) -> None:
    by_row = found[STREAMED].scores["row"]
    assert by_row.rows == 12
    assert by_row.median_ape <= 0.005
    assert by_row.within_10 >= 0.98
    assert "regime" in found[STREAMED].scores  # reported


def test_fc_sweep_all_on_chip(found: dict[str, Group]) -> None:
    by_row = found[ON_CHIP].scores["row"]
    assert by_row.rows == 53
    assert by_row.median_ape <= 0.18
    assert abs(by_row.bias) <= 0.10
    assert "regime" in found[ON_CHIP].scores


def test_conv_sweep(found: dict[str, Group]) -> None:
    by_row, left_out = found[CONV].scores["row"], found[CONV].scores["regime"]
    assert by_row.rows == left_out.rows == 39
    assert by_row.median_ape <= 0.025
    assert by_row.within_10 >= 0.92
    assert left_out.median_ape <= 0.10


@pytest.mark.parametrize("name", MODELS)
def test_real_models(found: dict[str, Group], name: str) -> None:
    by_row, left_out = found[name].scores["row"], found[name].scores["model"]
    assert by_row.rows == left_out.rows == 6
    assert by_row.median_ape <= 0.06
    assert by_row.within_10 >= 0.75
    assert left_out.median_ape <= 0.10
    assert found[name].scores["host"].rows == 6


def test_on_chip_and_off_chip_bytes(validation: Validation) -> None:
    rows = {entry.name: entry.rows for entry in validation.placements}
    assert rows == {"FC": 65, "CONV": 39, "FC segments": 280, "CONV segments": 402}
    for entry in validation.placements:
        assert entry.agree >= 0.99 * entry.rows, entry.name
        assert entry.agree_left_out >= 0.99 * entry.rows, entry.name


def test_the_90_percent_interval_holds_about_that(found: dict[str, Group]) -> None:
    apart = [group for name, group in found.items() if name not in (CONV, "models, three hosts")]
    rows = sum(len(group.predictions) for group in apart)
    assert rows == 104 + 5 * 6
    held = sum(group.coverage * len(group.predictions) for group in apart) / rows
    assert 0.85 <= held <= 1.0


@pytest.mark.parametrize("name", [STREAMED, CONV, *MODELS])
def test_it_beats_what_knows_no_physics(found: dict[str, Group], name: str) -> None:
    """By row, and, where interpolation has no neighbours, with the whole case left out."""
    scores = found[name].scores
    way = "model" if name in MODELS else "regime"
    for baseline in ("constant", "interpolation"):
        assert scores["row"].median_ape < scores[baseline].median_ape, baseline
        assert scores[way].median_ape < scores[f"{baseline}, case out"].median_ape, baseline


def test_streaming_costs_about_what_pruned_models_tell(validation: Validation) -> None:
    """Their rows differ in compute too, so that theirs is an upper end."""
    assert len(validation.slopes) == 2
    for slope in validation.slopes:
        assert slope.rows >= 4
        assert slope.measured_ms_per_mib / 1.2 < slope.predicted_ms_per_mib < slope.measured_ms_per_mib * 1.05


def test_instruction_bytes(validation: Validation) -> None:
    assert validation.instructions.rows >= 15
    assert validation.instructions.median_ape < 0.1


def test_every_row_is_in_the_groups_that_it_belongs_to(found: dict[str, Group], published: Problem) -> None:
    counted = {name: len(group.predictions) for name, group in found.items()}
    assert counted["models, three hosts"] == 18
    assert counted[CONV] == counted["convolutions, on chip"] + counted["convolutions, streamed"]
    assert sum(counted[name] for name in (CONV, ON_CHIP, STREAMED)) == 104
    measured = {row.source: row.latency_ms for row in published.rows}
    for group in found.values():
        for prediction in group.predictions:
            assert prediction.measured_ms == measured[prediction.source]


def test_the_predictions_are_what_predict_says_without_the_row(validation: Validation, published: Problem) -> None:
    by_source = {each.source: each for group in validation.groups for each in group.predictions}
    for index in range(0, len(published.rows), 17):
        row = published.rows[index]
        if row.source in by_source:
            hardware = published.fit(all_but(len(published.rows), index)).hosts[row.host]
            assert by_source[row.source].predicted_ms["row"] == predict(row.graph, hardware).latency_ms


# --- honesty ---


def with_latency(problem: Problem, factors: np.ndarray) -> Problem:
    """The same rows, their latencies times these."""
    counted = copy.copy(problem.counted)
    counted.latency_ms = problem.latency_ms * factors
    return Problem(counted, problem.plan)


def outs(problem: Problem) -> dict[str, np.ndarray]:
    """Some of what is left out: single rows of each kind, a regime, a model, and a host."""
    rows, names = problem.rows, [row.name for row in problem.rows]
    singles = {
        f"row {name}": ~all_but(len(rows), names.index(name)) for name in ("CONV 722", "FC 2300", "FC 100", "CONV 32")
        if name in names
    }  # fmt: skip
    models = [row.case for row in rows]
    hosts = np.array([row.host for row in rows])
    regime = np.array([row.series == "CONV" and (row.off_chip_mib or 0) > 0 for row in rows])
    return {
        **singles,
        "row InceptionV3": ~all_but(len(rows), models.index("InceptionV3")),
        "regime": regime & (np.arange(len(rows)) % 2 == 0),
        "model": np.array([model == "MobileNetV2" for model in models]),
        "host": hosts == "sim-edgetpu-usb2",
    }


def test_what_is_left_out_has_no_say(published: Problem) -> None:
    """Ten times its latency, with the fit of all rows made first, and the rest is fitted as before."""
    assert len(outs(published)) >= 7
    for name, out in outs(published).items():
        biased = with_latency(published, np.where(out, 10.0, 1.0))
        assert biased.fit() != published.fit(), name
        assert biased.fit(~out) == published.fit(~out), name


@pytest.mark.parametrize("host", SUITE)
def test_an_unseen_host_is_predicted_by_others(published: Problem, host: str) -> None:
    biased = with_latency(published, np.where(published.counted.hosts == host, 10.0, 1.0))
    assert _unseen_host(biased, host) == _unseen_host(published, host)
    others = with_latency(published, np.where(published.counted.hosts == host, 1.0, 10.0))
    assert _unseen_host(others, host) != _unseen_host(published, host)


@pytest.mark.parametrize("host", SUITE)
def test_a_chip_that_others_told_is_right_within_10_percent(validation: Validation, host: str) -> None:
    [group] = [group for group in validation.groups if group.name == f"models on {host}"]
    assert group.scores["chip"].rows == 6
    assert group.scores["chip"].median_ape <= 0.1


def test_a_row_has_no_say_in_its_own_prediction_by_a_foreign_chip(published: Problem) -> None:
    host = "sim-edgetpu-usb2"
    first = next(index for index, row in enumerate(published.rows) if row.host == host)
    latency_ms = 10 * float(published.latency_ms[first])
    rows = [
        dataclasses.replace(row, latency_ms=latency_ms) if index == first else row
        for index, row in enumerate(published.rows)
    ]
    biased = Problem(CountedRows(rows, published.bases, published.counted.byte_rows), published.plan)
    before, after = _foreign_chip(published, host), _foreign_chip(biased, host)
    assert after[first] == before[first]
    assert all(after[index] != before[index] for index in before if index != first)


def test_what_the_base_has_fitted_does_not_leak(published: Problem) -> None:
    """From bases whose fitted constants are 30 % off, every fit is the same, and so is an unseen host."""
    bases = {}
    for number, (host, base) in enumerate(published.bases.items()):
        names = [*FITTED, *(PCIE if base.interface.startswith("PCIe") else ())]
        names += ["stream_ms_per_mib"] * base.interface.startswith("USB 2")
        factor = (1.3, 0.7)[number % 2]
        bases[host] = changed(base, **{name: base.values[name] * factor for name in dict.fromkeys(names)})
    again = Problem(CountedRows(published.rows, bases, published.counted.byte_rows))
    for name, out in {"nothing": np.zeros(len(published.rows), dtype=bool), **outs(published)}.items():
        one, two = published.fit(~out), again.fit(~out)
        assert one.memory == two.memory, name
        assert one.stripe_bytes == two.stripe_bytes, name
        assert one.costs == pytest.approx(two.costs, rel=1e-9), name
        for row in published.rows:
            if row.host in SUITE or row.host == "sim-edgetpu-pcie":
                own = [cost for cost in one.costs if cost.startswith(f"{row.host}/")]
                if own:
                    mine, theirs = (predict(row.graph, fit.hosts[row.host]).latency_ms for fit in (one, two))
                    assert mine == pytest.approx(theirs, rel=1e-9), (name, row.name)
    assert _unseen_host(published, SUITE[0]) == pytest.approx(_unseen_host(again, SUITE[0]), rel=1e-9)


# --- without the tables ---


@pytest.fixture(scope="module")
def made(network: Callable[..., LayerGraph], rows_of: Callable[..., list[Row]]) -> list[Row]:
    """A sweep on one host, three models on two others of one interface."""
    pcie, usb = load_hardware("sim-edgetpu-pcie"), load_hardware("sim-edgetpu-usb3")
    dense = rows_of([network("FC", size) for size in (64, 256, 512, 900, 1700, 2000, 2400)], pcie, "a")
    sweep = [dataclasses.replace(row, series="FC") for row in dense]
    names = ("MobileNetV1_25", "MobileNetV1_50", "MobileNetV2")
    models = [
        dataclasses.replace(row, case=name, name=name, series=host)
        for host in ("b", "c")
        for name, row in zip(names, rows_of([network(name) for name in names], usb, host), strict=True)
    ]
    return [*sweep, *models]


@pytest.fixture(scope="module")
def problem(made: Sequence[Row]) -> Problem:
    pcie, usb = load_hardware("sim-edgetpu-pcie"), load_hardware("sim-edgetpu-usb3")
    return Problem(CountedRows(made, {"a": pcie, "b": usb, "c": usb}))


def keys(prediction: Prediction) -> set[str]:
    return set(prediction.predicted_ms)


def test_ways_of_leaving_out(problem: Problem) -> None:
    predictions = cross_validate(problem)
    baselines = {"constant", "constant, case out", "interpolation", "interpolation, case out"}
    for row, prediction in zip(problem.rows, predictions, strict=True):
        ways = {"row", "model", "host", "chip"} if row.case else {"row", "regime"}
        assert ways <= keys(prediction) <= ways | baselines
        assert prediction.is_model == (row.case is not None)
        for way in ways - {"regime", "model"}:
            assert prediction.predicted_ms[way] == pytest.approx(row.latency_ms, rel=0.02), (row.name, way)


def test_groups(problem: Problem) -> None:
    predictions = cross_validate(problem)
    found = {group.name: group for group in groups(problem.rows, predictions)}
    assert set(found) == {ON_CHIP, "models on b", "models on c", STREAMED}
    assert [len(found[name].predictions) for name in (ON_CHIP, STREAMED)] == [4, 3]
    assert group_names(problem.rows[0], predictions[0]) == (ON_CHIP,)
    suite = dataclasses.replace(problem.rows[-1], host=SUITE[0])
    assert group_names(suite, predictions[-1]) == ("models, three hosts", f"models on {SUITE[0]}")
    conv = dataclasses.replace(problem.rows[0], series="CONV")
    case = dataclasses.replace(predictions[0], case="convolutions, streamed: 1 layer, fetched 3 times")
    assert group_names(conv, case) == ("CONV sweep", "convolutions, streamed")


def test_a_host_alone_with_its_interface_is_not_predicted_unseen(made: Sequence[Row], base: Hardware) -> None:
    rows = [row for row in made if row.host != "c"]
    alone = Problem(CountedRows(rows, {"a": load_hardware("sim-edgetpu-pcie"), "b": base}))
    assert _unseen_host(alone, "b") == {}
