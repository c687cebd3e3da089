"""Network: grows a LayerGraph op by op; `scales` says how the values are kept in range."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from paraedge.core.graph import ConstantWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import options, scales
from paraedge.models.options import Options, Padding
from paraedge.models.scales import (
    INPUT_SCALE,
    INT8_RMS,
    RELU_LIMIT,
    SOFTMAX_SCALE,
    After,
    kernel_rows,
    one_scale,
    places,
    weights_and_bias,
)
from paraedge.models.versions import LOWEST_VERSION

MAX_POOL_MEAN_SQUARE: Mapping[int, float] = {2: 1.55, 3: 2.55}
"""E[max^2] of the 4 or 9 independent standard normals under a pool; a random convolution's neighbours nearly are."""
DEEP_MAX_POOL_MEAN_SQUARE: Mapping[int, float] = {2: 0.7, 3: 0.95}
"""The same where a pool was before: behind it, neighbours are alike."""
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

    def dense(self, x: Value, units: int, activation: str, variance: float = 1.0) -> Value:
        """FULLY_CONNECTED of [batch, depth] to [batch, units] with bias; the sums have the given variance."""
        tensors, layer, result = _dense(
            len(self._layers), len(self._tensors), x, units, activation, variance, self._precision, self._seed
        )
        self._tensors += tensors
        self._layers.append(layer)
        return result

    def convolution(
        self,
        x: Value,
        filters: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: Padding = "SAME",
        activation: str,
        limit: float = RELU_LIMIT,
        variance: float = 1.0,
        after: After | None = None,
    ) -> Value:
        """CONV_2D with bias; `kernel` is a side, or height and width.

        The sums have the given variance; `limit` says at how many standard deviations a ReLU's codes end. `after` says
        both where the codes must be those of other values.
        """
        height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        after = after or scales.after(activation, limit, self._precision, variance)
        layer_options = options.convolution(stride, padding, activation)
        return self._filter(x, "CONV_2D", (filters, height, width, x.shape[3]), stride, padding, layer_options, after)

    def depthwise(self, x: Value, kernel: int, *, stride: int = 1, activation: str) -> Value:
        """DEPTHWISE_CONV_2D with bias: one `kernel` x `kernel` filter a channel, same padding."""
        after = scales.after(activation, RELU_LIMIT, self._precision)
        layer_options = options.depthwise(stride, "SAME", activation)
        return self._filter(
            x, "DEPTHWISE_CONV_2D", (1, kernel, kernel, x.shape[3]), stride, "SAME", layer_options, after
        )

    def max_pool(self, x: Value, size: int, stride: int, padding: Padding = "SAME", *, deep: bool = False) -> Value:
        """MAX_POOL_2D, of side 2 or 3, of convolutions with ReLU and unit sums; keeps their scale as the op demands.

        `deep`: whether another was before it.
        """
        mean_square = (DEEP_MAX_POOL_MEAN_SQUARE if deep else MAX_POOL_MEAN_SQUARE)[size]
        return self._pool(x, "MAX_POOL_2D", size, stride, padding, mean_square)

    def average_pool(self, x: Value, size: int, stride: int, padding: Padding = "SAME") -> Value:
        """AVERAGE_POOL_2D, padding left out of the means; keeps the scale of `x` as the op demands."""
        return self._pool(x, "AVERAGE_POOL_2D", size, stride, padding, MEAN_SHARE * x.mean_square)

    def pad(self, x: Value, before: int, after: int) -> Value:
        """PAD height and width with zeros."""
        name, (batch, height, width, depth) = f"pad_{len(self._layers)}", x.shape
        around = ConstantWeights(values=(0, 0, before, after, before, after, 0, 0))
        self._tensors.append(Tensor(name=f"{name}/paddings", shape=(4, 2), dtype="int32", weights=around))
        shape = (batch, before + height + after, before + width + after, depth)
        inputs = (x.tensor_id, len(self._tensors) - 1)
        return self._append_like(x, "PAD", inputs, name, shape, {}, x.mean_square)

    def concatenation(self, parts: Sequence[Value]) -> Value:
        """CONCATENATION along the channels, of values with equal scales as the op demands of int8."""
        depth = sum(part.shape[3] for part in parts)
        mean_square = sum(part.mean_square * part.shape[3] for part in parts) / depth
        inputs, name = tuple(part.tensor_id for part in parts), f"concatenation_{len(self._layers)}"
        shape = (*parts[0].shape[:3], depth)
        return self._append_like(parts[0], "CONCATENATION", inputs, name, shape, options.CONCATENATION, mean_square)

    def add(self, branch: Value, shortcut: Value) -> Value:
        """ADD without activation of two values that have none either."""
        variance = branch.mean_square + shortcut.mean_square
        return self._add(branch, shortcut, "NONE", scales.after("NONE", 0.0, self._precision, variance))

    def add_relu(self, branch: Value, shortcut: Value) -> Value:
        """ADD with ReLU of a branch without activation and a shortcut: a projection without one, or a block's input."""
        if shortcut.linear:
            variance = branch.mean_square + shortcut.mean_square
            return self._add(branch, shortcut, "RELU", scales.after("RELU", RELU_LIMIT, self._precision, variance))
        mean_square = shortcut.mean_square + IDENTITY_GROWTH * branch.mean_square
        scale = 1.4 * RELU_LIMIT * math.sqrt(mean_square) / 255
        return self._add(branch, shortcut, "RELU", After(scale, mean_square, one_scale(scale, -128)))

    def image_mean(self, x: Value) -> Value:
        """MEAN over height and width of [batch, height, width, depth], to [batch, depth]."""
        name = f"mean_{len(self._layers)}"
        axes = Tensor(name=f"{name}/axes", shape=(2,), dtype="int32", weights=ConstantWeights(values=(1, 2)))
        self._tensors.append(axes)
        shape, inputs = (x.shape[0], x.shape[3]), (x.tensor_id, len(self._tensors) - 1)
        return self._append_like(x, "MEAN", inputs, name, shape, options.MEAN, MEAN_SHARE * x.mean_square)

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        """RESHAPE to `shape`, which is a constant input of the op."""
        name = f"reshape_{len(self._layers)}"
        wanted = Tensor(name=f"{name}/shape", shape=(len(shape),), dtype="int32", weights=ConstantWeights(values=shape))
        self._tensors.append(wanted)
        inputs = (x.tensor_id, len(self._tensors) - 1)
        return self._append_like(x, "RESHAPE", inputs, name, shape, {"new_shape": shape}, x.mean_square)

    def softmax(self, x: Value) -> Value:
        """SOFTMAX over the last dimension."""
        name, quantization = f"softmax_{len(self._layers)}", one_scale(SOFTMAX_SCALE, -128)
        self._append("SOFTMAX", (x.tensor_id,), name, x.shape, options.SOFTMAX, quantization)
        return Value(len(self._tensors) - 1, x.shape, SOFTMAX_SCALE, 1 / x.shape[-1], linear=False)

    def op(self, op: str, values: tuple[Value, ...], shape: tuple[int, ...], kind: Options, after: After) -> Value:
        """Any op of activations alone, after which the values have no one sign."""
        inputs, name = tuple(value.tensor_id for value in values), f"{op.lower()}_{len(self._layers)}"
        self._append(op, inputs, name, shape, kind, after.quantization)
        return Value(len(self._tensors) - 1, shape, after.scale, after.mean_square, linear=True)

    def learnt(self, part: str, shape: tuple[int, ...], rms: float, scale: float | None = None) -> Value:
        """A parameter that is added or multiplied, of the given root mean square; int8 at `scale`, else at its best."""
        name, stream = f"{part}_{len(self._layers)}", len(self._tensors)
        if self._precision == "float32":
            drawn, quantization = SeededWeights(seed=self._seed, stream=stream, bound=math.sqrt(3) * rms), None
        else:
            scale = scale or rms / INT8_RMS
            bound = min(127.0, float(round(math.sqrt(3) * rms / scale)))
            drawn, quantization = SeededWeights(seed=self._seed, stream=stream, bound=bound), one_scale(scale, 0)
        self._tensors.append(
            Tensor(name=name, shape=shape, dtype=self._precision, quantization=quantization, weights=drawn)
        )
        return Value(stream, shape, scale or 0.0, rms * rms, linear=True)

    def integers(self, name: str, values: int | tuple[int, ...]) -> int:
        """A constant of the op: a number, or a list of them."""
        shape, spelt = ((), (values,)) if isinstance(values, int) else ((len(values),), values)
        self._tensors.append(Tensor(name=name, shape=shape, dtype="int32", weights=ConstantWeights(values=spelt)))
        return len(self._tensors) - 1

    def again(self, x: Value, like: Value) -> Value:
        """The convolution that made `like`, of stride 1 and same padding, with its very weights on another value.

        The inputs of the two must have one scale.
        """
        layer = next(layer for layer in reversed(self._layers) if layer.outputs == (like.tensor_id,))
        shape, inputs = (*x.shape[:3], like.shape[3]), (x.tensor_id, *layer.inputs[1:])
        quantization = self._tensors[like.tensor_id].quantization
        self._append(layer.op, inputs, f"conv2d_{len(self._layers)}", shape, layer.options, quantization)
        return like._replace(tensor_id=len(self._tensors) - 1, shape=shape)

    def graph(self, *results: Value) -> LayerGraph:
        """What was built, with tensor 0 as its input and the results as its outputs."""
        return LayerGraph(
            name=self._name,
            tensors=tuple(self._tensors),
            layers=tuple(self._layers),
            inputs=(0,),
            outputs=tuple(result.tensor_id for result in results),
        )

    def _filter(
        self,
        x: Value,
        op: str,
        weights: tuple[int, int, int, int],
        stride: int,
        padding: Padding,
        layer_options: Options,
        after: After,
    ) -> Value:
        batch, height, width, _ = x.shape
        _, rows, columns, depth = weights
        per_filter, axis = (1, 3) if op == "DEPTHWISE_CONV_2D" else (depth, 0)
        fan_in = per_filter * kernel_rows(height, rows, stride, padding) * kernel_rows(width, columns, stride, padding)
        first, name = len(self._tensors), f"{op.lower().replace('conv_2d', 'conv2d')}_{len(self._layers)}"
        rms = after.deviation / math.sqrt(fan_in * x.mean_square)
        self._tensors += weights_and_bias(name, weights, rms, x.scale, self._precision, self._seed, first, axis=axis)
        shape = (batch, places(height, rows, stride, padding), places(width, columns, stride, padding), weights[axis])
        self._append(op, (x.tensor_id, first, first + 1), name, shape, layer_options, after.quantization)
        linear = layer_options["fused_activation_function"] == "NONE"
        return Value(first + 2, shape, after.scale, after.mean_square, linear)

    def _pool(self, x: Value, op: str, size: int, stride: int, padding: Padding, mean_square: float) -> Value:
        batch, height, width, depth = x.shape
        shape = (batch, places(height, size, stride, padding), places(width, size, stride, padding), depth)
        name = f"{op.lower().removesuffix('_2d')}_{len(self._layers)}"
        return self._append_like(x, op, (x.tensor_id,), name, shape, options.pool(size, stride, padding), mean_square)

    def _add(self, branch: Value, shortcut: Value, activation: str, after: After) -> Value:
        inputs, name = (branch.tensor_id, shortcut.tensor_id), f"add_{len(self._layers)}"
        self._append("ADD", inputs, name, branch.shape, options.add(activation), after.quantization)
        linear = activation == "NONE"
        return Value(len(self._tensors) - 1, branch.shape, after.scale, after.mean_square, linear)

    def _append(
        self,
        op: str,
        inputs: tuple[int, ...],
        name: str,
        shape: tuple[int, ...],
        layer_options: Options,
        quantization: Quantization | None,
        version: int | None = None,
    ) -> None:
        self._tensors.append(scales.activation(name, shape, self._precision, quantization))
        version = version or LOWEST_VERSION[op][self._precision]
        outputs = (len(self._tensors) - 1,)
        self._layers.append(Layer(op=op, inputs=inputs, outputs=outputs, options=layer_options, version=version))

    def _append_like(
        self,
        x: Value,
        op: str,
        inputs: tuple[int, ...],
        name: str,
        shape: tuple[int, ...],
        layer_options: Options,
        mean_square: float,
    ) -> Value:
        self._append(op, inputs, name, shape, layer_options, self._tensors[x.tensor_id].quantization)
        return Value(len(self._tensors) - 1, shape, x.scale, mean_square, x.linear)


@functools.lru_cache(maxsize=8192)
def _dense(
    index: int, first: int, x: Value, units: int, activation: str, variance: float, precision: Precision, seed: int
) -> tuple[tuple[Tensor, ...], Layer, Value]:
    # Kept, since the points of a grid share most of their layers: half a microsecond in place of ten.
    name, (batch, depth) = f"dense_{index}", x.shape
    after = scales.after(activation, RELU_LIMIT, precision, variance)
    weight_rms = after.deviation / math.sqrt(depth * x.mean_square)
    tensors = (
        *weights_and_bias(name, (units, depth), weight_rms, x.scale, precision, seed, first),
        scales.activation(name, (batch, units), precision, after.quantization),
    )
    layer = Layer(
        op="FULLY_CONNECTED",
        inputs=(x.tensor_id, first, first + 1),
        outputs=(first + 2,),
        options=options.dense(activation),
        version=LOWEST_VERSION["FULLY_CONNECTED"][precision],
    )
    return tensors, layer, Value(first + 2, (batch, units), after.scale, after.mean_square, activation == "NONE")
