"""The nouns of a cluster: hosts joined by a network, each with its speed, memory and link."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bus:
    """A medium that several hosts share, as Wi-Fi: all that each of them takes in and hands on, one after another."""

    name: str
    mb_per_s: float


@dataclass(frozen=True, kw_only=True)
class Host:
    """`count` hosts that are alike: with a simulated `device`, or with a speed and a memory.

    gmacs_per_s: 1e9 multiply-accumulates a second, None for a host with a device. memory_mib: for the parameters and
    activations of a segment, in MiB; None likewise. layer_ms: fixed cost of each layer. link_mbit_per_s, link_ms: rate
    and latency of its network link. bus: the name of a bus that it shares.
    """

    name: str
    count: int
    link_mbit_per_s: float
    link_ms: float = 0.0
    device: str | None = None
    gmacs_per_s: float | None = None
    memory_mib: float | None = None
    layer_ms: float = 0.0
    bus: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each: its own for one, numbered from 1 for several."""
        if self.count == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.count + 1))


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Hosts in the order of the file. overlap: a host sends one output while it works on the next input.

    host_ms: serial cost of each input, of whoever feeds the pipeline.
    """

    name: str
    summary: str
    hosts: tuple[Host, ...]
    buses: tuple[Bus, ...] = ()
    overlap: bool = True
    host_ms: float = 0.0

    @property
    def size(self) -> int:
        """Number of hosts."""
        return sum(host.count for host in self.hosts)
