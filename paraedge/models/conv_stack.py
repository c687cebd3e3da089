"""Stacks of equal convolutions, as in the multi-TPU study (arXiv 2503.01025)."""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Network
from paraedge.models.params import MOST_KERNEL, MOST_LAYERS, check_params, count


@dataclass(frozen=True, kw_only=True)
class ConvStackParams(Params):
    """`layer` convolutions `kernel` x `kernel` with `filter` filters, on `image` x `image` x `channel`."""

    layer: int = count(default=5, most=MOST_LAYERS)
    kernel: int = count(default=3, most=MOST_KERNEL)
    image: int = count(default=64)
    channel: int = count(default=3)
    filter: int = count()

    def __post_init__(self) -> None:
        check_params(self)


def build_conv_stack(spec: ModelSpec, params: ConvStackParams) -> LayerGraph:
    """[batch, image, image, channel] -> [batch, image, image, filter]: stride 1, same padding, ReLU after each."""
    network = Network(spec)
    x = network.input((spec.batch, params.image, params.image, params.channel))
    for _ in range(params.layer):
        x = network.convolution(x, params.filter, params.kernel, activation="RELU")
    return network.graph(x)
