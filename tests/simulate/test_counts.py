"""The table of counts and costs, both of its directions."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.outcome import Prediction
from paraedge.simulate import Hardware, hardware_names, load_hardware
from paraedge.simulate.constants import UNITS
from paraedge.simulate.counts import COSTS, TERMS, Cost, Counts, costs_ms, terms_ms

BY_HAND = {
    "conv_steps": ("conv_cycles", 2.0, 2 / 500e3),
    "depthwise_steps": ("depthwise_cycles", 20.0, 20 / 500e3),
    "elements": ("elements_per_cycle", 64.0, 1 / 64 / 500e3),
    "weight_bytes": ("on_chip_bytes_per_cycle", 1024.0, 1 / 1024 / 500e3),
    "streamed_bytes": ("stream_ms_per_mib", 2.5, 2.5 / 2**20),
    "streams": ("stream_setup_ms", 0.3, 0.3),
    "input_bytes": ("link_mb_per_s", 200.0, 1 / 200e3),
    "output_bytes": ("return_mb_per_s", 100.0, 1 / 100e3),
    "output_blocks": ("return_block_ns", 150.0, 150e-6),
    "instruction_bytes": ("link_mb_per_s", 200.0, 1 / 200e3),
    "invokes": ("overhead_ms", 0.07, 0.07),
}
"""Each count: the constant that prices it, a value of it, and the milliseconds of one at 500 MHz."""


def test_costs_by_hand() -> None:
    constants = {"clock_mhz": 500.0, **{constant: value for constant, value, _ in BY_HAND.values()}}
    assert costs_ms(constants) == pytest.approx({count: ms for count, (_, _, ms) in BY_HAND.items()})
    assert {cost.count: cost.constant for cost in COSTS} == {count: row[0] for count, row in BY_HAND.items()}


def test_each_count_has_one_price_and_a_term_of_the_prediction() -> None:
    assert [cost.count for cost in COSTS if cost.constant not in UNITS] == []
    assert sorted(cost.count for cost in COSTS) == sorted(field.name for field in dataclasses.fields(Counts))
    assert {cost.term for cost in COSTS} | {"cpu_ms"} == set(TERMS)
    documented = (Prediction.__doc__ or "").split("terms: ")[1].split(", in milli")[0]
    assert [term for term in TERMS if f"`{term}`" not in documented] == []


@given(st.sampled_from(COSTS), st.floats(1e-3, 1e6), st.floats(1, 2000))
def test_the_fit_can_go_back_from_milliseconds_to_the_constant(cost: Cost, value: float, clock_mhz: float) -> None:
    assert cost.to_value(cost.to_ms(value, clock_mhz), clock_mhz) == pytest.approx(value)


counted = st.builds(Counts, **{field.name: st.floats(0, 1e9) for field in dataclasses.fields(Counts)})


@given(counted, st.sampled_from(hardware_names()))
def test_terms_are_sums_of_counts_times_costs(counts: Counts, device: str) -> None:
    hardware = load_hardware(device)
    terms = terms_ms(counts, hardware.costs)
    assert tuple(terms) == TERMS
    assert min(terms.values()) >= 0
    total = sum(getattr(counts, cost.count) * hardware.costs[cost.count] for cost in COSTS)
    assert sum(terms.values()) == pytest.approx(total)


def test_a_changed_constant_changes_its_cost(chip: Hardware) -> None:
    changed = dataclasses.replace(chip, stream_ms_per_mib=2 * chip.stream_ms_per_mib)
    assert changed.costs["streamed_bytes"] == pytest.approx(2 * chip.costs["streamed_bytes"])
    assert changed.costs["conv_steps"] == chip.costs["conv_steps"]
