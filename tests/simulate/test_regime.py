"""Regimes, their intervals, and what is said of models unlike any that was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from graph_builder import Builder

from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, Residuals, predict
from paraedge.simulate.regime import regime

Chain = Callable[..., LayerGraph]

SEEN = Residuals(
    regime="fully connected, on chip",
    device="sim-round",
    rows=20,
    median_ape=0.1,
    p90_ape=0.2,
    within_10=0.5,
    bias=0.01,
    spread=1.25,
    spread_outside=1.6,
    ops=("FULLY_CONNECTED",),
    macs=(100.0, 1e6),
    parameter_bytes=(0.0, 1e6),
    input_bytes=(64.0, 64.0),
    output_bytes=(10.0, 10.0),
)


def with_residuals(hardware: Hardware, **changes: Any) -> Hardware:
    seen = dataclasses.replace(SEEN, **changes)
    return dataclasses.replace(hardware, residuals={seen.regime: seen})


def test_regimes(builder: Builder, dense_chain: Chain) -> None:
    assert regime(dense_chain(64, 64), [0], streamed=False) == "fully connected, on chip"
    x = builder.tensor((1, 8, 8, 4))
    y = builder.conv(builder.conv(x, 8), 8, kernel=1)
    z = builder.op("RELU", (y,), (1, 8, 8, 8))
    graph = builder.graph([x], [z])
    assert regime(graph, [0], streamed=True) == "convolutions, streamed"
    assert regime(graph, [1], streamed=True) == "network, streamed"
    assert regime(graph, [0, 1], streamed=False) == "network, on chip"
    assert regime(graph, [2], streamed=False) == "network, on chip"


def test_the_interval_is_the_spread_of_its_regime_either_way(dense_chain: Chain, chip: Hardware) -> None:
    hardware = with_residuals(chip)
    prediction = predict(dense_chain(64, 64, 10), hardware)
    assert prediction.regime == SEEN.regime
    assert prediction.low_ms == pytest.approx(prediction.latency_ms / 1.25)
    assert prediction.high_ms == pytest.approx(prediction.latency_ms * 1.25)
    assert prediction.outside == ()
    streamed = predict(dense_chain(64, 4096, 4096, 10), hardware)
    assert streamed.regime == "fully connected, streamed"
    assert (streamed.low_ms, streamed.high_ms) == (None, None)
    assert streamed.outside == ("nothing like it was measured (fully connected, streamed)",)


def test_outside_of_what_was_measured_the_interval_is_the_wider_one(dense_chain: Chain, chip: Hardware) -> None:
    prediction = predict(dense_chain(64, 64, 10), with_residuals(chip, device="sim-other"))
    assert prediction.outside
    assert prediction.low_ms == pytest.approx(prediction.latency_ms / 1.6)
    assert prediction.high_ms == pytest.approx(prediction.latency_ms * 1.6)


def test_a_tenth_beyond_the_measured_models_is_still_like_them(dense_chain: Chain, chip: Hardware) -> None:
    near = with_residuals(chip, macs=(4736 * 1.09, 1e6), input_bytes=(1.0, 64 / 1.09))
    assert predict(dense_chain(64, 64, 10), near).outside == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"device": "sim-other"}, ["on this host", "sim-other"]),
        ({"ops": ("CONV_2D",)}, ["FULLY_CONNECTED"]),
        ({"macs": (1e6, 1e7)}, ["4.736 thousand MACs", "the least measured of its kind is 1 million"]),
        ({"macs": (1.0, 4300.0)}, ["4.736 thousand MACs", "the most measured of its kind is 4.3 thousand"]),
        ({"parameter_bytes": (0.0, 1.0)}, ["KiB of parameters", "the most measured of its kind is 1 B"]),
        ({"input_bytes": (71.0, 71.0)}, ["64 B of input", "the least measured of its kind is 71 B"]),
        ({"output_bytes": (1.0, 9.0)}, ["10 B of output", "the most measured of its kind is 9 B"]),
    ],
)
def test_each_way_to_be_outside_is_named(
    dense_chain: Chain, chip: Hardware, changes: dict[str, Any], words: list[str]
) -> None:
    prediction = predict(dense_chain(64, 64, 10), with_residuals(chip, **changes))  # 64 x 64 + 64 x 10 MACs
    [clause] = prediction.outside
    assert [word for word in words if word not in clause] == []
    assert prediction.low_ms is not None  # an interval all the same, with the caution beside it


def test_what_is_not_timed_has_no_interval(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64))
    y = builder.dense(x, 10)
    graph = builder.graph([x], [builder.op("GELU", (y,), (1, 10))])
    prediction = predict(graph, with_residuals(chip))
    assert prediction.untimed
    assert prediction.low_ms is None


def test_nothing_on_the_device_has_no_regime(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64), "float32")
    prediction = predict(builder.graph([x], [builder.op("GELU", (x,), (1, 64), "float32")]), chip)
    assert (prediction.regime, prediction.outside) == (None, ())
