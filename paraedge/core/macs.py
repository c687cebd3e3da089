"""Multiply-accumulates of a TFLite op from its shapes. Operations are 2 x unpadded MACs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from paraedge.core.graph import Layer, Tensor

Count: TypeAlias = "Callable[[Sequence[Tensor], Layer], int | None]"


def layer_macs(tensors: Sequence[Tensor], layer: Layer) -> int | None:
    """MACs of one invoke of `layer`; 0 for ops that multiply no weights (ADD, pooling, ...), None for unknown ops."""
    if layer.op in NO_MACS:
        return 0
    count = MACS.get(layer.op)
    if count is None:
        return None
    try:
        return count(tensors, layer)
    except (IndexError, ValueError):  # a malformed op: too few inputs, or weights of another rank
        return None


def _convolution(tensors: Sequence[Tensor], layer: Layer) -> int:
    # weights: [out, kh, kw, in / groups]; every output element takes one pass over a filter
    _, height, width, depth = tensors[layer.inputs[1]].shape
    return math.prod(tensors[layer.outputs[0]].shape) * height * width * depth


def _depthwise(tensors: Sequence[Tensor], layer: Layer) -> int:
    # weights: [1, kh, kw, out]
    _, height, width, _ = tensors[layer.inputs[1]].shape
    return math.prod(tensors[layer.outputs[0]].shape) * height * width


def _transpose_convolution(tensors: Sequence[Tensor], layer: Layer) -> int:
    # inputs: output shape, weights [out, kh, kw, in], values: every input element meets a filter of each output
    out, height, width, _ = tensors[layer.inputs[1]].shape
    return math.prod(tensors[layer.inputs[2]].shape) * out * height * width


def _fully_connected(tensors: Sequence[Tensor], layer: Layer) -> int:
    # weights: [units, depth]; rows = input elements / depth
    units, depth = tensors[layer.inputs[1]].shape
    return math.prod(tensors[layer.inputs[0]].shape) // max(depth, 1) * units * depth


def _batch_matmul(tensors: Sequence[Tensor], layer: Layer) -> int:
    depth = tensors[layer.inputs[0]].shape[-2 if layer.options.get("adj_x") else -1]
    return math.prod(tensors[layer.outputs[0]].shape) * depth


MACS: Mapping[str, Count] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transpose_convolution,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
}

NO_MACS = frozenset(
    """ABS ADD ADD_N ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_TO CAST CEIL CONCATENATION COS
    DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD GATHER GATHER_ND GELU
    GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL LOG LOG_SOFTMAX LOGICAL_AND
    LOGICAL_NOT LOGICAL_OR LOGISTIC MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NON_MAX_SUPPRESSION_V4
    NON_MAX_SUPPRESSION_V5 NOT_EQUAL ONE_HOT PACK PAD PADV2 POW PRELU QUANTIZE RANGE RANK REDUCE_ALL REDUCE_ANY
    REDUCE_MAX REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SCATTER_ND SELECT SELECT_V2 SHAPE SIGN SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM
    TANH TILE TOPK_V2 TRANSPOSE UNIQUE UNPACK WHERE ZEROS_LIKE""".split()
)
"""Ops that move, compare or combine values element by element: work, but no multiply-accumulates with weights."""
