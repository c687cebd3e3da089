"""Which unknown prices which count on which host: what a table of measurements is asked to tell."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

Plan: TypeAlias = "Callable[[str, str, str], str | None]"
"""(count, host, interface) to the name of the unknown that prices the count there; None: the base's cost stays."""

CHIP = frozenset({"conv_steps", "depthwise_steps"})
"""Counts whose cost belongs to the chip: one for all hosts."""
PCIE = frozenset({"streamed_bytes", "streams", "output_bytes", "output_blocks"})
"""Counts whose cost hosts on PCIe share: only the host of the sweeps measured them all."""
LINK = frozenset({"input_bytes", "instruction_bytes"})
ON_THE_LINK = LINK | {"output_bytes", "streamed_bytes"}
"""Counts of bytes that cross the link."""


def published_plan(count: str, host: str, interface: str) -> str | None:
    """The unknowns of the published tables: the chip's, those that PCIe hosts share, and each host's own.

    Streaming over USB 3 isn't among them: one model of the suite streams, so its rate is taken from the pruning
    series. Over USB 2 the wire is the limit for everything that goes down it, at one rate.
    """
    if count in CHIP:
        return count
    if count in PCIE and interface.startswith("PCIe"):
        return f"PCIe/{count}"
    return own_link(count, host, interface)


def own_link(count: str, host: str, interface: str) -> str | None:
    """The least that a host has of its own: the fixed cost of an invoke and the rate of its link."""
    if count == "invokes":
        return f"{host}/invokes"
    if count in LINK or (count == "streamed_bytes" and interface.startswith("USB 2")):
        return f"{host}/link"
    return None


OWN: dict[str, tuple[str, ...]] = {
    "invokes": ("invokes",),
    "link": ("input_bytes", "instruction_bytes"),
    "stream": ("streamed_bytes",),
    "stream set-up": ("streams",),
    "output bytes": ("output_bytes",),
    "output blocks": ("output_blocks",),
}
"""What a host can have of its own, by the counts that it prices."""


def own_plan(chosen: Collection[str]) -> Plan:
    """The plan that fits only the chosen ones of `OWN`; everything else stays the base's."""
    names = {count: name for name in chosen for count in OWN[name]}

    def plan(count: str, host: str, interface: str) -> str | None:
        name = names.get(count)
        if count == "streamed_bytes" and interface.startswith("USB 2"):
            name = names.get("input_bytes")
        return None if name is None else f"{host}/{name}"

    return plan
