"""Real networks: TF-Slim's in the layout of their published TFLite files, without these files, and transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Value
from paraedge.models.params import check_params, choice, count
from paraedge.models.transformer import TransformerNetwork
from paraedge.models.zoo.inception import LEAST_IMAGE, build_inception_v3
from paraedge.models.zoo.mobilenet import build_mobilenet_v1, build_mobilenet_v2
from paraedge.models.zoo.published import as_uint8
from paraedge.models.zoo.vit import BASE, HUGE, LARGE, build_vit_base, build_vit_huge, build_vit_large

__all__ = ["ZooParams", "as_uint8", "build_zoo"]

MOST_WIDTH = 1000


class Model(NamedTuple):
    """A network: its generator (network, input, width, output), the published image and classes, and possible images.

    least_image: the smallest. patch: what images must be a multiple of.
    """

    build: Callable[[TransformerNetwork, Value, int, int], Value]
    image: int
    classes: int = 1001
    least_image: int = 1
    patch: int = 1


MODELS: Mapping[str, Model] = {
    "mobilenet_v1": Model(build_mobilenet_v1, 224),
    "mobilenet_v2": Model(build_mobilenet_v2, 224),
    "inception_v3": Model(build_inception_v3, 299, least_image=LEAST_IMAGE),
    "vit_base": Model(build_vit_base, 224, 1000, patch=BASE.patch),
    "vit_large": Model(build_vit_large, 224, 1000, patch=LARGE.patch),
    "vit_huge": Model(build_vit_huge, 224, 1000, patch=HUGE.patch),
}


@dataclass(frozen=True, kw_only=True)
class ZooParams(Params):
    """`model`: which network. `width`: filters, or heads of a transformer, in percent of the paper's.

    `image`: side of the input, the published one by default (224, InceptionV3 299). `output`: classes, the published
    ones by default (1001, transformers 1000), which it then holds.
    """

    model: str = choice(default="mobilenet_v1", among=tuple(MODELS))
    width: int = count(default=100, most=MOST_WIDTH)
    image: int | None = count(default=None)
    output: int | None = count(default=None)

    def __post_init__(self) -> None:
        check_params(self)
        model = MODELS[self.model]
        if self.output is None:  # spelt out, so that a spec has the identity that it had when 1001 was the one default
            object.__setattr__(self, "output", model.classes)
        if self.side < model.least_image:
            raise BadInput(f"image = {self.side}: must be at least {model.least_image} for {self.model}")
        if self.side % model.patch:
            raise BadInput(f"image = {self.side}: must be a multiple of {model.patch} for {self.model}")

    @property
    def side(self) -> int:
        """Pixels of the input's height and width."""
        return self.image or MODELS[self.model].image

    @property
    def classes(self) -> int:
        """Units of the last layer."""
        return self.output or MODELS[self.model].classes


def build_zoo(spec: ModelSpec, params: ZooParams) -> LayerGraph:
    """[batch, image, image, 3] -> [batch, output] probabilities."""
    network = TransformerNetwork(spec)
    x = network.input((spec.batch, params.side, params.side, 3))
    return network.graph(MODELS[params.model].build(network, x, params.width, params.classes))
