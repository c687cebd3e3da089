"""Cases: what is left out together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from paraedge.calibrate.cases import case_of
from paraedge.calibrate.changed import changed
from paraedge.calibrate.row import Row
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware


@pytest.fixture(scope="module")
def hosts() -> dict[str, Hardware]:
    return {"h": load_hardware("sim-edgetpu-pcie")}


@pytest.fixture
def row(
    network: Callable[..., LayerGraph], hosts: dict[str, Hardware], rows_of: Callable[..., list[Row]]
) -> Callable[..., Row]:
    return lambda *what: rows_of([network(*what)], hosts["h"])[0]


@pytest.mark.parametrize(
    ("what", "case"),
    [
        (("FC", 1000), "fully connected, on chip"),
        (("FC", 1700), "fully connected, streamed: 1 layer, fetched 1 times"),
        (("FC", 3000), "fully connected, streamed: 3 layers, fetched 1 times"),
        (("CONV", 100), "convolutions, on chip"),
        (("CONV", 740), "convolutions, streamed: 3 layers, fetched 8 times"),
    ],
    ids=str,
)
def test_a_sweeps_case_is_its_regime(
    what: tuple[object, ...], case: str, row: Callable[..., Row], hosts: dict[str, Hardware]
) -> None:
    assert case_of(row(*what), hosts) == case


def test_a_models_case_is_the_model(row: Callable[..., Row], hosts: dict[str, Hardware]) -> None:
    assert case_of(dataclasses.replace(row("FC", 1600), case="MobileNetV1"), hosts) == "MobileNetV1"


def test_the_case_is_that_of_the_rows_own_host(row: Callable[..., Row], hosts: dict[str, Hardware]) -> None:
    tiny = changed(hosts["h"], wide_memory_bytes=1e6)
    here, there = row("FC", 1000), dataclasses.replace(row("FC", 1000), host="tiny")
    both = {**hosts, "tiny": tiny}
    assert case_of(here, both) == "fully connected, on chip"
    assert case_of(there, both).startswith("fully connected, streamed")


def test_the_layer_that_is_fetched_most_counts(row: Callable[..., Row], hosts: dict[str, Hardware]) -> None:
    """The first layer's input has 3 channels, so that it takes one pass where the others take stripes."""
    nothing_fits = {"h": changed(hosts["h"], wide_memory_bytes=1e4)}
    assert case_of(row("CONV", 500), nothing_fits) == "convolutions, streamed: 5 layers, fetched 3 times"
