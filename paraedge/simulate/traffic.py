"""What crosses the link: inputs, outputs, instructions and streamed parameters, and what each costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from paraedge.core.graph import Layer, Tensor
from paraedge.simulate.hardware import Hardware
from paraedge.simulate.shapes import MIB, is_static, known_bytes, pixels


def instruction_bytes(tensors: Sequence[Tensor], layers: Iterable[Layer], hardware: Hardware) -> int:
    """Bytes of instructions, sent again at every invoke: so many an op, and so many a unit of a fully connected one."""
    count, units = 0, 0
    for layer in layers:
        count += 1
        if layer.op == "FULLY_CONNECTED":
            units += tensors[layer.inputs[1]].shape[0]
    return round(hardware.instruction_bytes_per_op * count + hardware.instruction_bytes_per_unit * units)


def link_ms(size_bytes: float, hardware: Hardware) -> float:
    """Time of input or instructions on their way to the device."""
    return size_bytes / (hardware.link_mb_per_s * 1e3)


def return_ms(tensors: Sequence[Tensor], ids: Iterable[int], hardware: Hardware) -> float:
    """Time of outputs on their way back: bytes at the return rate, and so much a pixel.

    The host copies a returned tensor pixel by pixel into its own layout, so many small pixels cost more than the
    same bytes in few. Vectors (one pixel) pay for their bytes alone.
    """
    total = 0.0
    for tensor_id in ids:
        tensor = tensors[tensor_id]
        total += known_bytes(tensor) / (hardware.return_mb_per_s * 1e3)
        places = pixels(tensor.shape) if is_static(tensor.shape) else 0
        total += places * hardware.return_pixel_ns * 1e-6 if places > 1 else 0.0
    return total


def weight_fetches(tensors: Sequence[Tensor], layer: Layer, hardware: Hardware) -> int:
    """How often a streamed layer's parameters cross the link: once for each stripe of its activations.

    Activations a = input + output that fit the narrow memory take one pass. Above, ceil(S / (S - a)) with
    S = `stripe_memory_bytes`: an empirical rule for the steps 3, 5, 7.4 of the CONV sweep (64 x 64 pixels, 452 to 732
    filters), held at `most_fetches`, the largest seen. Other image sizes lie outside what was calibrated.
    """
    held = known_bytes(tensors[layer.inputs[0]]) + known_bytes(tensors[layer.outputs[0]])
    if held <= hardware.narrow_memory_bytes:
        return 1
    room = hardware.stripe_memory_bytes - held
    most = int(hardware.most_fetches)
    return most if room <= 0 else max(1, min(most, math.ceil(hardware.stripe_memory_bytes / room)))


def streamed_ms(padded_bytes: float, hardware: Hardware) -> float:
    """Time of parameters streamed at the host's rate, the set-up of streaming left out."""
    return padded_bytes * hardware.stream_ms_per_mib / MIB
