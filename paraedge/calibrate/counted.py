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
from paraedge.simulate.placement import Partition, place
from paraedge.simulate.predict import count
from paraedge.simulate.regime import regime
from paraedge.simulate.shapes import MIB


@dataclass(frozen=True)
class Amounts:
    """Under one placement, a line a row: how much each of `COSTS` prices, and the group whose scatter the row shares."""

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
        self._partitions: dict[tuple[int, int], list[Partition]] = {}
        self._amounts: dict[tuple[int, int, int], Amounts] = {}

    def hardware(self, host: str, memory: MemoryFit, stripe_bytes: int) -> Hardware:
        """The base of a host with these memory constants."""
        return changed(
            self.bases[host],
            wide_memory_bytes=memory.wide_bytes,
            input_room_bytes=memory.input_room_bytes,
            stripe_memory_bytes=stripe_bytes,
        )

    def amounts(self, memory: MemoryFit, stripe_bytes: int) -> Amounts:
        """What every row consists of; found once for each set of memory constants."""
        place_key = (memory.wide_bytes, memory.input_room_bytes)
        key = (*place_key, stripe_bytes)
        if key not in self._amounts:
            hosts = {host: self.hardware(host, memory, stripe_bytes) for host in self.bases}
            if place_key not in self._partitions:
                self._partitions[place_key] = [place(row.graph, hosts[row.host]) for row in self.rows]
            self._amounts[key] = self._count(hosts, self._partitions[place_key])
        return self._amounts[key]

    def streamed(self, memory: MemoryFit, stripes_mib: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Bytes that each row streams under each stripe scale: a line a scale, a column a row."""
        column = [cost.count for cost in COSTS].index("streamed_bytes")
        return np.array([self.amounts(memory, round(mib * MIB)).priced[:, column] for mib in stripes_mib])

    def _count(self, hosts: Mapping[str, Hardware], partitions: Sequence[Partition]) -> Amounts:
        priced, groups = np.zeros((len(self.rows), len(COSTS))), []
        for line, (row, partition) in enumerate(zip(self.rows, partitions, strict=True)):
            counts = count(row.graph, partition, hosts[row.host])
            priced[line] = [getattr(counts, cost.count) for cost in COSTS]
            name = regime(row.graph, partition.placement.on_device, bool(partition.streamed))
            groups.append("network" if name.startswith("network") else name)
        return Amounts(priced, np.array(groups, dtype=str))
