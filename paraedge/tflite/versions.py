"""Lowest version of each operator that expresses it.

The Edge TPU compiler is frozen (16.0, 2021) and answers newer versions with "Operation version not supported"; LiteRT
runs wrong versions without a word. Source: `GetBuiltinOperatorVersion` in TensorFlow's
tensorflow/compiler/mlir/lite/tools/versioning/op_version.cc.
"""

from __future__ import annotations

from collections.abc import Mapping

INT8_VERSIONS: Mapping[str, int] = {
    "ADD": 2, "AVERAGE_POOL_2D": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "DEQUANTIZE": 2,
    "EXPAND_DIMS": 1, "FULLY_CONNECTED": 4, "HARD_SWISH": 1, "L2_NORMALIZATION": 2, "LOGISTIC": 2, "MAX_POOL_2D": 2,
    "MAXIMUM": 2, "MEAN": 2, "MINIMUM": 2, "MUL": 2, "PACK": 2, "PAD": 2, "RELU": 2, "RELU6": 2,
    "RESHAPE": 1, "RESIZE_BILINEAR": 2, "RESIZE_NEAREST_NEIGHBOR": 2, "RSQRT": 2, "SLICE": 2, "SOFTMAX": 2,
    "SPACE_TO_DEPTH": 2, "SPLIT": 2, "SQUEEZE": 1, "STRIDED_SLICE": 2, "SUB": 2, "SUM": 2, "TANH": 2, "TRANSPOSE": 2,
    "TRANSPOSE_CONV": 2, "UNPACK": 2,
}  # fmt: skip
"""Versions for int8 activations with plain options: no hybrid weights, no 5 dimensions, no half-pixel centres."""


def lowest_version(op: str, dtype: str) -> int:
    """Lowest version of `op` for activations of type `dtype`; 1 for float32 and uint8, and for ops not in the table."""
    return INT8_VERSIONS.get(op, 1) if dtype == "int8" else 1
