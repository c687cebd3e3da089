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

    wide_bytes: float
    input_room_bytes: float
    wide_range: tuple[int, int] | None
    room_range: tuple[int, int] | None


class MemoryGrid:
    """Which rows come out wrong under which constants; made once, asked for many subsets of the rows."""

    def __init__(self, rows: Sequence[Row], bases: Mapping[str, Hardware]) -> None:
        base = next(iter(bases.values()))
        self._base = MemoryFit(base.wide_memory_bytes, base.input_room_bytes, None, None)
        self._tell = np.array([None not in (row.on_chip_mib, row.off_chip_mib) for row in rows], dtype=bool)
        telling = [row for row, tells in zip(rows, self._tell, strict=True) if tells]
        self._wrong = np.zeros((len(WIDE_MIB), len(ROOM_MIB), len(telling)), dtype=bool)
        self._base_wrong = np.zeros(len(telling), dtype=bool)
        for number, row in enumerate(telling):
            hardware = bases[row.host]
            self._wrong[:, :, number] = _wrong(row, hardware, WIDE_MIB[:, None] * MIB, ROOM_MIB[None, :] * MIB)
            at_base = np.array([[base.wide_memory_bytes]]), np.array([[base.input_room_bytes]])
            self._base_wrong[number] = _wrong(row, hardware, *at_base).item()

    def fit(self, chosen: npt.NDArray[np.bool_] | None = None, *, keep_base: bool = False) -> MemoryFit:
        """The middle of the largest plateau of fewest wrong rows: of the wide memory first, then of the room.

        The base's values, without a range, where no row tells; with `keep_base` also where they are among the best.
        """
        pick = slice(None) if chosen is None else chosen[self._tell]
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
    partition = place(row.graph, hardware)
    code_bytes = partition.instruction_bytes or 0
    input_bytes = sum(known_bytes(row.graph.tensors[i]) for i in partition.inputs)
    rooms = wide_bytes - code_bytes - np.maximum(0.0, input_bytes - room_bytes)
    total = sum(partition.stored_bytes.values())
    on_chip = np.zeros(rooms.shape)
    for size in partition.stored_bytes.values():  # `placement.greedy`, for all rooms at once
        fits = size <= rooms
        on_chip += size * fits
        rooms = rooms - size * fits
    return ~(_agree(on_chip / MIB, row.on_chip_mib) & _agree((total - on_chip) / MIB, row.off_chip_mib))


def _agree(found_mib: npt.NDArray[np.float64], told_mib: float | None) -> npt.NDArray[np.bool_]:
    told = told_mib or 0.0
    return np.abs(found_mib - told) <= max(TOLERANCE * told, TOLERANCE_MIB)
