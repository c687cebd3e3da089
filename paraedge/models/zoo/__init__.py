"""Real networks: image classifiers, a detector and transformers, in the layouts that their modules name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Value
from paraedge.models.params import check_params, choice, count
from paraedge.models.transformer import TransformerNetwork
from paraedge.models.zoo import (
    alexnet,
    block_cnn,
    densenet,
    efficientnet,
    encoder,
    inception_resnet,
    inception_v1,
    inception_v3,
    inception_v4,
    mobilenet,
    resnet,
    retinanet,
    squeezenet,
    vgg,
    vit,
)
from paraedge.models.zoo.as_uint8 import as_uint8
from paraedge.models.zoo.model import Model, Published

__all__ = ["ZooParams", "as_uint8", "build_zoo", "published_sizes"]

MOST_WIDTH = 1000

MODELS: Mapping[str, Model] = {
    **mobilenet.MODELS,
    **efficientnet.MODELS,
    **squeezenet.MODELS,
    **alexnet.MODELS,
    **vgg.MODELS,
    **resnet.MODELS,
    **densenet.MODELS,
    **inception_v1.MODELS,
    **inception_v3.MODELS,
    **inception_v4.MODELS,
    **inception_resnet.MODELS,
    **retinanet.MODELS,
    **encoder.MODELS,
    **vit.MODELS,
    **block_cnn.MODELS,
}


@dataclass(frozen=True, kw_only=True)
class ZooParams(Params):
    """`model`: which network. `width`: filters, or heads of a transformer, in percent of the paper's.

    `image`: side of the input, the published one by default. `output`: classes, the published ones by default, which it
    then holds.
    """

    model: str = choice(default="mobilenet_v1", among=tuple(MODELS))
    width: int = count(default=100, most=MOST_WIDTH)
    image: int | None = count(default=None)
    output: int | None = count(default=None)

    def __post_init__(self) -> None:
        check_params(self)
        model = MODELS[self.model]
        if self.width != 100 and not model.has_widths:
            raise BadInput(f"width = {self.width}: {self.model} has the published width only, 100")
        if self.output is not None and not model.classes:
            raise BadInput(f"output = {self.output}: {self.model} tells no classes apart; leave the key out")
        if self.output is None and model.classes:  # spelt out, so that specs keep the identity that they had
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

    @property
    def published(self) -> Published | None:
        """What was published of the very network; None for another width, image or classes."""
        model = MODELS[self.model]
        is_published = (self.width, self.side, self.classes) == (100, model.image, model.classes)
        return model.published if is_published else None


def build_zoo(spec: ModelSpec, params: ZooParams) -> LayerGraph:
    """[batch, image, image, 3] -> [batch, output] probabilities, or what else the network gives."""
    network, model = TransformerNetwork(spec), MODELS[params.model]
    result = model.build(network, network.input(model.input(spec.batch, params.side)), params.width, params.classes)
    return network.graph(*([result] if isinstance(result, Value) else result))


def published_sizes(spec: ModelSpec, graph: LayerGraph) -> dict[str, int | None]:
    """Columns that hold the sizes of a network of the zoo against the published ones; {} for other families.

    unfolded_parameters: the graph's, and the values of batch normalisation that were folded into them.
    published_macs: of one image, so None for a batch.
    """
    if not isinstance(spec.params, ZooParams):
        return {}
    published = spec.params.published
    return {
        "unfolded_parameters": None if published is None else graph.parameters + published.folded,
        "published_parameters": None if published is None else published.parameters,
        "published_macs": None if published is None or spec.batch > 1 else published.macs,
    }
