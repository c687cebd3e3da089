"""The fewest segments against trying every cut with the placement itself."""

from __future__ import annotations

import dataclasses
import random

import pytest
from graph_builder import Builder

from paraedge.core.cut import cut
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware
from paraedge.simulate.placement import place
from paraedge.simulate.segments import fewest_segments


def fewest_by_brute_force(graph: LayerGraph, hardware: Hardware) -> int | None:
    """Segments on the shortest way from the first layer to the end; None where there is no way."""
    count = len(graph.layers)
    fewest: list[int | None] = [0, *[None] * count]
    for stop in range(1, count + 1):
        for start in range(stop):
            before, best = fewest[start], fewest[stop]
            shorter = before is not None and (best is None or before + 1 < best)
            if before is not None and shorter and not place(cut(graph, range(start, stop)), hardware).streamed:
                fewest[stop] = before + 1
    return fewest[count]


def random_network(seed: int) -> LayerGraph:
    """A chain of convolutions with shortcuts and images of many sizes, so that inputs differ from cut to cut."""
    draw, builder = random.Random(seed), Builder()
    x = first = builder.tensor((1, 16, 16, 8))
    seen = [x]
    for _ in range(draw.randint(1, 14)):
        y = builder.conv(x, draw.choice((8, 64, 128)), kernel=draw.choice((1, 3)))
        if draw.random() < 0.4:
            other = draw.choice(seen)
            depth = builder.tensors[y].shape[-1] + builder.tensors[other].shape[-1]
            y = builder.op("CONCATENATION", (y, other), (1, 16, 16, depth), axis=3)
        seen.append(y)
        x = y
    return builder.graph([first], [x])


@pytest.mark.parametrize("seed", range(60))
def test_no_cut_needs_fewer(chip: Hardware, seed: int) -> None:
    draw = random.Random(-1 - seed)
    graph = random_network(seed)
    hardware = dataclasses.replace(
        chip,
        wide_memory_bytes=float(draw.randint(60_000, 250_000)),
        input_room_bytes=float(draw.choice((0, 20_000, 786_432))),
    )
    segments = fewest_segments(graph, hardware)
    wanted = fewest_by_brute_force(graph, hardware)
    if wanted is None:
        assert segments.stop < len(graph.layers)
        assert place(cut(graph, range(segments.stop, segments.stop + 1)), hardware).streamed
        return
    assert len(segments.starts) == wanted
    assert segments.stop == len(graph.layers)
    for start, stop in zip(segments.starts, [*segments.starts[1:], segments.stop], strict=True):
        assert not place(cut(graph, range(start, stop)), hardware).streamed


def test_an_earlier_cut_with_a_smaller_input_can_pay_off(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 16, 16, 8))
    small = builder.conv(x, 8, kernel=1)
    large = builder.conv(small, 256, kernel=1)
    end = builder.conv(large, 64, kernel=1)
    graph = builder.graph([x], [end])
    free = dict.fromkeys(("instruction_bytes_per_op", "instruction_bytes_per_border"), 0.0)
    first, second, third = 64 * 8 + 8 * 64, 256 * 8 + 8 * 256, 64 * 256 + 8 * 64
    rooms = {"input_room_bytes": 2048.0, "wide_memory_bytes": float(second + third)}
    hardware = dataclasses.replace(chip, **free, **rooms)
    assert first + second <= rooms["wide_memory_bytes"]  # the longest first segment takes two layers, and leaves
    assert third > rooms["wide_memory_bytes"] - (256 * 256 - 2048)  # the third an input that it has no room beside
    assert fewest_segments(graph, hardware).starts == (0, 1)


def test_nothing_to_cut(chip: Hardware) -> None:
    empty = LayerGraph(name="empty", tensors=(), layers=(), inputs=(), outputs=())
    assert fewest_segments(empty, chip) == ((), 0)


def test_a_long_chain_is_cut_without_trying_every_cut(chip: Hardware) -> None:
    builder = Builder()
    x = first = builder.tensor((1, 64))
    for _ in range(10_000):
        x = builder.dense(x, 64)
    segments = fewest_segments(builder.graph([first], [x]), chip)  # a fraction of a second; every cut takes hours
    layer = 64 * 64 + 4 * 64 + chip.instruction_bytes_per_op + 64 * chip.instruction_bytes_per_unit
    most = int(chip.wide_memory_bytes // layer)
    assert len(segments.starts) == -(-10_000 // most)
