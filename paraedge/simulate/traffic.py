"""What crosses the link: inputs, outputs, instructions, and streamed parameters with every fetch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from paraedge.core.graph import Layer, Tensor
from paraedge.simulate.constants import Hardware
from paraedge.simulate.shapes import ceil_to, is_static, known_bytes, pixels, weights_of
from paraedge.simulate.steps import is_uneven


def instruction_bytes(tensors: Sequence[Tensor], layers: Iterable[Layer], hardware: Hardware) -> int:
    """Bytes of instructions, sent again at every invoke.

    So many an op; more for a convolution with a kernel above 1 x 1 whose image divides unevenly over the tiles (where
    they presumably exchange borders of different sizes); so many a unit of a fully connected layer; so many a SOFTMAX.
    """
    return round(sum(layer_instruction_bytes(tensors, layer, hardware) for layer in layers))


def layer_instruction_bytes(tensors: Sequence[Tensor], layer: Layer, hardware: Hardware) -> float:
    """The share of one layer in `instruction_bytes`."""
    total = hardware.instruction_bytes_per_op
    if layer.op == "FULLY_CONNECTED":
        total += hardware.instruction_bytes_per_unit * tensors[layer.inputs[1]].shape[0]
    elif layer.op == "SOFTMAX":
        total += hardware.instruction_bytes_per_softmax
    elif layer.op in ("CONV_2D", "DEPTHWISE_CONV_2D") and _is_spatial(tensors, layer):
        total += hardware.instruction_bytes_per_border * is_uneven(tensors[layer.outputs[0]].shape)
    return total


def _is_spatial(tensors: Sequence[Tensor], layer: Layer) -> bool:
    weights = weights_of(tensors, layer)
    return weights is not None and weights.shape[1] * weights.shape[2] > 1


def output_blocks(tensors: Sequence[Tensor], ids: Iterable[int]) -> int:
    """Steps of the host's copying of the outputs, pixel by pixel: one to go to a pixel, one for each 64 channels of it.

    None for a vector, which is copied whole. Own finding: of the counts tried it leaves the CONV sweep the least error.
    """
    total = 0
    for tensor_id in ids:
        shape = tensors[tensor_id].shape
        places = pixels(shape) if is_static(shape) else 0
        total += places * (1 + ceil_to(shape[-1], 64) // 64) if places > 1 else 0
    return total


def weight_fetches(tensors: Sequence[Tensor], layer: Layer, hardware: Hardware) -> int:
    """How often a streamed layer's parameters cross the link: once for each stripe of its activations.

    Input and output (channels to 4) that fit the narrow memory together take one pass. Beyond, the output is made in
    stripes of what the input leaves free: 1 + ceil(output / (M - input)) passes, with M = `stripe_memory_bytes`, at
    most `most_fetches`, the largest seen. Own fit to the steps 3, 5 and 8 of the CONV sweep; 64 x 64 images only.
    """
    taken, made = activation_bytes(tensors, layer)
    if taken + made <= hardware.narrow_memory_bytes:
        return 1
    most = int(hardware.most_fetches)
    room = hardware.stripe_memory_bytes - taken
    return most if room <= 0 else max(1, min(most, 1 + math.ceil(made / room)))


def activation_bytes(tensors: Sequence[Tensor], layer: Layer) -> tuple[int, int]:
    """Bytes that a layer's input and output take in the narrow memory, channels to 4."""
    taken = layer.inputs[2 if layer.op == "TRANSPOSE_CONV" else 0]  # its first input is the shape of its output
    return _padded_bytes(tensors[taken]), _padded_bytes(tensors[layer.outputs[0]])


def _padded_bytes(tensor: Tensor) -> int:
    size = known_bytes(tensor)
    channels = tensor.shape[-1] if size and tensor.shape else 1
    return size // channels * ceil_to(channels, 4)
