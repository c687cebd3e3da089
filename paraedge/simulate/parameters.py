"""Bytes that a layer's parameters take on the device, padded as the compiler stores them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from paraedge.core.graph import BIAS_INPUT, INDEX_TYPES, Layer, LayerGraph, Tensor
from paraedge.simulate.shapes import MIB, ceil_to, known_bytes, padded_outputs, weights_of


def parameter_bytes(tensors: Sequence[Tensor], layer: Layer) -> int:
    """Padded bytes of the weights and the values kept for each output; 0 for ops without constants.

    A convolution or fully connected layer takes kernel area x inputs (to 4) x outputs (to 64) bytes; each output
    adds 4 bytes for a bias that is there and 4 for a scale of its own. A depthwise layer takes 4 bytes a weight,
    channels not padded. Reproduces the FC and CONV sweeps and five uint8 models to the byte.
    """
    weights = weights_of(tensors, layer) if layer.op in BIAS_INPUT else None
    if weights is None:
        return _constant_bytes(tensors, layer)
    per_output = _per_output_bytes(tensors, layer, weights)
    shape = weights.shape
    if layer.op == "FULLY_CONNECTED":
        outputs = padded_outputs(shape[0], weights.dtype)
        return outputs * (ceil_to(shape[1], 4) + per_output)
    if layer.op == "DEPTHWISE_CONV_2D":
        return shape[3] * (4 * shape[1] * shape[2] + per_output)
    outputs = padded_outputs(shape[0], weights.dtype)
    return outputs * (shape[1] * shape[2] * ceil_to(shape[3], 4) + per_output)


def _per_output_bytes(tensors: Sequence[Tensor], layer: Layer, weights: Tensor) -> int:
    position = BIAS_INPUT[layer.op]
    has_bias = len(layer.inputs) > position and layer.inputs[position] >= 0
    per_channel = weights.quantization is not None and len(weights.quantization.scales) > 1
    return 4 * has_bias + 4 * per_channel


def _constant_bytes(tensors: Sequence[Tensor], layer: Layer) -> int:
    total = 0
    for tensor_id in layer.inputs:
        if tensor_id >= 0 and tensors[tensor_id].weights is not None and tensors[tensor_id].dtype not in INDEX_TYPES:
            total += known_bytes(tensors[tensor_id])
    return total


def earlier_users(tensors: Sequence[Tensor], layers: Iterable[tuple[int, Layer]]) -> dict[int, int]:
    """Index of a layer -> the last one before it, among `layers`, with the very same constants; without those first.

    A recurrent cell has the same weights at every step, a detector's head at every level.
    """
    latest: dict[tuple[str, tuple[int, ...]], int] = {}
    found: dict[int, int] = {}
    count = len(tensors)
    for index, layer in layers:
        constants = tuple(i if 0 <= i < count and tensors[i].weights is not None else -1 for i in layer.inputs)
        key = (layer.op, constants)
        if max(constants, default=-1) >= 0 and key in latest:
            found[index] = latest[key]
        latest[key] = index
    return found


def parameter_mib(graph: LayerGraph) -> float:
    """MiB of a graph's parameters as the device stores them, shared ones once."""
    later = earlier_users(graph.tensors, enumerate(graph.layers))
    own = (layer for index, layer in enumerate(graph.layers) if index not in later)
    return sum(parameter_bytes(graph.tensors, layer) for layer in own) / MIB
