"""What crosses the link, worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
from graph_builder import Builder
from hypothesis import given
from hypothesis import strategies as st

from paraedge.simulate import Hardware, load_hardware
from paraedge.simulate.traffic import instruction_bytes, layer_instruction_bytes, output_blocks, weight_fetches

PRICED = {
    "instruction_bytes_per_op": 1000.0,
    "instruction_bytes_per_border": 300.0,
    "instruction_bytes_per_unit": 7.5,
    "instruction_bytes_per_softmax": 50.0,
}


def test_instruction_bytes_by_hand(builder: Builder, chip: Hardware) -> None:
    priced = dataclasses.replace(chip, **PRICED)  # type: ignore[arg-type]
    even = builder.tensor((1, 8, 8, 4))
    uneven = builder.tensor((1, 9, 8, 4))
    builder.conv(even, 8)  # 1000
    builder.conv(uneven, 8)  # 1300
    builder.conv(uneven, 8, kernel=1)  # 1000: without a border to exchange
    w = builder.tensor((1, 3, 3, 4), constant=True)
    builder.op("DEPTHWISE_CONV_2D", (uneven, w, -1), (1, 9, 8, 4))  # 1300
    x = builder.dense(builder.tensor((1, 32)), 10)  # 1075
    builder.op("SOFTMAX", (x,), (1, 10))  # 1050
    graph = builder.graph([], [])
    found = [layer_instruction_bytes(graph.tensors, layer, priced) for layer in graph.layers]
    assert found == [1000, 1300, 1000, 1300, 1075, 1050]
    assert instruction_bytes(graph.tensors, graph.layers, priced) == 6725


def test_outputs_are_copied_by_pixel_and_block_of_64_channels(builder: Builder) -> None:
    image, vector = builder.tensor((1, 8, 4, 65)), builder.tensor((1, 1000))
    dynamic, pixel = builder.tensor((1, -1, 4, 64)), builder.tensor((1, 1, 1, 1001))
    tensors = builder.graph([], []).tensors
    assert output_blocks(tensors, [image]) == 32 * (1 + 2)
    assert output_blocks(tensors, [vector, dynamic, pixel]) == 0
    assert output_blocks(tensors, [image, vector, image]) == 192


MIB = 1 << 20


@pytest.mark.parametrize(
    ("taken", "made", "fetches"),
    [
        (2.0, 1.0, 1),  # 3 MiB together just fit
        (2.0, 1.25, 1 + 1),
        (2.25, 2.25, 1 + 3),
        (1.0, 4.5, 1 + 2),
        (3.0, 1.0, 1 + 4),
        (3.0, 100.0, 8),  # no more than were ever seen
        (3.5, 1.0, 8),  # the input alone leaves no room
    ],
)
def test_fetches_by_hand(builder: Builder, chip: Hardware, taken: float, made: float, fetches: int) -> None:
    hardware = dataclasses.replace(
        chip, narrow_memory_bytes=3.0 * MIB, stripe_memory_bytes=3.25 * MIB, most_fetches=8.0
    )
    x = builder.tensor((1, 256, 256, int(taken * 16)))  # 65536 pixels: 16 channels are a MiB
    graph = builder.graph([x], [builder.conv(x, int(made * 16))])
    assert weight_fetches(graph.tensors, graph.layers[0], hardware) == fetches


def test_fetches_of_a_transposed_convolution_look_at_its_values(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 256, 256, 64))  # 4 MiB: the third input, after the shape of the output and the weights
    w = builder.tensor((4, 2, 2, 64), constant=True)
    y = builder.op("TRANSPOSE_CONV", (builder.values(1, 256, 256, 4), w, x), (1, 256, 256, 4))
    graph = builder.graph([x], [y])
    assert weight_fetches(graph.tensors, graph.layers[0], chip) == chip.most_fetches


@given(st.integers(1, 128), st.integers(1, 128), st.integers(0, 64), st.integers(0, 64))
def test_larger_activations_never_take_fewer_fetches(depth: int, filters: int, deeper: int, wider: int) -> None:
    hardware = load_hardware("sim-edgetpu-pcie")

    def fetches(depth: int, filters: int) -> int:
        builder = Builder()
        x = builder.tensor((1, 256, 256, depth))
        graph = builder.graph([x], [builder.conv(x, filters)])
        return weight_fetches(graph.tensors, graph.layers[0], hardware)

    assert 1 <= fetches(depth, filters) <= fetches(depth + deeper, filters + wider) <= hardware.most_fetches
