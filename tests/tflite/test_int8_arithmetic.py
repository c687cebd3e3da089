"""Each layer of what we write, fed its own recorded input, equals an independent numpy reference of int8 arithmetic.

LiteRT's reference kernels (BUILTIN_REF) are the runtime side: they round twice (gemmlowp's fixed-point multiplication).
The formulas are those of the TFLite quantization specification (Jacob et al., arXiv 1712.05877, section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge import models
from paraedge.core.graph import Layer, LayerGraph, Tensor
from paraedge.core.spec import ModelSpec
from paraedge.tflite import write_model

Array = np.ndarray
Values = Callable[[int], Array]


def fixed_point(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier / 2^31 * 2^shift and 2^30 <= multiplier < 2^31."""
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    return (multiplier // 2, shift + 1) if multiplier == 2**31 else (multiplier, shift)


def rescale(sums: Array, real: float) -> Array:
    """Return sums * real in fixed point, rounded twice."""
    return multiply(sums, *fixed_point(real))


def multiply(sums: Array, multiplier: int, shift: int) -> Array:
    """Return sums * multiplier * 2^(shift - 31): high product to the nearest, then right shift to the nearest."""
    product = sums.astype(np.int64) * 2 ** max(shift, 0) * multiplier
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))  # C divides towards zero
    down = max(-shift, 0)
    mask = (1 << down) - 1
    return (high >> down) + ((high & mask) > (mask >> 1) + (high < 0))  # halves away from zero


def finish(values: Array, output: Tensor, layer: Layer) -> Array:
    """Add the zero point, apply the fused activation as a clamp, and saturate."""
    zero_point = output.quantization.zero_points[0]
    low = zero_point if layer.options["fused_activation_function"] == "RELU" else -128
    return np.clip(values + zero_point, max(low, -128), 127).astype(np.int8)


def scale(tensor: Tensor) -> float:
    return float(np.float32(tensor.quantization.scales[0]))


def centred(values: Array, tensor: Tensor) -> Array:
    return values.astype(np.int64) - tensor.quantization.zero_points[0]


