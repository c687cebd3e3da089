"""How a mapped layer fills the array, in steps, shapes padded as the chip lays them out.

16 tiles (4 x 4) share the image: a layer lasts as long as its busiest tile has pixels. In a step every tile takes one
pixel, one place of the kernel, 4 inputs and 64 outputs: 4096 multiply-accumulates. Source of the padding: the bytes of
compiled models (inputs to 4, outputs to 64); of the tiles: cycle estimates of the older compiler, which these steps
follow within 2.5 % for six models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from paraedge.core.graph import Layer, Tensor
from paraedge.simulate.shapes import ceil_to, pixels, weights_of

Kind: TypeAlias = Literal["conv_steps", "depthwise_steps", "elements", "weight_bytes"]

UNTIMED_OPS = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM"})
"""Ops that are mapped and whose compute has no model: nothing was measured to fit one on."""
UNTIMED = "mapped, but its compute has no timing model"
FREE_OPS = frozenset({*UNTIMED_OPS, "RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
GRID = 4
"""Tiles along height and along width."""


def layer_steps(tensors: Sequence[Tensor], layer: Layer) -> tuple[Kind, float]:
    """What one invoke of a mapped layer asks for: a kind and how much of it.

    Convolutions and depthwise ones: steps. Fully connected layers: bytes of weights, each read once
    for each row of the input. Every other op: output elements.
    """
    output = tensors[layer.outputs[0]].shape
    if layer.op == "FULLY_CONNECTED":
        units, depth = tensors[layer.inputs[1]].shape
        return "weight_bytes", float(pixels(output) * ceil_to(units, 64) * ceil_to(depth, 4))
    if layer.op in ("CONV_2D", "TRANSPOSE_CONV"):
        weights = weights_of(tensors, layer)
        if weights is None:
            return "elements", 0.0
        outputs, height, width, depth = weights.shape
        places = tile_pixels(output if layer.op == "CONV_2D" else tensors[layer.inputs[2]].shape)
        steps = places * height * width * (ceil_to(depth, 4) // 4) * (ceil_to(outputs, 64) // 64)
        return "conv_steps", float(steps)
    if layer.op == "DEPTHWISE_CONV_2D":
        weights = weights_of(tensors, layer)
        area = 0 if weights is None else weights.shape[1] * weights.shape[2]
        return "depthwise_steps", float(tile_pixels(output) * area * (ceil_to(output[-1], 64) // 64))
    return "elements", 0.0 if layer.op in FREE_OPS else float(math.prod(output))


def tile_pixels(shape: Sequence[int]) -> int:
    """Pixels of the busiest tile, times the batch, of a tensor [batch, height, width, channels]; one of a vector's."""
    if len(shape) != 4:
        return pixels(shape)
    batch, height, width, _ = shape
    return batch * -(-height // GRID) * -(-width // GRID)


def is_uneven(shape: Sequence[int]) -> bool:
    """Whether an image divides unevenly over the tiles, so that they need programs of their own."""
    return len(shape) == 4 and shape[1] * shape[2] > 1 and bool(shape[1] % GRID or shape[2] % GRID)
