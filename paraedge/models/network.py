"""Network: grows a LayerGraph op by op; `scales` says how the values are kept in range."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from paraedge.core.graph import ConstantWeights, Layer, LayerGraph, OptionValue, Quantization, Tensor
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import scales
from paraedge.models.scales import INPUT_SCALE, RELU_LIMIT, kernel_rows, one_scale, relu_mean_square, weights_and_bias
from paraedge.models.versions import LOWEST_VERSION

MAX_POOL_MEAN_SQUARE = 2.55
"""E[max^2] of nine independent standard normals; neighbours of a random convolution are nearly independent."""
IDENTITY_GROWTH = 0.85
"""By how much of E[z^2] an identity block's ReLU(x + z) lets E[x^2] grow."""
MEAN_SHARE = 0.6
"""E[mean^2] over the image in parts of E[x^2], for random networks of a few blocks."""


class Value(NamedTuple):
    """An activation as its reader needs it: tensor id, shape, scale of its codes, E[x^2] in real units, sign."""

    tensor_id: int
    shape: tuple[int, ...]
    scale: float
    mean_square: float
    linear: bool


class Network:
    """Tensors and layers under construction; every method appends one op and returns its result."""

    def __init__(self, spec: ModelSpec) -> None:
        self._name = spec.label()
        self._precision = spec.precision
        self._seed = spec.seed
        self._tensors: list[Tensor] = []
        self._layers: list[Layer] = []

    def input(self, shape: tuple[int, ...]) -> Value:
        """The graph's one input; its first dimension is the batch."""
        quantization = one_scale(INPUT_SCALE, 0)
        self._tensors.append(scales.activation("input", shape, self._precision, quantization))
        return Value(len(self._tensors) - 1, shape, INPUT_SCALE, 1.0, linear=True)

    def dense(self, x: Value, units: int, activation: str) -> Value:
        """FULLY_CONNECTED of [batch, depth] to [batch, units] with bias."""
        tensors, layer, result = _dense(
            len(self._layers), len(self._tensors), x, units, activation, self._precision, self._seed
        )
        self._tensors += tensors
        self._layers.append(layer)
        return result

    def convolution(
        self, x: Value, filters: int, kernel: int, *, stride: int = 1, activation: str, limit: float = RELU_LIMIT
    ) -> Value:
        """CONV_2D, `kernel` x `kernel`, same padding, with bias; `limit` says where a ReLU's codes end."""
        batch, height, width, depth = x.shape
        shape = (batch, -(-height // stride), -(-width // stride), filters)
        fan_in = depth * kernel_rows(height, kernel, stride) * kernel_rows(width, kernel, stride)
        first, name = len(self._tensors), f"conv2d_{len(self._layers)}"
        weight_rms = 1 / math.sqrt(fan_in * x.mean_square)
        scale, mean_square, output = scales.after(activation, limit, self._precision)
        weights = (filters, kernel, kernel, depth)
        self._tensors += weights_and_bias(name, weights, weight_rms, x.scale, self._precision, self._seed, first)
        options = _convolution_options(stride, activation)
        self._append("CONV_2D", (x.tensor_id, first, first + 1), name, shape, options, output)
        return Value(first + 2, shape, scale, mean_square, activation == "NONE")

    def max_pool(self, x: Value, size: int, stride: int) -> Value:
        """MAX_POOL_2D, same padding, of a convolution with ReLU and unit sums; keeps its scale as the op demands."""
        batch, height, width, depth = x.shape
        shape = (batch, -(-height // stride), -(-width // stride), depth)
        options = _pool_options(size, stride)
        name = f"max_pool_{len(self._layers)}"
        return self._append_like(x, "MAX_POOL_2D", (x.tensor_id,), name, shape, options, MAX_POOL_MEAN_SQUARE)

    def add_relu(self, branch: Value, shortcut: Value) -> Value:
        """ADD with ReLU of a branch without activation and a shortcut: a projection without one, or a block's input."""
        if shortcut.linear:
            variance = branch.mean_square + shortcut.mean_square
            limit = RELU_LIMIT * math.sqrt(variance)
            mean_square = variance * relu_mean_square(self._precision, RELU_LIMIT)
        else:
            mean_square = shortcut.mean_square + IDENTITY_GROWTH * branch.mean_square
            limit = 1.4 * RELU_LIMIT * math.sqrt(mean_square)
        scale = limit / 255
        inputs, name = (branch.tensor_id, shortcut.tensor_id), f"add_{len(self._layers)}"
        self._append("ADD", inputs, name, branch.shape, _ADD_RELU, one_scale(scale, -128))
        return Value(len(self._tensors) - 1, branch.shape, scale, mean_square, linear=False)

    def image_mean(self, x: Value) -> Value:
        """MEAN over height and width of [batch, height, width, depth], to [batch, depth]."""
        name = f"mean_{len(self._layers)}"
        axes = Tensor(name=f"{name}/axes", shape=(2,), dtype="int32", weights=ConstantWeights(values=(1, 2)))
        self._tensors.append(axes)
        shape, inputs = (x.shape[0], x.shape[3]), (x.tensor_id, len(self._tensors) - 1)
        return self._append_like(x, "MEAN", inputs, name, shape, _MEAN, MEAN_SHARE * x.mean_square)

    def graph(self, result: Value) -> LayerGraph:
        """What was built, with tensor 0 as its input."""
        return LayerGraph(
            name=self._name,
            tensors=tuple(self._tensors),
            layers=tuple(self._layers),
            inputs=(0,),
            outputs=(result.tensor_id,),
        )

    def _append(
        self,
        op: str,
        inputs: tuple[int, ...],
        name: str,
        shape: tuple[int, ...],
        options: dict[str, OptionValue],
        quantization: Quantization | None,
    ) -> None:
        self._tensors.append(scales.activation(name, shape, self._precision, quantization))
        version = LOWEST_VERSION[op][self._precision]
        outputs = (len(self._tensors) - 1,)
        self._layers.append(Layer(op=op, inputs=inputs, outputs=outputs, options=options, version=version))

    def _append_like(
        self,
        x: Value,
        op: str,
        inputs: tuple[int, ...],
        name: str,
        shape: tuple[int, ...],
        options: dict[str, OptionValue],
        mean_square: float,
    ) -> Value:
        self._append(op, inputs, name, shape, options, self._tensors[x.tensor_id].quantization)
        return Value(len(self._tensors) - 1, shape, x.scale, mean_square, x.linear)


@functools.lru_cache(maxsize=8192)
def _dense(
    index: int, first: int, x: Value, units: int, activation: str, precision: Precision, seed: int
) -> tuple[tuple[Tensor, ...], Layer, Value]:
    # Kept, since the points of a grid share most of their layers: half a microsecond in place of ten.
    name, (batch, depth) = f"dense_{index}", x.shape
    weight_rms = 1 / math.sqrt(depth * x.mean_square)
    scale, mean_square, quantization = scales.after(activation, RELU_LIMIT, precision)
    tensors = (
        *weights_and_bias(name, (units, depth), weight_rms, x.scale, precision, seed, first),
        scales.activation(name, (batch, units), precision, quantization),
    )
    layer = Layer(
        op="FULLY_CONNECTED",
        inputs=(x.tensor_id, first, first + 1),
        outputs=(first + 2,),
        options=_dense_options(activation),
        version=LOWEST_VERSION["FULLY_CONNECTED"][precision],
    )
    return tensors, layer, Value(first + 2, (batch, units), scale, mean_square, activation == "NONE")


_MEAN: dict[str, OptionValue] = {"keep_dims": False}
_ADD_RELU: dict[str, OptionValue] = {"fused_activation_function": "RELU"}


@functools.cache
def _dense_options(activation: str) -> dict[str, OptionValue]:
    return {
        "fused_activation_function": activation,
        "weights_format": "DEFAULT",
        "keep_num_dims": False,
        "asymmetric_quantize_inputs": False,
    }


@functools.cache
def _convolution_options(stride: int, activation: str) -> dict[str, OptionValue]:
    return {
        "padding": "SAME",
        "stride_w": stride,
        "stride_h": stride,
        "fused_activation_function": activation,
        "dilation_w_factor": 1,
        "dilation_h_factor": 1,
    }


@functools.cache
def _pool_options(size: int, stride: int) -> dict[str, OptionValue]:
    return {
        "padding": "SAME",
        "stride_w": stride,
        "stride_h": stride,
        "filter_width": size,
        "filter_height": size,
        "fused_activation_function": "NONE",
    }
