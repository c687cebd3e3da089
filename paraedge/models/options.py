"""Options of the ops that Network writes, under TFLite's own field names. Shared by equal layers: read-only."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal, TypeAlias

from paraedge.core.graph import OptionValue

Padding: TypeAlias = Literal["SAME", "VALID"]
Options: TypeAlias = Mapping[str, OptionValue]

MEAN: Options = {"keep_dims": False}
SOFTMAX: Options = {"beta": 1.0}
CONCATENATION: Options = {"axis": 3, "fused_activation_function": "NONE"}
TOKENS: Options = {"axis": 1, "fused_activation_function": "NONE"}
"""CONCATENATION of tokens."""
VECTORS: Options = TOKENS
"""CONCATENATION of vectors, [batch, units]."""
KEPT_MEAN: Options = {"keep_dims": True}
GELU: Options = {"approximate": False}
MUL: Options = {"fused_activation_function": "NONE"}
SUB: Options = {"fused_activation_function": "NONE"}
GATHER: Options = {"axis": 0, "batch_dims": 0}
STEP: Options = {
    "begin_mask": 0b101,
    "end_mask": 0b101,
    "ellipsis_mask": 0,
    "new_axis_mask": 0,
    "shrink_axis_mask": 0b010,
    "offset": False,
}
"""STRIDED_SLICE of one step of a sequence [batch, length, units]: all of the first dimension and of the last."""


@functools.cache
def dense(activation: str) -> Options:
    """FullyConnectedOptions."""
    return {
        "fused_activation_function": activation,
        "weights_format": "DEFAULT",
        "keep_num_dims": False,
        "asymmetric_quantize_inputs": False,
    }


@functools.cache
def token_dense(activation: str) -> Options:
    """FullyConnectedOptions, for every token."""
    return {**dense(activation), "keep_num_dims": True}


@functools.cache
def matmul(*, adj_y: bool) -> Options:
    """BatchMatMulOptions."""
    return {"adj_x": False, "adj_y": adj_y, "asymmetric_quantize_inputs": False}


@functools.cache
def convolution(stride: int, padding: Padding, activation: str) -> Options:
    """Conv2DOptions."""
    return {
        "padding": padding,
        "stride_w": stride,
        "stride_h": stride,
        "fused_activation_function": activation,
        "dilation_w_factor": 1,
        "dilation_h_factor": 1,
    }


@functools.cache
def depthwise(stride: int, padding: Padding, activation: str) -> Options:
    """DepthwiseConv2DOptions, one filter a channel."""
    return {**convolution(stride, padding, activation), "depth_multiplier": 1}


@functools.cache
def pool(size: int, stride: int, padding: Padding) -> Options:
    """Pool2DOptions, without a fused activation, which the Edge TPU compiler refuses."""
    return {
        "padding": padding,
        "stride_w": stride,
        "stride_h": stride,
        "filter_width": size,
        "filter_height": size,
        "fused_activation_function": "NONE",
    }


@functools.cache
def add(activation: str) -> Options:
    """AddOptions."""
    return {"fused_activation_function": activation}
