"""Placement against sizes worked out by hand and against a brute-force reading of the rule."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import pytest

from paraedge.core.cut import edges
from paraedge.core.graph import LayerGraph
from paraedge.simulate import Hardware, predict
from paraedge.simulate.parameters import parameter_bytes
from paraedge.simulate.placement import greedy

Chain = Callable[..., LayerGraph]


def test_dense_weights_take_inputs_times_outputs_filled_up_to_64(dense_chain: Chain) -> None:
    graph = dense_chain(100, 70, bias=False)
    assert parameter_bytes(graph.tensors, graph.layers[0]) == 100 * 128
    graph = dense_chain(100, 70)
    assert parameter_bytes(graph.tensors, graph.layers[0]) == 100 * 128 + 4 * 128  # a bias of 4 bytes each


def test_convolution_pads_inputs_to_4_and_keeps_bias_and_scale_of_each_filter(builder: Any) -> None:
    x = builder.tensor((1, 8, 8, 3))
    graph = builder.graph([x], [builder.conv(x, 72)])
    assert parameter_bytes(graph.tensors, graph.layers[0]) == 9 * 4 * 128 + 8 * 128


def test_depthwise_takes_four_bytes_a_weight(builder: Any) -> None:
    x = builder.tensor((1, 8, 8, 24), "uint8")
    w = builder.tensor((1, 3, 3, 24), "uint8", constant=True)
    b = builder.tensor((24,), "int32", constant=True)
    graph = builder.graph([x], [builder.op("DEPTHWISE_CONV_2D", (x, w, b), (1, 8, 8, 24), "uint8")])
    assert parameter_bytes(graph.tensors, graph.layers[0]) == 24 * (4 * 9 + 4)


def test_layer_that_does_not_fit_is_streamed_and_smaller_later_ones_still_fit(
    dense_chain: Chain, chip: Hardware
) -> None:
    placement = predict(dense_chain(64, 1740, 1740, 1740, 1740, 10, bias=False), chip).placement
    assert placement.on_chip == (0, 1, 2, 4)
    assert placement.off_chip == (3,)
    assert placement.off_chip_bytes == 1740 * 1792
    assert placement.on_chip_bytes == 64 * 1792 + 2 * 1740 * 1792 + 1740 * 64


def test_layer_larger_than_the_cache_is_never_cached(dense_chain: Chain, chip: Hardware) -> None:
    placement = predict(dense_chain(8192, 8192), chip).placement
    assert placement.on_chip_bytes == 0
    assert placement.off_chip == (0,)


@pytest.mark.parametrize("seed", range(20))
def test_greedy_keeps_whole_layers_in_order(seed: int) -> None:
    draw = random.Random(seed)
    sizes = {i: draw.randint(1, 50) for i in range(draw.randint(0, 12))}
    room = draw.randint(0, 200)
    cached, streamed = greedy(sizes, room)
    assert sorted(cached + streamed) == list(sizes)
    for index in sizes:  # a layer is cached exactly where it fits beside those cached before it
        before = sum(sizes[i] for i in cached if i < index)
        assert (index in cached) == (sizes[index] <= room - before)


def test_large_activations_take_room_from_parameters(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 1058, 1920, 3))
    y = builder.conv(x, 8)
    z = y
    for _ in range(3):
        z = builder.conv(z, 8)
    graph = builder.graph([x], [z])
    first, others = 9 * 4 * 64 + 8 * 64, 9 * 8 * 64 + 8 * 64  # padded weights, bias and scale of each filter
    excess = 1058 * 1920 * 3 - chip.input_room_bytes  # what the input takes from the parameters
    code = round(4 * (chip.instruction_bytes_per_op + chip.instruction_bytes_per_border))  # 1058 isn't divided by 4
    needed = first + 3 * others + code + excess
    for memory, expected in ((needed, (0, 1, 2, 3)), (needed - 1, (0, 1, 2)), (needed - others - 1, (0, 1))):
        small = dataclasses.replace(chip, wide_memory_bytes=memory)
        assert predict(graph, small).placement.on_chip == expected
    roomy = dataclasses.replace(chip, wide_memory_bytes=needed - excess, input_room_bytes=2.0**23)
    assert predict(graph, roomy).placement.on_chip == (0, 1, 2, 3)  # the input has room of its own


def test_instructions_take_room_from_parameters(dense_chain: Chain, chip: Hardware) -> None:
    graph = dense_chain(64, 64, 64, bias=False)
    code = round(2 * (chip.instruction_bytes_per_op + 64 * chip.instruction_bytes_per_unit))
    exact = dataclasses.replace(chip, wide_memory_bytes=2 * 64 * 64 + code)
    assert predict(graph, exact).placement.off_chip == ()
    assert predict(graph, dataclasses.replace(exact, wide_memory_bytes=8191 + code)).placement.off_chip == (1,)


def test_what_waits_for_an_op_on_the_cpu_stays_there_and_its_neighbour_does_not(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 64))
    y = builder.dense(x, 64)
    s = builder.op("CUSTOM", (y,), (1, 64))
    after = builder.dense(s, 32)
    beside = builder.dense(y, 32)
    placement = predict(builder.graph([x], [after, beside]), chip).placement
    assert placement.on_device == (0, 3)
    assert placement.on_cpu == (1, 2)
    assert placement.reasons[1].endswith("not supported")
    assert "more than one subgraph" in placement.reasons[2]


def test_an_op_that_waits_for_none_runs_before_the_one_partition(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 64))
    first = builder.dense(x, 64)
    image = builder.tensor((1, 64), "float32")
    quantized = builder.op("QUANTIZE", (image,), (1, 64))  # from float32: on the CPU, and before the others
    both = builder.op("ADD", (first, quantized), (1, 64))
    placement = predict(builder.graph([x, image], [both]), chip).placement
    assert placement.on_device == (0, 2)
    assert placement.on_cpu == (1,)


def test_float_head_stays_on_the_cpu_and_the_rest_goes_on_the_device(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 64), "float32")
    q = builder.op("QUANTIZE", (x,), (1, 64))
    graph = builder.graph([x], [builder.dense(q, 10)])
    prediction = predict(graph, chip)
    assert prediction.placement.on_device == (1,)
    assert "float32" in prediction.placement.reasons[0]
    assert prediction.untimed[0].startswith("op 0 (QUANTIZE): on the CPU")


def test_edges_of_a_cut_are_the_tensors_that_cross_it(builder: Any) -> None:
    x = builder.tensor((1, 4))
    a = builder.op("RELU", (x,), (1, 4))
    b = builder.op("RELU", (a,), (1, 4))
    c = builder.op("ADD", (a, b), (1, 4))
    graph = builder.graph([x], [c, a])
    assert edges(graph, range(3)) == ((x,), (a, c))
    assert edges(graph, range(1, 2)) == ((a,), (b,))
    assert edges(graph, range(2, 3)) == ((a, b), (c,))
