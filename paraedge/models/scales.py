"""Tensors and their quantization, such that activations keep their spread at any depth.

Every convolution and FULLY_CONNECTED is scaled so that its sums, before the activation, have a standard deviation of
1 in real units: weights have the root mean square 1 / sqrt(fan_in * E[x^2]) (He et al., arXiv 1502.01852, where x
comes from a ReLU). int8 codes end at twice that deviation after a ReLU. The clipping is wanted: random narrow
networks drift by a random factor at every layer, and one that clips falls back to the same spread.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from paraedge.core.graph import Quantization, SeededWeights, Tensor
from paraedge.core.spec import Precision
from paraedge.models.options import Padding

INT8_RMS = math.sqrt((255**2 - 1) / 12)
"""Root mean square of whole numbers drawn uniformly from [-127, 127]."""
INPUT_SCALE = 1 / INT8_RMS
"""Of an int8 input: uniform random codes have a root mean square of 1."""
LINEAR_SCALE = 4 / 128
"""Of an op without activation: codes end at four standard deviations."""
RELU_LIMIT = 2.0
"""Where the codes end after a ReLU, in standard deviations of the sums before it."""
POOLED_LIMIT = 3.0
"""The same before a max pool: the maximum of nine sums is seldom beyond."""
SOFTMAX_SCALE = 1 / 256
"""Of the output of a SOFTMAX, as TFLite's quantization specification has it."""
BIAS_SHARE = 0.05
"""Root mean square of the biases, in standard deviations of the sums that they are added to."""
CHANNEL_PATTERN = (0.8, 0.95, 1.1, 1.2, 1.05, 0.9, 1.0, 0.96)
"""Weight scales of successive channels, in parts of the mean: per channel must mean that they differ."""


class After(NamedTuple):
    """What follows sums of a given `deviation`: the scale of its codes, E[x^2] in real units, its quantization."""

    scale: float
    mean_square: float
    quantization: Quantization
    deviation: float = 1.0


@functools.lru_cache(maxsize=1024)
def after(activation: str, limit: float, precision: Precision, variance: float = 1.0) -> After:
    """What follows sums of the given variance; a ReLU's codes end at `limit` standard deviations."""
    deviation = math.sqrt(variance)
    if activation == "NONE":
        return linear(variance)
    scale = limit * deviation / 255
    return After(scale, variance * relu_mean_square(precision, limit), one_scale(scale, -128), deviation)


def linear(variance: float) -> After:
    """What follows an op without activation whose results lie around 0 and have the given variance."""
    deviation = math.sqrt(variance)
    scale = LINEAR_SCALE * deviation
    return After(scale, variance, one_scale(scale, 0), deviation)


def relu_mean_square(precision: Precision, limit: float) -> float:
    """E[clip(z, 0, limit)^2] of a standard normal z; a float is not clipped."""
    if precision == "float32":
        return 0.5
    above = math.erfc(limit / math.sqrt(2)) / 2
    density = math.exp(-limit * limit / 2) / math.sqrt(2 * math.pi)
    return 0.5 - above - limit * density + limit * limit * above


def places(size: int, kernel: int, stride: int, padding: Padding) -> int:
    """Outputs along a side of `size`, as TFLite counts them."""
    return -(-(size if padding == "SAME" else size - kernel + 1) // stride)


@functools.lru_cache(maxsize=1024)
def kernel_rows(size: int, kernel: int, stride: int, padding: Padding = "SAME") -> float:
    """Mean number of a kernel's rows that lie on the image rather than on its padding, which is TFLite's."""
    if padding == "VALID":
        return kernel
    out = places(size, kernel, stride, padding)
    before = max((out - 1) * stride + kernel - size, 0) // 2
    rows = 0
    for row in range(kernel):  # row lies on the image at those outputs o where 0 <= o * stride - before + row < size
        first = max(0, -((row - before) // stride))
        last = min(out - 1, (size - 1 + before - row) // stride)
        rows += max(0, last - first + 1)
    return rows / out


def activation(name: str, shape: tuple[int, ...], precision: Precision, quantization: Quantization | None) -> Tensor:
    """A value that a layer makes; a float has no quantization."""
    return Tensor(name=name, shape=shape, dtype=precision, quantization=quantization if precision == "int8" else None)


def weights_and_bias(
    name: str,
    shape: tuple[int, ...],
    rms: float,
    input_scale: float,
    precision: Precision,
    seed: int,
    stream: int,
    *,
    axis: int = 0,
) -> tuple[Tensor, Tensor]:
    """Uniform weights of the real root mean square `rms` and small biases, from streams `stream` and the next.

    `axis` is that of the output channels: 0, or 3 of a depthwise convolution. int8 weights have one scale, or where
    they are a convolution's (rank 4) one for each output channel; their biases are int32 at the scale of the input
    times that of the weights.
    """
    bias_bound, channels = math.sqrt(3) * BIAS_SHARE, shape[axis]
    if precision == "float32":
        drawn = SeededWeights(seed=seed, stream=stream, bound=math.sqrt(3) * rms)
        biases = SeededWeights(seed=seed, stream=stream + 1, bound=bias_bound)
        return _constant(name, "weights", shape, drawn), _constant(name, "bias", (channels,), biases)
    scale = rms / INT8_RMS
    drawn = SeededWeights(seed=seed, stream=stream, bound=127.0)
    bias_scale = input_scale * scale
    biases = SeededWeights(seed=seed, stream=stream + 1, bound=float(round(bias_bound / bias_scale)))
    scales, bias_scales = one_scale(scale, 0), one_scale(bias_scale, 0)
    if len(shape) == 4:
        scales, bias_scales = _channel_scales(scale, channels, axis), _channel_scales(bias_scale, channels, 0)
    return (
        _constant(name, "weights", shape, drawn, "int8", scales),
        _constant(name, "bias", (channels,), biases, "int32", bias_scales),
    )


def _constant(
    name: str,
    part: str,
    shape: tuple[int, ...],
    drawn: SeededWeights,
    dtype: str = "float32",
    quantization: Quantization | None = None,
) -> Tensor:
    return Tensor(name=f"{name}/{part}", shape=shape, dtype=dtype, quantization=quantization, weights=drawn)


@functools.lru_cache(maxsize=1024)
def one_scale(scale: float, zero_point: int) -> Quantization:
    """Quantization of a whole tensor."""
    return Quantization(scales=(scale,), zero_points=(zero_point,))


@functools.lru_cache(maxsize=64)
def _channel_scales(scale: float, channels: int, axis: int) -> Quantization:
    pattern = tuple(scale * share for share in CHANNEL_PATTERN)
    repeats = -(-channels // len(pattern))
    return Quantization(scales=(pattern * repeats)[:channels], zero_points=(0,) * channels, axis=axis)
