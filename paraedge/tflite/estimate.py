"""Size of a .tflite file before it is written, for `expand` and for refusing what can't be written."""

from __future__ import annotations

from paraedge.core.graph import FileWeights, LayerGraph, Tensor, Weights

FILE_BYTES_LIMIT = 2**31 - 2**20
"""Largest file written: a FlatBuffer's offsets are signed 32 bits (2 GiB - 1); the last MiB covers the estimate."""

BUFFER_ALIGNMENT_BYTES = 16
"""`force_align` of `Buffer.data` in TFLite's schema."""

FILE_OVERHEAD_BYTES = 272
TENSOR_BYTES = 28
QUANTIZED_BYTES = 26
LAYER_BYTES = 24
OPTIONS_BYTES = 12
FIELD_BYTES = 4
BUFFER_BYTES = 12
"""Bytes of each table with its offset and vector lengths, besides what is counted below, and of a field that is not
left out as its default: of an option, of an op's code after the first, of a tensor's type and buffer."""
WITHOUT_OPTIONS = frozenset({"LOGISTIC", "RSQRT", "TANH"})
"""Of the ops that we write, those for which TFLite's schema has no table of options."""
UNWRITTEN = frozenset({"NONE", "DEFAULT", "SAME", 0, None})
"""Values of options that a FlatBuffer leaves out, as their defaults."""


def same_data(weights: Weights, tensor: Tensor) -> tuple[Weights, str, int]:
    """Equal for tensors whose bytes in the file are equal: they share a buffer."""
    return weights, tensor.dtype, tensor.elements


def model_bytes_estimate(graph: LayerGraph) -> int:
    """Bytes of the .tflite file of `graph`, within 1 % or 512 bytes; nothing is allocated."""
    total = FILE_OVERHEAD_BYTES + _tensors_bytes(graph) + _layers_bytes(graph)
    buffers: dict[tuple[Weights, str, int], int] = {}
    for tensor in graph.tensors:
        if tensor.weights is not None:
            stored = tensor.weights.size_bytes if isinstance(tensor.weights, FileWeights) else tensor.size_bytes
            buffers[same_data(tensor.weights, tensor)] = stored or 0
    for size_bytes in buffers.values():
        # the table lies between two aligned vectors
        total += 4 - (-(size_bytes + BUFFER_BYTES) // BUFFER_ALIGNMENT_BYTES) * BUFFER_ALIGNMENT_BYTES
    return total


def _tensors_bytes(graph: LayerGraph) -> int:
    total = 0
    for tensor in graph.tensors:
        total += TENSOR_BYTES + 4 * len(tensor.shape) + _words(len(tensor.name) + 1)
        total += FIELD_BYTES * ((tensor.dtype != "float32") + (tensor.weights is not None))
        if tensor.quantization is not None:
            total += QUANTIZED_BYTES + 12 * len(tensor.quantization.scales)
    return total


def _layers_bytes(graph: LayerGraph) -> int:
    total, known = 0, dict[int, int]()  # layers share their options: the 16,000 of an unrolled LSTM have seven
    for layer in graph.layers:
        options_bytes = known.get(id(layer.options))
        if options_bytes is None:
            written = sum(value not in UNWRITTEN for value in layer.options.values())
            options_bytes = known[id(layer.options)] = OPTIONS_BYTES + FIELD_BYTES * written
        total += LAYER_BYTES + 4 * (len(layer.inputs) + len(layer.outputs))
        total += 0 if layer.op in WITHOUT_OPTIONS else options_bytes
        total += FIELD_BYTES * (layer.op != graph.layers[0].op)
    return total


def _words(size_bytes: int) -> int:
    return -(-size_bytes // 4) * 4
