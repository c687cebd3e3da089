"""Small arithmetic on shapes that the terms share."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from paraedge.core.graph import Layer, Tensor

MIB = 1 << 20
LARGEST_BYTES = 1 << 62


def ceil_to(count: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is at least `count`."""
    return -(-count // multiple) * multiple


@functools.lru_cache(maxsize=1 << 16)
def is_static(shape: tuple[object, ...]) -> bool:
    """Whether every dimension is a known positive number. Asked ten times a layer, hence the cache."""
    return all(type(size) is int and size >= 1 for size in shape)


def known_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's values; 0 where its shape is dynamic or its type has no size. Kept within 2^62."""
    return min(tensor.size_bytes or 0, LARGEST_BYTES) if is_static(tensor.shape) else 0


def padded_outputs(outputs: int, dtype: str) -> int:
    """Output channels as the device stores them: filled up to 64; below 64, uint8 models only to 16.

    Both rules reproduce compiled files to the byte: the int8 one the FC and CONV sweeps, the uint8 one MobileNetV1 in
    four widths and MobileNetV2. Source: own fit to compiled models of google-coral/edgetpu and test_data.
    """
    return ceil_to(outputs, 16 if dtype == "uint8" and outputs < 64 else 64)


def weights_of(tensors: Sequence[Tensor], layer: Layer) -> Tensor | None:
    """The weight tensor of a layer that has one of the ranks TFLite gives it, or None."""
    if len(layer.inputs) < 2 or layer.inputs[1] < 0:
        return None
    weights = tensors[layer.inputs[1]]
    rank = 2 if layer.op == "FULLY_CONNECTED" else 4
    return weights if len(weights.shape) == rank and is_static(weights.shape) else None


def pixels(shape: Sequence[int]) -> int:
    """Positions of a tensor: every dimension but the last; kept within 2^62."""
    return min(math.prod(shape[:-1]), LARGEST_BYTES)
