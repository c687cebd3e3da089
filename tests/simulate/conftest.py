"""Graphs built by hand, and a simulated device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from graph_builder import Builder

from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware
from paraedge.simulate.constants import UNITS


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture(scope="session")
def dense_chain() -> Callable[..., LayerGraph]:
    """Widths -> a chain of fully connected layers."""

    def build(*widths: int, bias: bool = True) -> LayerGraph:
        builder = Builder()
        x = first = builder.tensor((1, widths[0]))
        for units in widths[1:]:
            x = builder.dense(x, units, bias=bias)
        return builder.graph([first], [x])

    return build


@pytest.fixture(scope="session")
def chip() -> Hardware:
    """A device with round constants and nothing measured, so that no calibration changes what tests expect."""
    values = {
        "clock_mhz": 500.0,
        "peak_macs_per_cycle": 4096.0,
        "overhead_ms": 0.07,
        "elements_per_cycle": 64.0,
        "conv_cycles": 1.6,
        "depthwise_cycles": 26.0,
        "on_chip_bytes_per_cycle": 1024.0,
        "wide_memory_bytes": 7.75 * 2**20,
        "input_room_bytes": 0.75 * 2**20,
        "narrow_memory_bytes": 3.0 * 2**20,
        "stripe_memory_bytes": 3.25 * 2**20,
        "most_fetches": 8.0,
        "link_mb_per_s": 200.0,
        "return_mb_per_s": 100.0,
        "return_block_ns": 150.0,
        "stream_ms_per_mib": 2.5,
        "stream_setup_ms": 0.3,
        "upload_ms_per_mib": 3.0,
        "instruction_bytes_per_op": 1500.0,
        "instruction_bytes_per_border": 4000.0,
        "instruction_bytes_per_unit": 7.5,
        "instruction_bytes_per_softmax": 100.0,
        "host_ms": 0.5,
        "handover_ms_per_mib": 8.0,
        "stream_pipelined_ms": 0.75,
        "idle_ms": 2.0,
    }
    assert set(values) == set(UNITS)
    base = load_hardware("sim-edgetpu-pcie")
    return dataclasses.replace(base, **values, residuals={}, name="sim-round")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def pcie() -> Hardware:
    return load_hardware("sim-edgetpu-pcie")
