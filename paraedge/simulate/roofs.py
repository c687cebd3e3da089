"""Ceilings of a simulated device, read from its hardware file."""

from __future__ import annotations

from paraedge.core.device import Origin, Roof
from paraedge.simulate.hardware import Hardware


def roofs(hardware: Hardware) -> tuple[Roof, ...]:
    """Peak int8 rate, bandwidth of the host link and on chip, and the shortest invoke.

    The host link's is the fastest of its three measured rates (commands, returned outputs, streamed parameters), so
    that no point can lie above it. On chip is inferred: bytes a cycle that the array can be fed from the parameter
    memory, see the hardware file. Operations are 2 x MACs.
    """
    sources = hardware.sources
    peak = 2 * hardware.peak_macs_per_cycle * hardware.clock_mhz / 1e3
    stream_mb_per_s = (1 << 20) / 1e3 / hardware.stream_ms_per_mib
    link = max(hardware.link_mb_per_s, hardware.return_mb_per_s, stream_mb_per_s)
    return (
        _roof("peak int8", "compute", "int8", peak, "gops_per_s", sources["peak_macs_per_cycle"].source),
        _roof("host link", "bandwidth", "host link", link / 1e3, "gb_per_s", sources["stream_ms_per_mib"].source),
        Roof(
            name="on chip",
            kind="bandwidth",
            level="on chip",
            value=hardware.on_chip_bytes_per_cycle * hardware.clock_mhz / 1e3,
            unit="gb_per_s",
            origin=Origin.SIMULATED,
            capacity_bytes=int(hardware.wide_memory_bytes),
            source=sources["on_chip_bytes_per_cycle"].source,
        ),
        _roof("shortest invoke", "floor", "int8", hardware.overhead_ms, "ms", sources["overhead_ms"].source),
    )


def _roof(name: str, kind: str, level: str, value: float, unit: str, source: str) -> Roof:
    return Roof(name=name, kind=kind, level=level, value=value, unit=unit, origin=Origin.SIMULATED, source=source)  # type: ignore[arg-type]
