"""Each layer of what we write, fed its own recorded input, equals an independent numpy reference of int8 arithmetic.

LiteRT's reference kernels (BUILTIN_REF) are the runtime side: they round twice (gemmlowp's fixed-point multiplication),
but for FULLY_CONNECTED, which rounds once.
The formulas are those of the TFLite quantization specification (Jacob et al., arXiv 1712.05877, section 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from fixed_point import multiply, rescale, rescale_once

from paraedge import models
from paraedge.core.graph import Layer, LayerGraph, Tensor
from paraedge.core.spec import ModelSpec
from paraedge.tflite import write_model

Array = np.ndarray
Values = Callable[[int], Array]


def finish(values: Array, output: Tensor, layer: Layer) -> Array:
    """Add the zero point, apply the fused activation as a clamp, and saturate."""
    zero_point = output.quantization.zero_points[0]
    ends = {"NONE": (-math.inf, math.inf), "RELU": (0, math.inf), "RELU6": (0, 6)}
    low, high = (zero_point + end / scale(output) for end in ends[layer.options["fused_activation_function"]])
    return np.clip(values + zero_point, max(low, -128), min(high, 127)).astype(np.int8)


def scale(tensor: Tensor) -> float:
    return float(np.float32(tensor.quantization.scales[0]))


def centred(values: Array, tensor: Tensor) -> Array:
    return values.astype(np.int64) - tensor.quantization.zero_points[0]


def fully_connected(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    x, weights, bias = (graph.tensors[i] for i in layer.inputs)
    output = graph.tensors[layer.outputs[0]]
    sums = centred(value(layer.inputs[0]), x) @ value(layer.inputs[1]).astype(np.int64).T + value(layer.inputs[2])
    assert bias.dtype == "int32"
    return finish(rescale_once(sums, scale(x) * scale(weights) / scale(output)), output, layer)


def padded(values: Array, kernel: tuple[int, int], stride: tuple[int, int], fill: float, padding: str) -> Array:
    """`SAME` padding: output ceil(size / stride), the odd one of an uneven padding after; `VALID` has none."""
    widths = [(0, 0)]
    for size, length, step in zip(values.shape[1:3], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + length - size, 0) if padding == "SAME" else 0
        widths.append((total // 2, total - total // 2))
    return np.pad(values, [*widths, (0, 0)], constant_values=fill)


def windows(values: Array, kernel: tuple[int, int], layer: Layer, fill: float) -> Array:
    """[batch, height, width, depth, kernel height, kernel width] views of the padded image."""
    stride = (layer.options["stride_h"], layer.options["stride_w"])
    image = padded(values, kernel, stride, fill, layer.options["padding"])
    view = np.lib.stride_tricks.sliding_window_view(image, kernel, axis=(1, 2))
    return view[:, :: stride[0], :: stride[1]]


def per_channel(graph: LayerGraph, layer: Layer, sums: Array) -> Array:
    """Sums of a convolution to the output's codes, with the weights' own scale for each channel."""
    x, weights, _ = (graph.tensors[i] for i in layer.inputs)
    output = graph.tensors[layer.outputs[0]]
    channels = [
        rescale(sums[..., channel], scale(x) * float(np.float32(own)) / scale(output))
        for channel, own in enumerate(weights.quantization.scales)
    ]
    return finish(np.stack(channels, axis=-1), output, layer)


def convolution(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    x, weights, _ = (graph.tensors[i] for i in layer.inputs)
    patches = windows(centred(value(layer.inputs[0]), x), weights.shape[1:3], layer, 0)
    sums = np.einsum("nhwcyx,oyxc->nhwo", patches, value(layer.inputs[1]).astype(np.int64), optimize=True)
    return per_channel(graph, layer, sums + value(layer.inputs[2]))


def depthwise(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    x, weights, _ = (graph.tensors[i] for i in layer.inputs)
    patches = windows(centred(value(layer.inputs[0]), x), weights.shape[1:3], layer, 0)
    sums = np.einsum("nhwcyx,yxc->nhwc", patches, value(layer.inputs[1])[0].astype(np.int64))
    return per_channel(graph, layer, sums + value(layer.inputs[2]))


def add(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    a, b = (graph.tensors[i] for i in layer.inputs)
    output = graph.tensors[layer.outputs[0]]
    twice = 2 * max(scale(a), scale(b))
    left, right = (
        rescale(centred(value(i), tensor) << 20, scale(tensor) / twice)
        for i, tensor in zip(layer.inputs, (a, b), strict=True)
    )
    return finish(rescale(left + right, twice / (2**20 * scale(output))), output, layer)


def pooled(layer: Layer, values: Array, fill: float) -> Array:
    return windows(values, (layer.options["filter_height"], layer.options["filter_width"]), layer, fill)


def max_pool(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    return pooled(layer, value(layer.inputs[0]), -128).max(axis=(4, 5))


def average_pool(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    """Mean of the codes on the image, halves away from zero; the zero point takes no part, as scales are equal."""
    codes = value(layer.inputs[0]).astype(np.float64)
    means = np.nanmean(pooled(layer, codes, math.nan), axis=(4, 5))
    return np.trunc(means + np.copysign(0.5, means)).astype(np.int8)


def concatenation(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    assert len({graph.tensors[i].quantization for i in (*layer.inputs, *layer.outputs)}) == 1
    return np.concatenate([value(i) for i in layer.inputs], axis=layer.options["axis"])


def reshape(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    return value(layer.inputs[0]).reshape(value(layer.inputs[1]))


def softmax(graph: LayerGraph, layer: Layer, value: Values) -> Array:
    """The probabilities in 256ths, rounded, with 1 as 255."""
    logits = scale(graph.tensors[layer.inputs[0]]) * value(layer.inputs[0]).astype(np.float64)
    powers = np.exp(layer.options["beta"] * (logits - logits.max(axis=-1, keepdims=True)))
    return np.minimum(np.round(256 * powers / powers.sum(axis=-1, keepdims=True)) - 128, 127).astype(np.int8)


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
    "DEPTHWISE_CONV_2D": depthwise,
    "ADD": add,
    "MAX_POOL_2D": max_pool,
    "AVERAGE_POOL_2D": average_pool,
    "CONCATENATION": concatenation,
    "RESHAPE": reshape,
    "SOFTMAX": softmax,
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


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    "params",
    [
        {"model": "mobilenet_v1", "width": 25, "image": 33, "output": 100},
        {"model": "mobilenet_v2", "width": 35, "image": 32, "output": 100},
        {"model": "inception_v3", "width": 25, "image": 75, "output": 100},
    ],
    ids=lambda params: params["model"],
)
def test_every_layer_of_the_zoo_equals_numpy(params: dict[str, object], batch: int) -> None:
    graph = models.build_graph(ModelSpec(family="zoo", params=models.FAMILIES["zoo"].params(**params), batch=batch))
    interpreter = run_reference_kernels(graph, 0)
    for index, layer in enumerate(graph.layers):
        expected = REFERENCE[layer.op](graph, layer, interpreter.get_tensor)
        actual = interpreter.get_tensor(layer.outputs[0])
        np.testing.assert_array_equal(actual, expected, err_msg=f"layer {index} {layer.op}")


def test_a_wrong_multiplier_is_noticed(monkeypatch: pytest.MonkeyPatch, int8_graph: LayerGraph) -> None:
    for name in ("rescale", "rescale_once"):
        monkeypatch.setitem(globals(), name, lambda sums, real: np.floor(sums * real).astype(np.int64))
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