def fully_connected(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    x, weights, bias = (graph.tensors[i] for i in layer.inputs)
    output = graph.tensors[layer.outputs[0]]
    sums = centred(value(layer.inputs[0]), x) @ value(layer.inputs[1]).astype(np.int64).T + value(layer.inputs[2])
    assert bias.dtype == "int32"
    product = float(np.float32(scale(x)) * np.float32(scale(weights)))  # LiteRT multiplies these two as floats
    return finish(rescale(sums, product / scale(output)), output, layer)


def padded(values: Array, kernel: tuple[int, int], stride: tuple[int, int], fill: int) -> Array:
    """`same` padding: output ceil(size / stride), the odd one of an uneven padding after."""
    widths = [(0, 0)]
    for size, length, step in zip(values.shape[1:3], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + length - size, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(values, [*widths, (0, 0)], constant_values=fill)


def windows(values: Array, kernel: tuple[int, int], stride: tuple[int, int], fill: int) -> Array:
    """[batch, height, width, depth, kernel height, kernel width] views of the padded image."""
    view = np.lib.stride_tricks.sliding_window_view(padded(values, kernel, stride, fill), kernel, axis=(1, 2))
    return view[:, :: stride[0], :: stride[1]]


def convolution(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    x, weights, _ = (graph.tensors[i] for i in layer.inputs)
    output = graph.tensors[layer.outputs[0]]
    stride = (layer.options["stride_h"], layer.options["stride_w"])
    patches = windows(centred(value(layer.inputs[0]), x), weights.shape[1:3], stride, 0)
    sums = np.einsum("nhwcyx,oyxc->nhwo", patches, value(layer.inputs[1]).astype(np.int64), optimize=True)
    sums = sums + value(layer.inputs[2])
    channels = [
        rescale(sums[..., channel], scale(x) * float(np.float32(own)) / scale(output))
        for channel, own in enumerate(weights.quantization.scales)
    ]
    return finish(np.stack(channels, axis=-1), output, layer)


def add(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    a, b = (graph.tensors[i] for i in layer.inputs)
    output = graph.tensors[layer.outputs[0]]
    twice = 2 * max(scale(a), scale(b))
    left, right = (
        rescale(centred(value(i), tensor) << 20, scale(tensor) / twice)
        for i, tensor in zip(layer.inputs, (a, b), strict=True)
    )
    return finish(rescale(left + right, twice / (2**20 * scale(output))), output, layer)


def max_pool(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    kernel = (layer.options["filter_height"], layer.options["filter_width"])
    stride = (layer.options["stride_h"], layer.options["stride_w"])
    return windows(value(layer.inputs[0]), kernel, stride, -128).max(axis=(4, 5))


def mean(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    x, output = graph.tensors[layer.inputs[0]], graph.tensors[layer.outputs[0]]
    assert x.quantization == output.quantization
    sums = centred(value(layer.inputs[0]), x).sum(axis=tuple(value(layer.inputs[1]).tolist()))
    count = x.shape[1] * x.shape[2]
    bits = int(math.log2(count))  # the number of elements is divided into the multiplier of equal scales, 2^30 and 1
    means = multiply(sums, (1 << 30 + bits) // count, 1 - bits)
    return np.clip(means + output.quantization.zero_points[0], -128, 127).astype(np.int8)


REFERENCE = {
    "FULLY_CONNECTED": fully_connected,
    "CONV_2D": convolution,
    "ADD": add,
    "MAX_POOL_2D": max_pool,
    "MEAN": mean,
}


def run_reference_kernels(graph: LayerGraph, seed: int) -> Interpreter:
    interpreter = Interpreter(
        model_content=bytes(write_model(graph)),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    generator = np.random.default_rng(seed)
    for tensor_id in graph.inputs:
        values = generator.integers(-128, 128, graph.tensors[tensor_id].shape)
        interpreter.set_tensor(tensor_id, values.astype(np.int8))
    interpreter.invoke()
    return interpreter


@pytest.mark.parametrize("seed", [0, 1])
def test_every_layer_equals_numpy(int8_graph: LayerGraph, seed: int) -> None:
    interpreter = run_reference_kernels(int8_graph, seed)
    for index, layer in enumerate(int8_graph.layers):
        expected = REFERENCE[layer.op](int8_graph, layer, interpreter.get_tensor)
        actual = interpreter.get_tensor(layer.outputs[0])
        np.testing.assert_array_equal(actual, expected, err_msg=f"layer {index} {layer.op}")


def test_a_wrong_multiplier_is_noticed(monkeypatch: pytest.MonkeyPatch, int8_graph: LayerGraph) -> None:
    monkeypatch.setitem(globals(), "rescale", lambda sums, real: np.floor(sums * real).astype(np.int64))
    interpreter = run_reference_kernels(int8_graph, 0)
    value = interpreter.get_tensor
    pairs = [(value(layer.outputs[0]), REFERENCE[layer.op](int8_graph, layer, value)) for layer in int8_graph.layers]
    assert not all(np.array_equal(actual, expected) for actual, expected in pairs)


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("fc", {"input": 64, "layer": 64, "node": 128, "output": 128}),
        ("cnn", {"kind": "residual", "block": 3, "filter": 16, "image": 64, "output": 128}),
        ("cnn", {"kind": "bottleneck", "block": 3, "filter": 8, "image": 64, "output": 128}),
        ("conv_stack", {"layer": 12, "kernel": 3, "image": 24, "channel": 3, "filter": 16}),
        ("matmul", {"n": 256}),
    ],
)
def test_activations_keep_their_spread(family: str, params: dict[str, object]) -> None:
    spec = ModelSpec(family=family, params=models.FAMILIES[family].params(**params))
    graph = models.build_graph(spec)
    interpreter = run_reference_kernels(graph, 0)
    for index, layer in enumerate(graph.layers):
        values = interpreter.get_tensor(layer.outputs[0])
        assert len(np.unique(values)) >= 16, (index, layer.op)
        assert np.mean((values == 127) | (values == -128)) < 0.9, (index, layer.op)
