"""Layers with the same constants, as a recurrent cell's steps: stored once, cached or streamed together."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from graph_builder import Builder
from recurrences import CELLS, graph

from paraedge.core.cut import cut
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.models.rnn import RnnParams
from paraedge.simulate import Hardware, predict, spans
from paraedge.simulate.parameters import earlier_users
from paraedge.simulate.placement import place
from paraedge.simulate.segments import fewest_segments
from paraedge.simulate.span_edges import MOST_LAYERS

LAYER_BYTES = 64 * (64 + 4)
"""64 inputs, 64 outputs, and 4 bytes of bias for each."""


def steps(*shared: int) -> LayerGraph:
    """A chain of layers of 64 units; those with the same number have the same weights."""
    builder = Builder()
    x = first = builder.tensor((1, 64))
    known: dict[int, tuple[int, int]] = {}
    for name in shared:
        if name not in known:
            known[name] = builder.tensor((64, 64), constant=True), builder.tensor((64,), "int32", constant=True)
        x = builder.op("FULLY_CONNECTED", (x, *known[name]), (1, 64))
    return builder.graph([first], [x])


def with_room(chip: Hardware, layers: float, graph: LayerGraph) -> Hardware:
    """A device whose cache holds the parameters of so many layers of `steps` beside the graph's instructions."""
    code = place(graph, chip).instruction_bytes or 0
    return dataclasses.replace(chip, wide_memory_bytes=code + layers * LAYER_BYTES)


def test_users_of_the_same_constants_are_found() -> None:
    made = steps(0, 1, 0, 1, 1, 2)
    assert earlier_users(made.tensors, enumerate(made.layers)) == {2: 0, 3: 1, 4: 3}
    assert earlier_users(made.tensors, [(i, made.layers[i]) for i in (2, 3, 4)]) == {4: 3}


def test_shared_parameters_are_stored_once(chip: Hardware) -> None:
    made = steps(0, 0, 0, 1)
    placement = predict(made, chip).placement
    assert placement.on_chip == (0, 1, 2, 3)
    assert placement.on_chip_bytes == 2 * LAYER_BYTES
    assert place(made, chip).layer_bytes == dict.fromkeys(range(4), LAYER_BYTES)


def test_they_are_streamed_together_and_fetched_at_every_use(chip: Hardware) -> None:
    made = steps(0, 1, 0, 1, 1)
    hardware = with_room(chip, 1, made)
    found = predict(made, hardware)
    assert (found.placement.on_chip, found.placement.off_chip) == ((0, 2), (1, 3, 4))
    assert (found.placement.on_chip_bytes, found.placement.off_chip_bytes) == (LAYER_BYTES, LAYER_BYTES)
    streamed_ms = 3 * LAYER_BYTES * hardware.costs["streamed_bytes"]
    assert found.terms["weights_ms"] == pytest.approx(streamed_ms + hardware.stream_setup_ms)


@pytest.mark.parametrize("room", [0.5, 1, 1.5, 2, 3])
@pytest.mark.parametrize("shared", [(0, 0, 0, 0), (0, 1, 0, 1, 2), (0, 1, 2, 2, 1, 0), (0, 1, 2, 0, 1, 2, 3)])
def test_every_span_is_what_it_is_by_itself(shared: tuple[int, ...], room: float, chip: Hardware) -> None:
    made = steps(*shared)
    check_spans(made, with_room(chip, room, made))


@pytest.mark.parametrize("room_kib", [8, 30])
@pytest.mark.parametrize("cell", CELLS)
def test_every_span_of_a_recurrent_network(cell: str, room_kib: int, chip: Hardware) -> None:
    made = graph(RnnParams(cell=cell, layer=2, embed=40, length=2, vocab=8))
    code = place(made, chip).instruction_bytes or 0
    check_spans(made, dataclasses.replace(chip, wide_memory_bytes=code + 1024.0 * room_kib))


def check_spans(made: LayerGraph, hardware: Hardware) -> None:
    table = spans(made, hardware, alone=True)
    for first, end in itertools.combinations(range(len(made.layers) + 1), 2):
        alone = predict(cut(made, range(first, end)), hardware)
        assert table.on_chip_bytes[first, end] == alone.placement.on_chip_bytes
        assert table.off_chip_bytes[first, end] == alone.placement.off_chip_bytes
        assert table.busy_ms[first, end] == pytest.approx(alone.latency_ms)


@pytest.mark.parametrize("room", [1, 1.5, 2, 3])
@pytest.mark.parametrize("shared", [(0, 0, 0, 0), (0, 1, 0, 1, 2, 2), (0, 1, 2, 2, 1, 0), (0, 1, 2, 3, 3, 3, 4)])
def test_no_cut_needs_fewer(shared: tuple[int, ...], room: float, chip: Hardware) -> None:
    made = steps(*shared)
    hardware = with_room(chip, room, made)
    ends = [0]
    while ends[-1] < len(shared):  # the farthest at every cut is the fewest: an input never takes room here
        fits = (end for end in range(len(shared), ends[-1], -1) if not streams(made, hardware, ends[-1], end))
        ends.append(next(fits))
    found = fewest_segments(made, hardware)
    assert found.stop == len(shared)
    assert len(found.starts) == len(ends) - 1


def streams(made: LayerGraph, hardware: Hardware, first: int, end: int) -> bool:
    return bool(place(cut(made, range(first, end)), hardware).streamed)


def test_a_network_of_too_many_ops_is_not_cut(chip: Hardware) -> None:
    made = steps(*[0] * (MOST_LAYERS + 1))
    assert predict(made, chip).placement.on_chip_bytes == LAYER_BYTES
    with pytest.raises(BadInput, match="has 2501 ops; cuts can be looked for among 2500 at most"):
        spans(made, chip)
