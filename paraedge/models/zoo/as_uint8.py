"""A generated int8 graph as the published files have it: uint8, of before per-channel quantization."""

from __future__ import annotations

import dataclasses

from paraedge.core.graph import LayerGraph, Quantization, Tensor

SHIFT = 128
"""From int8 codes to uint8 ones."""


def as_uint8(graph: LayerGraph) -> LayerGraph:
    """The same network with its int8 tensors as uint8, for the prediction of published files.

    Zero points move by 128 and weights have one scale, the mean of their channels', as have the biases; ops are of
    version 1. The constants keep the names of their streams, which the writer has no uint8 rule for: this graph is to
    be predicted, not written.
    """
    return dataclasses.replace(
        graph,
        tensors=tuple(map(_tensor_as_uint8, graph.tensors)),
        layers=tuple(dataclasses.replace(layer, version=1) for layer in graph.layers),
    )


def _tensor_as_uint8(tensor: Tensor) -> Tensor:
    if tensor.quantization is None:
        return tensor
    scales = tensor.quantization.scales
    is_code = tensor.dtype == "int8"
    zero_point = tensor.quantization.zero_points[0] + (SHIFT if is_code else 0)
    quantization = Quantization(scales=(sum(scales) / len(scales),), zero_points=(zero_point,))
    return dataclasses.replace(tensor, dtype="uint8" if is_code else tensor.dtype, quantization=quantization)
