"""How layers fill the array, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from graph_builder import Builder
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.graph import LayerGraph
from paraedge.simulate.steps import is_uneven, layer_steps, tile_pixels


def steps(graph: LayerGraph) -> tuple[str, float]:
    return layer_steps(graph.tensors, graph.layers[-1])


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        ((1, 64, 64, 3), 16 * 16),
        ((1, 65, 64, 3), 17 * 16),
        ((1, 7, 7, 512), 2 * 2),  # the tiles at the rim have less to do, or nothing
        ((1, 1, 1, 1001), 1),
        ((1, 4, 5, 8), 2),
        ((2, 8, 8, 8), 8),
        ((1, 1000), 1),
        ((1, 49, 64), 49),
        ((), 1),
    ],
)
def test_a_layer_lasts_as_long_as_its_busiest_tile(shape: tuple[int, ...], pixels: int) -> None:
    assert tile_pixels(shape) == pixels


@given(st.integers(1, 300), st.integers(1, 300))
def test_16_tiles_hold_the_image(height: int, width: int) -> None:
    found = tile_pixels((1, height, width, 8))
    assert height * width <= 16 * found
    assert 16 * found <= (height + 3) * (width + 3)
    assert is_uneven((1, height, width, 8)) == (height * width > 1 and (height % 4 > 0 or width % 4 > 0))


@pytest.mark.parametrize(
    ("shape", "filters", "kernel", "expected"),
    [
        ((1, 64, 64, 3), 64, 3, ("conv_steps", 256 * 9 * 1 * 1)),
        ((1, 64, 64, 5), 65, 3, ("conv_steps", 256 * 9 * 2 * 2)),  # 5 inputs are 8, 65 outputs are 128
        ((1, 14, 14, 512), 512, 1, ("conv_steps", 16 * 128 * 8)),
        ((1, 1, 1, 1024), 1001, 1, ("conv_steps", 256 * 16)),
    ],
)
def test_steps_of_a_convolution(
    builder: Builder, shape: tuple[int, ...], filters: int, kernel: int, expected: tuple[str, int]
) -> None:
    x = builder.tensor(shape)
    assert steps(builder.graph([x], [builder.conv(x, filters, kernel=kernel)])) == expected


def test_steps_of_a_depthwise_convolution_pad_channels_to_64(builder: Builder) -> None:
    x = builder.tensor((1, 10, 10, 72))
    w = builder.tensor((1, 5, 5, 72), constant=True)
    y = builder.op("DEPTHWISE_CONV_2D", (x, w, -1), (1, 10, 10, 72))
    assert steps(builder.graph([x], [y])) == ("depthwise_steps", 9 * 25 * 2)


def test_steps_of_a_transposed_convolution_are_those_of_its_input(builder: Builder) -> None:
    x = builder.tensor((1, 8, 8, 16))
    w = builder.tensor((24, 2, 2, 16), constant=True)
    y = builder.op("TRANSPOSE_CONV", (builder.values(1, 16, 16, 24), w, x), (1, 16, 16, 24))
    assert steps(builder.graph([x], [y])) == ("conv_steps", 4 * 4 * 4 * 1)


def test_fully_connected_weights_are_read_once(builder: Builder) -> None:
    x = builder.tensor((1, 102))
    assert steps(builder.graph([x], [builder.dense(x, 65)])) == ("weight_bytes", 104 * 128)


def test_other_ops_pass_their_output_and_moves_of_the_same_bytes_are_free(builder: Builder) -> None:
    x = builder.tensor((1, 8, 8, 3))
    assert steps(builder.graph([x], [builder.op("ADD", (x, x), (1, 8, 8, 3))])) == ("elements", 192)
    assert steps(builder.graph([x], [builder.op("RESHAPE", (x,), (1, 192))])) == ("elements", 0)


sizes = st.integers(1, 400)


@given(st.integers(1, 70), st.integers(1, 70), sizes, sizes, sizes, sizes, st.sampled_from([1, 3, 5]))
def test_more_never_takes_fewer_steps_and_no_step_does_more_than_4096_macs(
    height: int, width: int, depth: int, filters: int, more_depth: int, more_filters: int, kernel: int
) -> None:
    def count(depth: int, filters: int) -> float:
        builder: Any = Builder()
        x = builder.tensor((1, height, width, depth))
        return steps(builder.graph([x], [builder.conv(x, filters, kernel=kernel)]))[1]

    found = count(depth, filters)
    assert found <= count(depth + more_depth, filters)
    assert found <= count(depth, filters + more_filters)
    assert math.prod((height, width, kernel, kernel, depth, filters)) <= 4096 * found
