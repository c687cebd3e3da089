"""Model: what the zoo knows of a network, and what was published of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from paraedge.models.network import Value
from paraedge.models.transformer import TransformerNetwork

Build: TypeAlias = Callable[[TransformerNetwork, Value, int, int], "Value | tuple[Value, ...]"]
"""(network, input, width in percent, classes) -> output, or outputs."""


class Published(NamedTuple):
    """Size of a network at its published image, width and classes, with the source.

    parameters: as published. folded: of these, values of batch normalisation that are not stored, being folded into
    weights and biases, so that ours are `parameters` less `folded`; less the biases that convolutions without either
    have in our files as in converted ones. macs: None where none were published.
    """

    parameters: int
    folded: int
    macs: int | None
    source: str


def image_input(batch: int, side: int) -> tuple[int, ...]:
    """Shape of a batch of colour images."""
    return (batch, side, side, 3)


class Model(NamedTuple):
    """A network: its generator, the published image and classes, and which images and widths it can have.

    classes: 0 where the output has none. least_image: the smallest. patch: what images must be a multiple of.
    has_widths: whether there is a width but the published one. input: shape for a batch and a side.
    """

    build: Build
    image: int
    classes: int = 1001
    least_image: int = 1
    patch: int = 1
    has_widths: bool = True
    published: Published | None = None
    input: Callable[[int, int], tuple[int, ...]] = image_input
