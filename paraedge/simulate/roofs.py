"""Ceilings of a simulated device, read from its hardware file."""

from __future__ import annotations

from paraedge.core.device import Origin, Roof
from paraedge.simulate.hardware import Hardware
from paraedge.simulate.shapes import MIB


def roofs(hardware: Hardware) -> tuple[Roof, ...]:
    """Peak int8 rate, bandwidth of the host link and on chip, and the shortest invoke.

    The host link's is the fastest of its three measured rates (commands, returned outputs, streamed parameters), so
    that no point can lie above it. On chip is inferred: bytes a cycle that the array can be fed from the parameter
    memory, see the hardware file. Operations are 2 x MACs.
    """
    sources = hardware.sources
    stream_mb_per_s = MIB / 1e3 / hardware.stream_ms_per_mib
    link_mb_per_s = max(hardware.link_mb_per_s, hardware.return_mb_per_s, stream_mb_per_s)
    return (
        Roof(
            name="peak int8",
            kind="compute",
            level="int8",
            value=2 * hardware.peak_macs_per_cycle * hardware.clock_mhz / 1e3,
            unit="gops_per_s",
            origin=Origin.SIMULATED,
            source=sources["peak_macs_per_cycle"].source,
        ),
        Roof(
            name="host link",
            kind="bandwidth",
            level="host link",
            value=link_mb_per_s / 1e3,
            unit="gb_per_s",
            origin=Origin.SIMULATED,
            source=sources["link_mb_per_s"].source,
        ),
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
        Roof(
            name="shortest invoke",
            kind="floor",
            level="int8",
            value=hardware.overhead_ms,
            unit="ms",
            origin=Origin.SIMULATED,
            source=sources["overhead_ms"].source,
        ),
    )
