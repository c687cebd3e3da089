"""Which ops the Edge TPU compiler maps: its documented list with the documented limits.

Source: coral.ai/docs/edgetpu/models-intro, table of supported operations (edgetpu_compiler 16.0). Limits that
need the values of a constant are checked where the graph has them; a graph read from a file keeps them in the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from paraedge.core.graph import EDGETPU_OP, ConstantWeights, Layer, LayerGraph, Tensor
from paraedge.simulate.shapes import is_static, pixels, weights_of

Check: TypeAlias = "Callable[[Sequence[Tensor], Layer], str | None]"

LARGEST_SOFTMAX = 16_000
LARGEST_LSTM_INPUT = 900
"""Inputs above about 900 to 1000 fail; the cautious end."""


def check_mappable(graph: LayerGraph) -> dict[int, str]:
    """Layer index -> why this op can't run on the Edge TPU; ops that can are left out. Never raises."""
    reasons: dict[int, str] = {}
    for index, layer in enumerate(graph.layers):
        reason = why_not_mapped(graph.tensors, layer)
        if reason is not None:
            reasons[index] = reason
    return reasons


def why_not_mapped(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    """Why this op can't be mapped, or None; the first reason found."""
    rule = RULES.get(layer.op)
    if rule is None:
        return _unsupported(layer)
    check, constants = rule
    reason = _malformed(tensors, layer) or _tensors(tensors, layer)
    if reason is not None:
        return reason
    for position in constants:
        tensor_id = layer.inputs[position] if position < len(layer.inputs) else -1
        if tensor_id >= 0 and tensors[tensor_id].weights is None:
            return f"needs a constant as input {position}"
    return None if check is None else check(tensors, layer)


def _unsupported(layer: Layer) -> str:
    if layer.op == "CUSTOM":
        if layer.custom_code == EDGETPU_OP:
            return "already compiled for the Edge TPU; what is inside is not read"
        return f"custom op {layer.custom_code!r} is not supported"
    return "operation not supported"


def _malformed(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    if not layer.inputs or not layer.outputs:
        return "has no input or no output"
    if min(layer.outputs) < 0 or layer.inputs[0] < 0:
        return "lacks a tensor that it needs"
    if max(layer.inputs) >= len(tensors) or max(layer.outputs) >= len(tensors) or min(layer.inputs) < -1:
        return "refers to a tensor that is not there"
    return None


def _tensors(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    # an LSTM carries its cell state as int16, so only its values and results are looked at
    inputs = layer.inputs[:1] if layer.op == "UNIDIRECTIONAL_SEQUENCE_LSTM" else layer.inputs
    for tensor_id in (*inputs, *layer.outputs):
        if tensor_id < 0:
            continue
        tensor = tensors[tensor_id]
        if not is_static(tensor.shape):
            return f"tensor {tensor_id} has a dynamic or empty shape"
        if tensor.weights is not None and tensor.dtype in ("int32", "int64"):
            continue
        if tensor.dtype not in ("int8", "uint8"):
            return f"works on {tensor.dtype}; int8 or uint8 is needed"
        if tensor.weights is None and len(tensor.shape) > 3 and math.prod(tensor.shape[:-3]) > 1:
            return "more than the three innermost dimensions are above 1"
    return None


def _option_is_none(layer: Layer, name: str) -> bool:
    return layer.options.get(name) in (None, "NONE", 0)


def _not_fused(_tensors: Sequence[Tensor], layer: Layer) -> str | None:
    return None if _option_is_none(layer, "fused_activation_function") else "has a fused activation"


def _fully_connected(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    if pixels(tensors[layer.outputs[0]].shape) != 1:
        return "its output is not one-dimensional (a batch, or tokens, above 1)"
    if layer.options.get("weights_format") not in (None, "DEFAULT", 0):
        return "its weights are not in the default format"
    return _weighted(tensors, layer)


def _weighted(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    if weights_of(tensors, layer) is None:
        return "its weights have an unexpected shape"
    if layer.op != "FULLY_CONNECTED" and len(tensors[layer.outputs[0]].shape) != 4:
        return "its output has not four dimensions"
    return None


def _transposed(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    if len(layer.inputs) < 3 or layer.inputs[2] < 0:
        return "lacks a tensor that it needs"
    return _weighted(tensors, layer)


def _convolution(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    if layer.options.get("dilation_w_factor", 1) != layer.options.get("dilation_h_factor", 1):
        return "dilation differs in x and y"
    return _weighted(tensors, layer)


def _softmax(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    shape = tensors[layer.inputs[0]].shape
    if pixels(shape) != 1:
        return "softmax of more than one dimension"
    return f"softmax of more than {LARGEST_SOFTMAX} elements" if math.prod(shape) > LARGEST_SOFTMAX else None


def _values(tensors: Sequence[Tensor], layer: Layer, position: int) -> tuple[int | float, ...]:
    """Values of a constant input where the graph spells them out, else ()."""
    if position >= len(layer.inputs) or layer.inputs[position] < 0:
        return ()
    weights = tensors[layer.inputs[position]].weights
    return weights.values if isinstance(weights, ConstantWeights) else ()


def _mean(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    shape = tensors[layer.inputs[0]].shape
    rank = len(shape)
    over_batch = any(rank > 1 and axis in (0, -rank) and shape[0] > 1 for axis in _values(tensors, layer, 1))
    return "reduces over the batch" if over_batch else None


def _pad(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    return "pads the batch" if any(_values(tensors, layer, 1)[:2]) else None


def _strided_slice(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    return "has strides other than 1" if any(s != 1 for s in _values(tensors, layer, 3)) else None


def _resize_bilinear(_tensors: Sequence[Tensor], layer: Layer) -> str | None:
    """DeepLab, the one published pair that has it. The documentation: "depending on input/output size"."""
    if not layer.options.get("align_corners"):
        return None
    return "has align_corners, which the one published compiled model that has it leaves on the CPU"


def _lstm(tensors: Sequence[Tensor], layer: Layer) -> str | None:
    size = (tensors[layer.inputs[0]].shape or (1,))[-1]
    return f"LSTM input of {size}; above about {LARGEST_LSTM_INPUT} fails" if size > LARGEST_LSTM_INPUT else None


_PLAIN = """ADD EXPAND_DIMS L2_NORMALIZATION LOGISTIC MAXIMUM MINIMUM MUL PACK QUANTIZE RELU RELU6 RELU_N1_TO_1 RSQRT
    SPACE_TO_DEPTH SQUEEZE SQUARED_DIFFERENCE SUB TANH""".split()

RULES: Mapping[str, tuple[Check | None, tuple[int, ...]]] = {
    **dict.fromkeys(_PLAIN, (None, ())),
    "EXPAND_DIMS": (None, (1,)),
    "AVERAGE_POOL_2D": (_not_fused, ()),
    "MAX_POOL_2D": (_not_fused, ()),
    "CONCATENATION": (_not_fused, ()),
    "CONV_2D": (_convolution, (1, 2)),
    "DEPTHWISE_CONV_2D": (_convolution, (1, 2)),
    "TRANSPOSE_CONV": (_transposed, (0, 1, 3)),
    "FULLY_CONNECTED": (_fully_connected, (1, 2)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (_lstm, tuple(range(1, 18))),
    "MEAN": (_mean, (1,)),
    "SUM": (_mean, (1,)),
    "REDUCE_MAX": (_mean, (1,)),
    "REDUCE_MIN": (_mean, (1,)),
    "PAD": (_pad, (1,)),
    "PRELU": (None, (1,)),
    "RESHAPE": (None, (1,)),
    "RESIZE_BILINEAR": (_resize_bilinear, (1,)),
    "RESIZE_NEAREST_NEIGHBOR": (None, (1,)),
    "SLICE": (None, (1, 2)),
    "SOFTMAX": (_softmax, ()),
    "SPLIT": (None, (0,)),
    "STRIDED_SLICE": (_strided_slice, (1, 2, 3)),
    "TRANSPOSE": (None, (1,)),
}
"""Each op that can be mapped: a check of its limits, and the inputs that must be constants."""
