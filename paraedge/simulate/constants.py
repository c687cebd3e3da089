"""The nouns of a hardware file: constants with unit and source, the errors left, and the device they make."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from paraedge.simulate.counts import costs_ms

UNITS: Mapping[str, str] = {
    "clock_mhz": "MHz",
    "peak_macs_per_cycle": "MAC/cycle",
    "conv_cycles": "cycle/step",
    "depthwise_cycles": "cycle/step",
    "elements_per_cycle": "element/cycle",
    "on_chip_bytes_per_cycle": "byte/cycle",
    "wide_memory_bytes": "byte",
    "input_room_bytes": "byte",
    "narrow_memory_bytes": "byte",
    "stripe_memory_bytes": "byte",
    "most_fetches": "count",
    "link_mb_per_s": "MB/s",
    "return_mb_per_s": "MB/s",
    "return_block_ns": "ns",
    "stream_ms_per_mib": "ms/MiB",
    "stream_setup_ms": "ms",
    "upload_ms_per_mib": "ms/MiB",
    "instruction_bytes_per_op": "byte",
    "instruction_bytes_per_border": "byte",
    "instruction_bytes_per_unit": "byte",
    "instruction_bytes_per_softmax": "byte",
    "overhead_ms": "ms",
    "host_ms": "ms",
    "handover_ms_per_mib": "ms/MiB",
    "stream_pipelined_ms": "ms",
    "idle_ms": "ms",
}
"""Each constant of a hardware file with the unit that its value must be in."""

OF_PIPELINES = ("host_ms", "handover_ms_per_mib", "stream_pipelined_ms", "idle_ms")
"""Constants of pipelines only; a user's file may lack them."""

MAY_BE_ZERO = frozenset(
    {
        *OF_PIPELINES,
        *("depthwise_cycles", "input_room_bytes", "return_block_ns", "stream_setup_ms", "overhead_ms"),
        *("instruction_bytes_per_border", "instruction_bytes_per_unit", "instruction_bytes_per_softmax"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One number of a hardware file: value, unit, where it comes from, and its interval where one is known."""

    value: float
    unit: str
    source: str
    note: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """How far predictions of a regime lay from measurements that were left out of the fit; ratios, not percent.

    regime: see `regime.regime`. device: whose rows these are: the file's own or, where it has none, others' alike.
    median_ape, p90_ape: of the absolute error over the measured latency. within_10: share of rows within 10 %. bias:
    median signed error. spread: factor within which 90 % of the rows lay, either way. spread_outside: the same for rows
    whose whole case was left out (their regime or model, and their host): for models outside of what was measured.
    ops: those that the rows have. macs, parameter_bytes, input_bytes, output_bytes: smallest and largest of the rows.
    """

    regime: str
    device: str
    rows: int
    median_ape: float
    p90_ape: float
    within_10: float
    bias: float
    spread: float
    spread_outside: float
    ops: tuple[str, ...]
    macs: tuple[float, float]
    parameter_bytes: tuple[float, float]
    input_bytes: tuple[float, float]
    output_bytes: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A simulated device. The units are the last word of each name; `docs/simulator.md` says what each one does.

    *_cycles: of one step (`steps.layer_steps`). wide_memory_bytes: room of parameters and instructions.
    input_room_bytes: of the input that the parameters don't have to make room for. narrow_memory_bytes,
    stripe_memory_bytes, most_fetches: of `traffic.weight_fetches`. link: input and instructions to the device.
    return: outputs to the host. Of a pipeline's stages: host_ms, the host's own time for each input, serial, so that no
    two outputs come closer together; handover_ms_per_mib, of what a stage receives from earlier ones, while it is busy;
    stream_pipelined_ms, how much longer a stage that streams parameters is busy; idle_ms, how much longer again on the
    first input after it was idle. sources: the file's constants as written. residuals: by regime.
    """

    name: str
    summary: str
    interface: str
    host: str
    link_mbit_per_s: int | None
    clock_mhz: float
    peak_macs_per_cycle: float
    conv_cycles: float
    depthwise_cycles: float
    elements_per_cycle: float
    on_chip_bytes_per_cycle: float
    wide_memory_bytes: float
    input_room_bytes: float
    narrow_memory_bytes: float
    stripe_memory_bytes: float
    most_fetches: float
    link_mb_per_s: float
    return_mb_per_s: float
    return_block_ns: float
    stream_ms_per_mib: float
    stream_setup_ms: float
    upload_ms_per_mib: float
    instruction_bytes_per_op: float
    instruction_bytes_per_border: float
    instruction_bytes_per_unit: float
    instruction_bytes_per_softmax: float
    overhead_ms: float
    host_ms: float
    handover_ms_per_mib: float
    stream_pipelined_ms: float
    idle_ms: float
    sources: Mapping[str, Constant]
    residuals: Mapping[str, Residuals]

    @functools.cached_property
    def values(self) -> Mapping[str, float]:
        """The constants by name."""
        return {name: getattr(self, name) for name in UNITS}

    @functools.cached_property
    def costs(self) -> Mapping[str, float]:
        """Milliseconds of one of each count."""
        return costs_ms(self.values)
