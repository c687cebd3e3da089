"""Ceilings of a simulated device, read from its hardware file."""

from __future__ import annotations

from paraedge.core.device import Origin, Roof
from paraedge.simulate.constants import Hardware
from paraedge.simulate.shapes import MIB


def roofs(hardware: Hardware) -> tuple[Roof, ...]:
    """Peak int8 rate, bandwidth of the host link and on chip, and the shortest invoke.

    The host link's is the fastest of its three measured rates (commands, returned outputs, streamed parameters), so
    that no point can lie above it. On chip is inferred: bytes a cycle that the array can be fed from the parameter
    memory, see the hardware file. Operations are 2 x MACs.
    """
    stream_mb_per_s = MIB / 1e3 / hardware.stream_ms_per_mib
    link_mb_per_s = max(hardware.link_mb_per_s, hardware.return_mb_per_s, stream_mb_per_s)
    peak_gops = 2 * hardware.peak_macs_per_cycle * hardware.clock_mhz / 1e3
    on_chip_gb_per_s = hardware.on_chip_bytes_per_cycle * hardware.clock_mhz / 1e3

    def source(constant: str) -> str:
        return hardware.sources[constant].source

    return (
        Roof(
            name="peak int8", kind="compute", level="int8", value=peak_gops, unit="gops_per_s",
            origin=Origin.SIMULATED, source=source("peak_macs_per_cycle"),
        ),
        Roof(
            name="host link", kind="bandwidth", level="host link", value=link_mb_per_s / 1e3, unit="gb_per_s",
            origin=Origin.SIMULATED, source=source("link_mb_per_s"),
        ),
        Roof(
            name="on chip", kind="bandwidth", level="on chip", value=on_chip_gb_per_s, unit="gb_per_s",
            origin=Origin.SIMULATED, source=source("on_chip_bytes_per_cycle"),
            capacity_bytes=int(hardware.wide_memory_bytes),
        ),
        Roof(
            name="shortest invoke", kind="floor", level="int8", value=hardware.overhead_ms, unit="ms",
            origin=Origin.SIMULATED, source=source("overhead_ms"),
        ),
    )  # fmt: skip
