"""Rows made ready to be fitted many times: what an invoke of each consists of under given memory constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paraedge.calibrate.changed import changed
from paraedge.calibrate.memory import MemoryFit, MemoryGrid
from paraedge.calibrate.row import Row
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import COSTS
from paraedge.simulate.placement import Subgraph, place
from paraedge.simulate.predict import count
from paraedge.simulate.regime import regime
from paraedge.simulate.shapes import MIB

STRIPES_BYTES = tuple(round(mib / 100 * MIB) for mib in range(300, 401))
"""Scales of the stripes that are tried."""


@dataclass(frozen=True)
class Amounts:
    """Under one placement, a line a row: how much each of `COSTS` prices, and the group whose scatter it shares."""

    priced: npt.NDArray[np.float64]
    groups: npt.NDArray[np.str_]


class CountedRows:
    """Rows with a latency, rows that tell only bytes, and the hardware that each host begins from.

    Nothing in here depends on a latency, so that it serves every subset of the rows.
    """

    def __init__(self, rows: Sequence[Row], bases: Mapping[str, Hardware], byte_rows: Sequence[Row] = ()) -> None:
        self.rows, self.byte_rows, self.bases = tuple(rows), tuple(byte_rows), dict(bases)
        self.latency_ms = np.array([row.latency_ms for row in rows], dtype=float)
        self.hosts = np.array([row.host for row in rows], dtype=str)
        self.grid = MemoryGrid((*rows, *byte_rows), self.bases)
        self._partitions: dict[tuple[float, float], list[Subgraph]] = {}
        self._amounts: dict[tuple[float, float, float], Amounts] = {}
        self._streamed: dict[tuple[float, float], npt.NDArray[np.float64]] = {}

    def hardware(self, host: str, memory: MemoryFit, stripe_bytes: float) -> Hardware:
        """The base of a host with these memory constants."""
        return changed(
            self.bases[host],
            wide_memory_bytes=memory.wide_bytes,
            input_room_bytes=memory.input_room_bytes,
            stripe_memory_bytes=stripe_bytes,
        )

    def amounts(self, memory: MemoryFit, stripe_bytes: float) -> Amounts:
        """What every row consists of."""
        key = (memory.wide_bytes, memory.input_room_bytes, stripe_bytes)
        if key not in self._amounts:
            hosts = {host: self.hardware(host, memory, stripe_bytes) for host in self.bases}
            if key[:2] not in self._partitions:
                self._partitions[key[:2]] = [place(row.graph, hosts[row.host]) for row in self.rows]
            self._amounts[key] = self._count(hosts, self._partitions[key[:2]])
        return self._amounts[key]

    def streamed(self, memory: MemoryFit) -> npt.NDArray[np.float64]:
        """Bytes that each row streams under each of `STRIPES_BYTES`: a line a scale, a column a row."""
        key = (memory.wide_bytes, memory.input_room_bytes)
        if key not in self._streamed:
            column = [cost.count for cost in COSTS].index("streamed_bytes")
            self._streamed[key] = np.array(
                [self.amounts(memory, stripe_bytes).priced[:, column] for stripe_bytes in STRIPES_BYTES]
            )
        return self._streamed[key]

    def _count(self, hosts: Mapping[str, Hardware], partitions: Sequence[Subgraph]) -> Amounts:
        priced, groups = np.zeros((len(self.rows), len(COSTS))), []
        for line, (row, partition) in enumerate(zip(self.rows, partitions, strict=True)):
            counts = count(row.graph, partition, hosts[row.host])
            priced[line] = [getattr(counts, cost.count) for cost in COSTS]
            name = regime(row.graph, partition.placement.on_device, bool(partition.streamed))
            groups.append("network" if name.startswith("network") else name)
        return Amounts(priced, np.array(groups, dtype=str))
