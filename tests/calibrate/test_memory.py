"""The memory constants: the middle of the plateau, and the same grid by `placement.place` itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from paraedge.calibrate.changed import changed
from paraedge.calibrate.memory import ROOM_MIB, WIDE_MIB, MemoryGrid, agrees
from paraedge.calibrate.row import Row
from paraedge.core.cut import cut
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, load_hardware
from paraedge.simulate.placement import place
from paraedge.simulate.shapes import MIB

WIDE, ROOM = 7.24, 0.6

Making = Callable[..., list[Row]]


@pytest.fixture(scope="module")
def pcie() -> Hardware:
    return load_hardware("sim-edgetpu-pcie")


@pytest.fixture(scope="module")
def truth(pcie: Hardware) -> Hardware:
    return changed(pcie, wide_memory_bytes=round(WIDE * MIB), input_room_bytes=round(ROOM * MIB))


@pytest.fixture(scope="module")
def graphs(network: Callable[..., LayerGraph]) -> list[LayerGraph]:
    """On both sides of the edge; the tails of stacks have an input that takes room from the parameters."""
    whole = [*(network("FC", n) for n in range(1500, 1620, 4)), *(network("CONV", n) for n in range(420, 480, 4))]
    return [*whole, *(cut(network("CONV", n), range(1, 5)) for n in range(300, 480, 4))]


@pytest.fixture(scope="module")
def rows(graphs: Sequence[LayerGraph], truth: Hardware, rows_of: Making) -> list[Row]:
    return rows_of(graphs, truth)


def wrong_rows(rows: Sequence[Row], hardware: Hardware) -> int:
    """By `place`, a row at a time."""
    wrong = 0
    for row in rows:
        placement = place(row.graph, hardware).placement
        told = (row.on_chip_mib or 0.0, row.off_chip_mib or 0.0)
        found = (placement.on_chip_bytes / MIB, placement.off_chip_bytes / MIB)
        wrong += any(abs(mine - his) > max(0.02 * his, 0.02) for mine, his in zip(found, told, strict=True))
    return wrong


def test_the_plateau_holds_the_truth_and_its_middle_is_right(
    rows: Sequence[Row], pcie: Hardware, truth: Hardware
) -> None:
    fit = MemoryGrid(rows, {"h": pcie}).fit()
    assert fit.wide_range is not None
    assert fit.room_range is not None
    assert fit.wide_range[0] <= round(WIDE * MIB) <= fit.wide_range[1]
    assert fit.room_range[0] <= round(ROOM * MIB) <= fit.room_range[1]
    assert fit.wide_range[1] - fit.wide_range[0] < 0.2 * MIB
    assert fit.wide_bytes == pytest.approx(sum(fit.wide_range) / 2, abs=0.011 * MIB)
    assert fit.input_room_bytes == pytest.approx(sum(fit.room_range) / 2, abs=0.051 * MIB)
    made = changed(pcie, wide_memory_bytes=fit.wide_bytes, input_room_bytes=fit.input_room_bytes)
    assert wrong_rows(rows, truth) == wrong_rows(rows, made) == 0


def test_the_grid_is_what_place_says(rows: Sequence[Row], pcie: Hardware) -> None:
    few = rows[::3]
    grid = MemoryGrid(few, {"h": pcie})
    wrongs = grid._wrong.sum(axis=2)
    assert len(np.unique(wrongs)) > 3
    for wide in range(0, len(WIDE_MIB), 14):
        for room in range(0, len(ROOM_MIB), 8):
            hardware = changed(pcie, wide_memory_bytes=WIDE_MIB[wide] * MIB, input_room_bytes=ROOM_MIB[room] * MIB)
            assert wrongs[wide, room] == wrong_rows(few, hardware), (WIDE_MIB[wide], ROOM_MIB[room])


def test_each_row_is_placed_with_its_own_hosts_instructions(graphs: Sequence[LayerGraph], rows_of: Making) -> None:
    """Instructions share the room: a host of another compiler has other bytes."""
    plain = load_hardware("sim-edgetpu-pcie")
    heavy = changed(plain, instruction_bytes_per_op=40_000.0)
    both = {"h": plain, "heavy": heavy}
    rows = [*rows_of(graphs, plain), *rows_of(graphs, heavy, "heavy")]
    fit = MemoryGrid(rows, both).fit()
    made = {
        host: changed(base, wide_memory_bytes=fit.wide_bytes, input_room_bytes=fit.input_room_bytes)
        for host, base in both.items()
    }
    assert sum(wrong_rows([row], made[row.host]) for row in rows) == 0


def test_the_middle_of_a_plateau_by_hand(network: Callable[..., LayerGraph], pcie: Hardware, rows_of: Making) -> None:
    """One row, which is on chip from some wide memory on: every cell from there is right, to the grid's end."""
    graph = network("FC", 1580)
    need = sum(place(graph, pcie).layer_bytes.values()) + (place(graph, pcie).instruction_bytes or 0)
    assert 7.0 < need / MIB < 7.9
    [row] = rows_of([graph], changed(pcie, wide_memory_bytes=float(need)))
    fit = MemoryGrid([row], {"h": pcie}).fit()
    right = [mib for mib in WIDE_MIB if mib * MIB >= need]
    assert fit.wide_range == (round(right[0] * MIB), round(right[-1] * MIB))
    assert fit.wide_bytes == round(right[len(right) // 2] * MIB)
    assert fit.room_range == (0, 2 * MIB)
    assert fit.input_room_bytes == MIB


def test_the_base_is_kept_where_nothing_tells(
    network: Callable[..., LayerGraph], rows: Sequence[Row], pcie: Hardware, rows_of: Making
) -> None:
    small = rows_of([network("FC", 64), network("CONV", 32)], pcie)
    untold = [dataclasses.replace(row, on_chip_mib=None) for row in rows]
    for silent in (small, untold, []):
        fit = MemoryGrid(silent, {"h": pcie}).fit()
        assert (fit.wide_bytes, fit.input_room_bytes) == (pcie.wide_memory_bytes, pcie.input_room_bytes)
        assert (fit.wide_range, fit.room_range) == (None, None)
    mixed = MemoryGrid([*small, *rows], {"h": pcie})
    chosen = np.arange(len(small) + len(rows)) < len(small)
    assert mixed.fit(chosen).wide_range is None
    assert mixed.fit(~chosen) == MemoryGrid(rows, {"h": pcie}).fit()


def test_a_base_that_is_as_good_may_be_kept(rows: Sequence[Row], pcie: Hardware, truth: Hardware) -> None:
    for base, kept in ((truth, True), (pcie, False)):
        grid = MemoryGrid(rows, {"h": base})
        assert grid.fit().wide_range is not None
        if kept:
            assert grid.fit(keep_base=True).wide_bytes == base.wide_memory_bytes
            assert grid.fit(keep_base=True).wide_range is None
        else:
            assert grid.fit(keep_base=True) == grid.fit()


@pytest.mark.parametrize(
    ("found", "told", "right"),
    [(0.0, 0.0, True), (0.02, 0.0, True), (0.021, 0.0, False), (10.2, 10.0, True), (9.79, 10.0, False)],
)
def test_agreement_is_2_percent_or_0_02_mib(found: float, told: float, right: bool) -> None:
    assert agrees(found, told) == right
