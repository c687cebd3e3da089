"""What an invoke consists of, in counts, and what one of each costs: the physics in one table.

`latency = sum of count x cost`. `predict` multiplies, `paraedge calibrate` solves for the costs: both read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from paraedge.simulate.shapes import MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Of one invoke. Steps: `steps.layer_steps`. Bytes: as they cross the link; streamed ones with every fetch.

    output_blocks: steps of the host's copying of the outputs, `traffic.output_blocks`. streams: 1 where anything is
    streamed. invokes: 1.
    """

    conv_steps: float = 0.0
    depthwise_steps: float = 0.0
    elements: float = 0.0
    weight_bytes: float = 0.0
    input_bytes: float = 0.0
    instruction_bytes: float = 0.0
    output_bytes: float = 0.0
    output_blocks: float = 0.0
    streamed_bytes: float = 0.0
    streams: float = 0.0
    invokes: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """A count, the constant that prices it, the term it belongs to, and how constant and milliseconds convert.

    to_ms(value, clock_mhz) is the milliseconds that one of the count takes; to_value is its inverse.
    """

    count: str
    constant: str
    term: str
    to_ms: Callable[[float, float], float]
    to_value: Callable[[float, float], float]


def _cycles(value: float, clock_mhz: float) -> float:
    return value / (clock_mhz * 1e3)


def _to_cycles(ms: float, clock_mhz: float) -> float:
    return ms * clock_mhz * 1e3


def _per_cycle(value: float, clock_mhz: float) -> float:
    return 1 / (value * clock_mhz * 1e3)


def _rate(value: float, _clock_mhz: float) -> float:
    return 1 / (value * 1e3)


def _ns(value: float, _clock_mhz: float) -> float:
    return value * 1e-6


def _to_ns(ms: float, _clock_mhz: float) -> float:
    return ms * 1e6


def _per_mib(value: float, _clock_mhz: float) -> float:
    return value / MIB


def _to_per_mib(ms: float, _clock_mhz: float) -> float:
    return ms * MIB


def _same(value: float, _clock_mhz: float) -> float:
    return value


COSTS: tuple[Cost, ...] = (
    Cost("conv_steps", "conv_cycles", "compute_ms", _cycles, _to_cycles),
    Cost("depthwise_steps", "depthwise_cycles", "compute_ms", _cycles, _to_cycles),
    Cost("elements", "elements_per_cycle", "compute_ms", _per_cycle, _per_cycle),
    Cost("weight_bytes", "on_chip_bytes_per_cycle", "compute_ms", _per_cycle, _per_cycle),
    Cost("streamed_bytes", "stream_ms_per_mib", "weights_ms", _per_mib, _to_per_mib),
    Cost("streams", "stream_setup_ms", "weights_ms", _same, _same),
    Cost("input_bytes", "link_mb_per_s", "input_ms", _rate, _rate),
    Cost("output_bytes", "return_mb_per_s", "output_ms", _rate, _rate),
    Cost("output_blocks", "return_block_ns", "output_ms", _ns, _to_ns),
    Cost("instruction_bytes", "link_mb_per_s", "instructions_ms", _rate, _rate),
    Cost("invokes", "overhead_ms", "overhead_ms", _same, _same),
)


def costs_ms(constants: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds that one of each count takes, from the constants of a hardware file."""
    clock_mhz = constants["clock_mhz"]
    return {cost.count: cost.to_ms(constants[cost.constant], clock_mhz) for cost in COSTS}


def terms_ms(counts: Counts, costs: Mapping[str, float]) -> dict[str, float]:
    """The terms of the latency, in the order of `core.outcome.Prediction.terms`; `cpu_ms` is always 0."""
    terms = dict.fromkeys(TERMS, 0.0)
    for cost in COSTS:
        terms[cost.term] += getattr(counts, cost.count) * costs[cost.count]
    return terms


TERMS = ("compute_ms", "weights_ms", "input_ms", "output_ms", "instructions_ms", "overhead_ms", "cpu_ms")
