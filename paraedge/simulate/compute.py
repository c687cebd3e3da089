"""Cycles that a mapped layer keeps the array busy, by kind of op, shapes padded as the array is filled."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paraedge.core.graph import Layer, Tensor
from paraedge.simulate.hardware import Hardware
from paraedge.simulate.shapes import ceil_to, padded_outputs, pixels, weights_of

UNTIMED_OPS = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM"})
"""Ops that are mapped and whose compute has no model: nothing was measured to fit one on."""


def layer_cycles(tensors: Sequence[Tensor], layer: Layer, hardware: Hardware) -> float:
    """Cycles of one invoke of a mapped layer.

    Convolutions do padded MACs at a rate fitted to the CONV sweep, pointwise ones (kernel 1 x 1) at the rate of the
    older compiler's cycle estimates. Fully connected layers read each weight once, at the on-chip rate. Depthwise ones
    run at the array's peak (the estimates leave no time to them); every other op moves so many elements a cycle.
    """
    output = tensors[layer.outputs[0]].shape
    if layer.op == "FULLY_CONNECTED":
        units, depth = tensors[layer.inputs[1]].shape
        return pixels(output) * ceil_to(units, 64) * ceil_to(depth, 64) / hardware.on_chip_bytes_per_cycle
    if layer.op in ("CONV_2D", "TRANSPOSE_CONV"):
        weights = weights_of(tensors, layer)
        if weights is None:
            return 0.0
        outputs, height, width, depth = weights.shape
        places = pixels(output if layer.op == "CONV_2D" else tensors[layer.inputs[2]].shape)
        macs = places * height * width * ceil_to(depth, 4) * padded_outputs(outputs, weights.dtype)
        pointwise = height * width == 1
        return macs / (hardware.pointwise_macs_per_cycle if pointwise else hardware.conv_macs_per_cycle)
    if layer.op == "DEPTHWISE_CONV_2D":
        weights = weights_of(tensors, layer)
        area = 0 if weights is None else weights.shape[1] * weights.shape[2]
        return pixels(output) * area * ceil_to(output[-1], 64) / hardware.peak_macs_per_cycle
    if layer.op in UNTIMED_OPS or layer.op in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
        return 0.0
    return math.prod(output) / hardware.elements_per_cycle
