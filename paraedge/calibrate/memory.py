"""The two memory constants, from what the compiler kept on chip: the middle of where most rows come out right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paraedge.calibrate.row import Row
from paraedge.simulate.constants import Hardware
from paraedge.simulate.placement import place
from paraedge.simulate.shapes import MIB, known_bytes

WIDE_MIB = np.arange(7.0, 8.001, 0.01)
ROOM_MIB = np.arange(0.0, 2.001, 0.05)
TOLERANCE, TOLERANCE_MIB = 0.02, 0.02


def agrees(found_mib: float, told_mib: float) -> bool:
    """Within 2 % or 0.02 MiB, as the compiler prints two digits."""
    return bool(_agree(np.array(found_mib), told_mib))


@dataclass(frozen=True)
class MemoryFit:
    """Values in bytes, with the range over which they do equally well; no range for the base's own."""

    wide_bytes: int
    input_room_bytes: int
    wide_range: tuple[int, int] | None
    room_range: tuple[int, int] | None


class MemoryGrid:
    """Which rows come out wrong under which constants; made once, asked for many subsets of the rows."""

    def __init__(self, rows: Sequence[Row], bases: Mapping[str, Hardware]) -> None:
        base = next(iter(bases.values()))
        self._base = MemoryFit(int(base.wide_memory_bytes), int(base.input_room_bytes), None, None)
        self._wrong = np.zeros((len(WIDE_MIB), len(ROOM_MIB), len(rows)), dtype=bool)
        self._base_wrong = np.zeros(len(rows), dtype=bool)
        for number, row in enumerate(rows):
            self._wrong[:, :, number] = _wrong(row, bases[row.host], WIDE_MIB[:, None] * MIB, ROOM_MIB[None, :] * MIB)
            at_base = np.array([[base.wide_memory_bytes]]), np.array([[base.input_room_bytes]])
            self._base_wrong[number] = _wrong(row, bases[row.host], *at_base).item()

    def fit(self, chosen: npt.NDArray[np.bool_] | None = None, *, keep_base: bool = False) -> MemoryFit:
        """The middle of the largest plateau of fewest wrong rows: of the wide memory first, then of the room.

        The base's values, without a range, where no row tells; with `keep_base` also where they are among the best.
        """
        pick = np.ones(len(self._base_wrong), dtype=bool) if chosen is None else chosen
        wrong = self._wrong[:, :, pick].sum(axis=2)
        best = wrong == wrong.min()
        if best.all() or (keep_base and self._base_wrong[pick].sum() <= wrong.min()):
            return self._base
        wide = _middle(np.flatnonzero(best.any(axis=1)), best.sum(axis=1))
        room = _middle(np.flatnonzero(best[wide]), best.sum(axis=0))
        wides, rooms = WIDE_MIB[np.flatnonzero(best[:, room])], ROOM_MIB[np.flatnonzero(best[wide])]
        return MemoryFit(
            wide_bytes=round(WIDE_MIB[wide] * MIB),
            input_room_bytes=round(ROOM_MIB[room] * MIB),
            wide_range=(round(wides.min() * MIB), round(wides.max() * MIB)),
            room_range=(round(rooms.min() * MIB), round(rooms.max() * MIB)),
        )


def _middle(candidates: npt.NDArray[np.intp], breadth: npt.NDArray[np.intp]) -> int:
    """The middle one of those candidates that leave the other constant most freedom."""
    widest = candidates[breadth[candidates] == breadth[candidates].max()]
    return int(widest[len(widest) // 2])


def _wrong(
    row: Row, hardware: Hardware, wide_bytes: npt.NDArray[np.float64], room_bytes: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Whether the row's bytes disagree, for every pair of wide memory (a column) and input room (a line)."""
    told = (row.on_chip_mib, row.off_chip_mib)
    if told[0] is None or told[1] is None:
        return np.zeros((len(wide_bytes), room_bytes.shape[1]), dtype=bool)
    partition = place(row.graph, hardware)
    code_bytes = partition.instruction_bytes or 0
    input_bytes = sum(known_bytes(row.graph.tensors[i]) for i in partition.inputs)
    rooms = wide_bytes - code_bytes - np.maximum(0.0, input_bytes - room_bytes)
    total = sum(partition.layer_bytes.values())
    on_chip = np.zeros(rooms.shape)
    for size in partition.layer_bytes.values():  # `placement.greedy`, for all rooms at once
        fits = size <= rooms
        on_chip += size * fits
        rooms = rooms - size * fits
    return ~(_agree(on_chip / MIB, told[0]) & _agree((total - on_chip) / MIB, told[1]))


def _agree(found_mib: npt.NDArray[np.float64], told_mib: float) -> npt.NDArray[np.bool_]:
    return np.abs(found_mib - told_mib) <= max(TOLERANCE * told_mib, TOLERANCE_MIB)
