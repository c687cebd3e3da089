"""Size of a .tflite file before it is written, for `expand` and for refusing what can't be written."""

from __future__ import annotations

from paraedge.core.graph import FileWeights, LayerGraph, Tensor, Weights

FILE_BYTES_LIMIT = 2**31 - 2**20
"""Largest file written: a FlatBuffer's offsets are signed 32 bits (2 GiB - 1); the last MiB covers the estimate."""

BUFFER_ALIGNMENT_BYTES = 16
"""`force_align` of `Buffer.data` in TFLite's schema."""

FILE_OVERHEAD_BYTES = 272
TENSOR_BYTES = 28
QUANTIZED_BYTES = 31
LAYER_BYTES = 52
BUFFER_BYTES = 12
"""Bytes of each table with its offset and vector lengths, besides what is counted below; fitted to files as written."""


def same_data(weights: Weights, tensor: Tensor) -> tuple[Weights, str, int]:
    """Equal for tensors whose bytes in the file are equal: they share a buffer."""
    return weights, tensor.dtype, tensor.elements


def model_bytes_estimate(graph: LayerGraph) -> int:
    """Bytes of the .tflite file of `graph`, within 1 % or 512 bytes; nothing is allocated."""
    total = FILE_OVERHEAD_BYTES
    buffers: dict[tuple[Weights, str, int], int] = {}
    for tensor in graph.tensors:
        total += TENSOR_BYTES + 4 * len(tensor.shape) + _words(len(tensor.name) + 1)
        if tensor.quantization is not None:
            total += QUANTIZED_BYTES + 12 * len(tensor.quantization.scales)
        if tensor.weights is not None:
            stored = tensor.weights.size_bytes if isinstance(tensor.weights, FileWeights) else tensor.size_bytes
            buffers[same_data(tensor.weights, tensor)] = stored or 0
    for size_bytes in buffers.values():
        # the table lies between two aligned vectors
        total += 4 - (-(size_bytes + BUFFER_BYTES) // BUFFER_ALIGNMENT_BYTES) * BUFFER_ALIGNMENT_BYTES
    return total + sum(LAYER_BYTES + 4 * (len(layer.inputs) + len(layer.outputs)) for layer in graph.layers)


def _words(size_bytes: int) -> int:
    return -(-size_bytes // 4) * 4
