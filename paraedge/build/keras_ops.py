"""TFLite's ops as TensorFlow's, such that its converter makes the same ops of them. Only in the converter's child."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from paraedge.core.errors import ParaedgeError
from paraedge.core.graph import Layer, OptionValue

Options: TypeAlias = "Mapping[str, OptionValue]"
Make: TypeAlias = Callable[[Sequence[Any], Options], Any]
"""(inputs, options) -> output, or a list of outputs; a fused activation is added to it."""


def make(layer: Layer, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of `layer`; raises ParaedgeError for an op that has no counterpart here."""
    if layer.op not in OPS:
        raise ParaedgeError(f"no way to say {layer.op} in Keras; there is one for {', '.join(OPS)}")
    made = OPS[layer.op](inputs, layer.options)
    outputs = list(made) if isinstance(made, (list, tuple)) else [made]
    activation = ACTIVATIONS[str(layer.options.get("fused_activation_function", "NONE"))]
    return [activation(output) for output in outputs]


def _fully_connected(inputs: Sequence[Any], options: Options) -> Any:
    x, weights, *bias = inputs
    if not options["keep_num_dims"] and x.shape.rank != 2:  # the converter takes the RESHAPE away again
        x = tf.reshape(x, [-1, x.shape[-1]])
    return _biased(tf.matmul(x, weights, transpose_b=True), bias)


def _convolution(inputs: Sequence[Any], options: Options) -> Any:
    x, weights, *bias = inputs  # weights: [out, height, width, in]
    return _biased(tf.nn.conv2d(x, tf.transpose(weights, [1, 2, 3, 0]), _strides(options), options["padding"]), bias)


def _depthwise(inputs: Sequence[Any], options: Options) -> Any:
    x, weights, *bias = inputs  # weights: [1, height, width, out]
    kernel = tf.transpose(weights, [1, 2, 3, 0])
    return _biased(tf.nn.depthwise_conv2d(x, kernel, [1, *_strides(options), 1], options["padding"]), bias)


def _biased(x: Any, bias: Sequence[Any]) -> Any:
    return tf.nn.bias_add(x, bias[0]) if bias else x


def _strides(options: Options) -> list[Any]:
    return [options["stride_h"], options["stride_w"]]


def _window(options: Options) -> list[Any]:
    return [options["filter_height"], options["filter_width"]]


def _resize_nearest(inputs: Sequence[Any], options: Options) -> Any:
    return tf.compat.v1.image.resize_nearest_neighbor(
        *inputs, align_corners=options.get("align_corners", False),
        half_pixel_centers=options.get("half_pixel_centers", False),
    )  # fmt: skip


def _strided_slice(inputs: Sequence[Any], options: Options) -> Any:
    x, begin, end, strides = inputs
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    return tf.strided_slice(x, begin, end, strides, **{mask: options.get(mask, 0) for mask in masks})


ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {"NONE": lambda x: x, "RELU": tf.nn.relu, "RELU6": tf.nn.relu6}

OPS: Mapping[str, Make] = {
    "ADD": lambda x, o: tf.add(*x),
    "AVERAGE_POOL_2D": lambda x, o: tf.nn.avg_pool2d(x[0], _window(o), _strides(o), o["padding"]),
    "BATCH_MATMUL": lambda x, o: tf.matmul(*x, transpose_a=o["adj_x"], transpose_b=o["adj_y"]),
    "BROADCAST_TO": lambda x, o: tf.broadcast_to(*x),
    "CONCATENATION": lambda x, o: tf.concat(x, o["axis"]),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": lambda x, o: tf.gather(*x, axis=o["axis"]),
    "GELU": lambda x, o: tf.nn.gelu(x[0], approximate=o["approximate"]),
    "LOGISTIC": lambda x, o: tf.sigmoid(x[0]),
    "MAX_POOL_2D": lambda x, o: tf.nn.max_pool2d(x[0], _window(o), _strides(o), o["padding"]),
    "MEAN": lambda x, o: tf.reduce_mean(x[0], x[1].tolist(), keepdims=o["keep_dims"]),
    "MUL": lambda x, o: tf.multiply(*x),
    "PAD": lambda x, o: tf.pad(*x),
    "RELU": lambda x, o: tf.nn.relu(x[0]),
    "RELU6": lambda x, o: tf.nn.relu6(x[0]),
    "RESHAPE": lambda x, o: tf.reshape(*x),
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest,
    "RSQRT": lambda x, o: tf.math.rsqrt(x[0]),
    "SLICE": lambda x, o: tf.slice(*x),
    "SOFTMAX": lambda x, o: tf.nn.softmax(x[0]),
    "SPLIT": lambda x, o: tf.split(x[1], o["num_splits"], axis=int(x[0])),
    "SQUARED_DIFFERENCE": lambda x, o: tf.math.squared_difference(*x),
    "STRIDED_SLICE": _strided_slice,
    "SUB": lambda x, o: tf.subtract(*x),
    "TANH": lambda x, o: tf.tanh(x[0]),
    "TRANSPOSE": lambda x, o: tf.transpose(*x),
}
