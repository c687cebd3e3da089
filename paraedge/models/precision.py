"""Smaller weights for a float32 network, as TensorFlow's converter gives them: float16, and int8 of dynamic range.

The weights are those of the float32 network of the same seed, rounded, and the network is the same: its parameters and
MACs don't change. float16 is a way to store: a DEQUANTIZE makes every constant float32 again, and LiteRT does this
once, when it loads the model. With dynamic range an op measures the range of its float32 input at every invoke,
quantizes it, and multiplies int8 by int8.

Source: files that the converter of TensorFlow 2.21 writes (`optimizations = [DEFAULT]`, for float16 with
`supported_types = [float16]`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from paraedge.core.graph import Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.core.spec import Precision
from paraedge.models.versions import DEQUANTIZE_VERSION, HYBRID_VERSION

SMALLEST_QUANTIZED = 1024
"""Elements of the smallest weights that the converter quantizes for dynamic range."""

Change: TypeAlias = "Callable[[LayerGraph], LayerGraph]"


def float16_weights(graph: LayerGraph) -> LayerGraph:
    """A float32 graph with all its constants as float16, each with a DEQUANTIZE before the first layer."""
    tensors, unpacking, unpacked = list(graph.tensors), [], {}
    for i, tensor in enumerate(graph.tensors):
        if tensor.weights is not None and tensor.dtype == "float32":
            tensors[i], unpacked[i] = replace(tensor, dtype="float16"), len(tensors)
            tensors.append(replace(tensor, name=f"{tensor.name}/float32", weights=None))
            unpacking.append(_dequantize(i, unpacked[i], "float16"))
    layers = [replace(layer, inputs=tuple(unpacked.get(i, i) for i in layer.inputs)) for layer in graph.layers]
    return replace(graph, tensors=tuple(tensors), layers=(*unpacking, *layers))


def dynamic_range(graph: LayerGraph) -> LayerGraph:
    """A float32 graph with int8 weights where the converter gives them: of the ops in HYBRID, but for small ones.

    Weights are symmetric, those of a product with one scale for each output channel. Activations, biases and all other
    constants stay float32. The converter takes each channel's scale from its largest weight; here it is from the
    bound that the weights are drawn within, so all channels have the same.
    """
    tensors, layers = list(graph.tensors), []
    for layer in graph.layers:
        position, axis = HYBRID.get(layer.op, (0, None))
        weights = graph.tensors[layer.inputs[position]]
        if layer.op in HYBRID and isinstance(weights.weights, SeededWeights) and weights.elements >= SMALLEST_QUANTIZED:
            tensors[layer.inputs[position]] = codes = _as_int8(weights, weights.weights, axis)
            layers += _hybrid(layer, tensors, codes)
        else:
            layers.append(layer)
    return replace(graph, tensors=tuple(tensors), layers=tuple(layers))


CHANGES: Mapping[Precision, Change] = {"float16": float16_weights, "dynamic_range": dynamic_range}
"""What makes a network of this precision out of the same one in float32."""


class _Hybrid(NamedTuple):
    """Which input of an op holds weights that can be int8, and the axis of their scales, None for a single one."""

    position: int
    axis: int | None


HYBRID: Mapping[str, _Hybrid] = {
    "CONV_2D": _Hybrid(1, 0),
    "DEPTHWISE_CONV_2D": _Hybrid(1, 3),
    "FULLY_CONNECTED": _Hybrid(1, 0),
    "GATHER": _Hybrid(0, None),
}


def _as_int8(tensor: Tensor, drawn: SeededWeights, axis: int | None) -> Tensor:
    scale, scales = drawn.bound / 127, 1 if axis is None else tensor.shape[axis]
    quantization = Quantization(scales=(scale,) * scales, zero_points=(0,) * scales, axis=axis)
    return replace(tensor, dtype="int8", quantization=quantization, weights=replace(drawn, step=scale))


def _hybrid(layer: Layer, tensors: list[Tensor], weights: Tensor) -> list[Layer]:
    """The layer with its int8 weights, and the DEQUANTIZE behind it where it hands them on as they are."""
    version = HYBRID_VERSION[layer.op]
    if layer.op == "FULLY_CONNECTED":
        return [replace(layer, version=version, options={**layer.options, "asymmetric_quantize_inputs": True})]
    if layer.op != "GATHER":
        return [replace(layer, version=version)]
    (result,) = layer.outputs
    codes = replace(tensors[result], name=f"{tensors[result].name}/int8", dtype="int8")
    tensors.append(replace(codes, quantization=weights.quantization))
    gather = replace(layer, version=version, outputs=(len(tensors) - 1,))
    return [gather, _dequantize(len(tensors) - 1, result, "int8")]


def _dequantize(source: int, result: int, dtype: str) -> Layer:
    return Layer(op="DEQUANTIZE", inputs=(source,), outputs=(result,), options={}, version=DEQUANTIZE_VERSION[dtype])
