"""The documented op list and its limits, one case each."""

from __future__ import annotations

from typing import Any

import pytest

from paraedge.simulate import check_mappable


def reason(builder: Any, *, index: int = -1) -> str | None:
    graph = builder.graph([0], [len(builder.tensors) - 1])
    return check_mappable(graph).get(len(graph.layers) + index if index < 0 else index)


@pytest.mark.parametrize(
    "op", ["ADD", "LOGISTIC", "MUL", "TANH", "RELU6", "MAXIMUM", "AVERAGE_POOL_2D", "CONCATENATION"]
)
def test_supported(builder: Any, op: str) -> None:
    x = builder.tensor((1, 4, 4, 8))
    builder.op(op, (x, x), (1, 4, 4, 8), fused_activation_function="NONE")
    assert reason(builder) is None


@pytest.mark.parametrize("op", ["GELU", "BATCH_MATMUL", "CAST", "DEQUANTIZE", "HARD_SWISH", "DIV", "PLACEHOLDER"])
def test_unsupported(builder: Any, op: str) -> None:
    x = builder.tensor((1, 4, 4, 8))
    builder.op(op, (x,), (1, 4, 4, 8))
    assert reason(builder) == "operation not supported"


@pytest.mark.parametrize(
    ("dtype", "shape", "text"),
    [
        ("float32", (1, 8), "float32"),
        ("int16", (1, 8), "int16"),
        ("int8", (-1, 8), "dynamic"),
        ("int8", (0, 8), "dynamic"),
        ("int8", (None, 8), "dynamic"),
        ("int8", (2, 3, 4, 5), "three innermost"),
        ("int8", (2, 1, 3, 4, 5), "three innermost"),
    ],
)
def test_tensors(builder: Any, dtype: str, shape: tuple[int, ...], text: str) -> None:
    x = builder.tensor(shape, dtype)
    builder.op("RELU", (x,), shape, dtype)
    assert text in (reason(builder) or "")


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"])
def test_pooling_with_fused_activation(builder: Any, op: str) -> None:
    x = builder.tensor((1, 4, 4, 8))
    builder.op(op, (x,), (1, 4, 4, 8), fused_activation_function="RELU")
    assert reason(builder) == "has a fused activation"


def test_fully_connected_over_a_batch(builder: Any) -> None:
    x = builder.tensor((2, 8))
    w = builder.tensor((4, 8), constant=True)
    builder.op("FULLY_CONNECTED", (x, w, -1), (2, 4))
    assert "not one-dimensional (a batch, or tokens, above 1)" in (reason(builder) or "")


def test_fully_connected_in_another_weights_format(builder: Any) -> None:
    x = builder.tensor((1, 8))
    w = builder.tensor((4, 8), constant=True)
    builder.op("FULLY_CONNECTED", (x, w, -1), (1, 4), weights_format="SHUFFLED4x16INT8")
    assert "default format" in (reason(builder) or "")


def test_weights_that_are_computed(builder: Any) -> None:
    x = builder.tensor((1, 8))
    w = builder.tensor((4, 8))
    builder.op("FULLY_CONNECTED", (x, w, -1), (1, 4))
    assert reason(builder) == "needs a constant as input 1"


@pytest.mark.parametrize("weights", [-1, 99])
def test_weights_that_are_not_there(builder: Any, weights: int) -> None:
    x = builder.tensor((1, 8))
    builder.op("FULLY_CONNECTED", (x, weights), (1, 4))
    assert reason(builder) is not None


def test_unequal_dilation(builder: Any) -> None:
    x = builder.tensor((1, 8, 8, 4))
    builder.conv(x, 4, dilation_w_factor=2, dilation_h_factor=1)
    assert reason(builder) == "dilation differs in x and y"


@pytest.mark.parametrize(("shape", "mapped"), [((1, 16_000), True), ((1, 16_001), False), ((1, 2, 8), False)])
def test_softmax(builder: Any, shape: tuple[int, ...], mapped: bool) -> None:
    x = builder.tensor(shape)
    builder.op("SOFTMAX", (x,), shape)
    assert (reason(builder) is None) == mapped


def test_mean_and_pad_over_the_batch(builder: Any) -> None:
    x = builder.tensor((2, 4, 4))
    builder.op("MEAN", (x, builder.values(0)), (1, 4, 4))
    builder.op("MEAN", (x, builder.values(1, 2)), (2, 1, 1))
    builder.op("PAD", (x, builder.values(1, 0, 0, 0, 0, 0, shape=(3, 2))), (3, 4, 4))
    builder.op("PAD", (x, builder.values(0, 0, 1, 1, 1, 1, shape=(3, 2))), (2, 6, 6))
    assert set(check_mappable(builder.graph([x], []))) == {0, 2}


def test_strides_of_a_slice(builder: Any) -> None:
    x = builder.tensor((1, 8))
    ends = (builder.values(0, 0), builder.values(1, 8))
    builder.op("STRIDED_SLICE", (x, *ends, builder.values(1, 1)), (1, 8))
    builder.op("STRIDED_SLICE", (x, *ends, builder.values(1, 2)), (1, 4))
    assert check_mappable(builder.graph([x], [])) == {1: "has strides other than 1"}


@pytest.mark.parametrize(("size", "mapped"), [(28, True), (1200, False)])
def test_lstm_input(builder: Any, size: int, mapped: bool) -> None:
    x = builder.tensor((1, 5, size))
    state = builder.tensor((1, 20), "int16")
    inputs = [x, *[builder.tensor((20, size), constant=True)] * 8, *[-1] * 9, state, state]
    builder.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, (1, 5, 20))
    assert (reason(builder) is None) == mapped


def test_bilinear_with_aligned_corners(builder: Any) -> None:
    x = builder.tensor((1, 8, 8, 4))
    builder.op("RESIZE_BILINEAR", (x, builder.values(16, 16)), (1, 16, 16, 4), half_pixel_centers=True)
    builder.op("RESIZE_BILINEAR", (x, builder.values(16, 16)), (1, 16, 16, 4), align_corners=True)
    found = check_mappable(builder.graph([x], []))
    assert list(found) == [1]
    assert "align_corners" in found[1]


def test_custom_ops(builder: Any) -> None:
    x = builder.tensor((1, 8))
    builder.op("CUSTOM", (x,), (1, 8), custom_code="edgetpu-custom-op")
    builder.op("CUSTOM", (x,), (1, 8), custom_code="mine")
    found = check_mappable(builder.graph([x], []))
    assert found[0].startswith("already compiled")
    assert "'mine'" in found[1]
