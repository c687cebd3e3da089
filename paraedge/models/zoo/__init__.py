"""Real networks in the layout of TF-Slim's published TFLite files, without these files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Network, Value
from paraedge.models.params import check_params, choice, count
from paraedge.models.zoo.inception import LEAST_IMAGE, build_inception_v3
from paraedge.models.zoo.mobilenet import build_mobilenet_v1, build_mobilenet_v2
from paraedge.models.zoo.published import as_uint8

__all__ = ["ZooParams", "as_uint8", "build_zoo"]

MOST_WIDTH = 1000


class Model(NamedTuple):
    """A network: its generator (network, input, width, output), the published image and the smallest possible."""

    build: Callable[[Network, Value, int, int], Value]
    image: int
    least_image: int = 1


MODELS: Mapping[str, Model] = {
    "mobilenet_v1": Model(build_mobilenet_v1, 224),
    "mobilenet_v2": Model(build_mobilenet_v2, 224),
    "inception_v3": Model(build_inception_v3, 299, LEAST_IMAGE),
}


@dataclass(frozen=True, kw_only=True)
class ZooParams(Params):
    """`model`: which network. `width`: filters in percent of the paper's, TF-Slim's depth multiplier.

    `image`: side of the input, the published one by default (224, InceptionV3 299). `output`: classes.
    """

    model: str = choice(default="mobilenet_v1", among=tuple(MODELS))
    width: int = count(default=100, most=MOST_WIDTH)
    image: int | None = count(default=None)
    output: int = count(default=1001)

    def __post_init__(self) -> None:
        check_params(self)
        least = MODELS[self.model].least_image
        if self.side < least:
            raise BadInput(f"image = {self.side}: must be at least {least} for {self.model}")

    @property
    def side(self) -> int:
        """Pixels of the input's height and width."""
        return self.image or MODELS[self.model].image


def build_zoo(spec: ModelSpec, params: ZooParams) -> LayerGraph:
    """[batch, image, image, 3] -> [batch, output] probabilities."""
    network = Network(spec)
    x = network.input((spec.batch, params.side, params.side, 3))
    return network.graph(MODELS[params.model].build(network, x, params.width, params.output))
