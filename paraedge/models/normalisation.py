"""Batch normalisation that stands before its convolution, or after a sum, and so can't be folded into weights."""

from __future__ import annotations

import math

from paraedge.models import options, scales
from paraedge.models.network import Network, Value
from paraedge.models.scales import BIAS_SHARE


def batch_norm_relu(network: Network, x: Value) -> Value:
    """ReLU(gain * x + bias), as MUL and ADD with two constants a channel; same shape, the sums of unit variance.

    That is what TensorFlow's converter makes of the four that batch normalisation learns: mean and variance go into
    gain and bias.
    """
    depth = x.shape[-1]
    gain = network.learnt("gain", (1, 1, 1, depth), 1 / math.sqrt(x.mean_square))
    normal = network.op("MUL", (x, gain), x.shape, options.MUL, scales.linear(1.0))
    return network.add_relu(normal, network.learnt("bias", (1, 1, 1, depth), BIAS_SHARE))
