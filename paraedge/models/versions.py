"""Lowest version of each op that expresses what we write, as the frozen Edge TPU compiler (16.0, 2021) wants it.

Source: `tensorflow/lite/tools/versioning/op_version.cc`. LiteRT runs a wrong version without a word, so a test holds
this table against published models that the compiler accepted.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.core.spec import Precision

LOWEST_VERSION: Mapping[str, Mapping[Precision, int]] = {
    "ADD": {"float32": 1, "int8": 2},
    "AVERAGE_POOL_2D": {"float32": 1, "int8": 2},
    "BATCH_MATMUL": {"float32": 1, "int8": 2},
    "BROADCAST_TO": {"float32": 2, "int8": 3},
    "CONCATENATION": {"float32": 1, "int8": 2},
    "CONV_2D": {"float32": 1, "int8": 3},
    "DEPTHWISE_CONV_2D": {"float32": 1, "int8": 3},
    "FULLY_CONNECTED": {"float32": 1, "int8": 4},
    "GATHER": {"float32": 1, "int8": 2},
    "GELU": {"float32": 1, "int8": 2},
    "LOGISTIC": {"float32": 1, "int8": 2},
    "MAX_POOL_2D": {"float32": 1, "int8": 2},
    "MEAN": {"float32": 1, "int8": 2},
    "MUL": {"float32": 1, "int8": 2},
    "PAD": {"float32": 1, "int8": 2},
    "RELU": {"float32": 1, "int8": 2},
    "RESHAPE": {"float32": 1, "int8": 1},
    "RESIZE_NEAREST_NEIGHBOR": {"float32": 1, "int8": 2},
    "RSQRT": {"float32": 1, "int8": 2},
    "SLICE": {"float32": 1, "int8": 2},
    "SOFTMAX": {"float32": 1, "int8": 2},
    "SPLIT": {"float32": 1, "int8": 2},
    "SQUARED_DIFFERENCE": {"float32": 1, "int8": 2},
    "STRIDED_SLICE": {"float32": 1, "int8": 2},
    "SUB": {"float32": 1, "int8": 2},
    "TANH": {"float32": 1, "int8": 2},
    "TRANSPOSE": {"float32": 1, "int8": 2},
}
"""Without dilation, shuffled weights, `keep_num_dims` or per-channel FULLY_CONNECTED, which ask for later ones."""

KEPT_DIMENSIONS_VERSION: Mapping[Precision, int] = {"float32": 5, "int8": 5}
"""Of FULLY_CONNECTED with `keep_num_dims`."""

HYBRID_VERSION: Mapping[str, int] = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12, "GATHER": 2}
"""Of a float32 op with int8 weights, a scale for each output channel, as the converter of TensorFlow 2.21 writes it."""

DEQUANTIZE_VERSION: Mapping[str, int] = {"int8": 2, "float16": 3}
"""By the type that is made float32."""
