"""AlexNet in one tower, without groups or local response normalisation (Krizhevsky, arXiv 1404.5997), as torchvision's.

Its adaptive average pool is left out: at the published image of 224 it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT
from paraedge.models.zoo.model import Model, Published
from paraedge.models.zoo.vgg import HIDDEN, perceptron

LEAST_IMAGE = 63
"""Below this side the last max pool has nothing left."""


def build_alexnet(network: Network, x: Value, _width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]."""
    x = network.pad(x, 2, 2)
    x = network.convolution(x, 64, 11, stride=4, padding="VALID", activation="RELU", limit=POOLED_LIMIT)
    x = network.max_pool(x, 3, 2, "VALID")
    x = network.convolution(x, 192, 5, activation="RELU", limit=POOLED_LIMIT)
    x = network.max_pool(x, 3, 2, "VALID", deep=True)
    x = network.convolution(x, 384, 3, activation="RELU")
    x = network.convolution(x, 256, 3, activation="RELU")
    x = network.convolution(x, 256, 3, activation="RELU", limit=POOLED_LIMIT)
    x = network.max_pool(x, 3, 2, "VALID", deep=True)
    return perceptron(network, x, (HIDDEN, HIDDEN), output)


PUBLISHED = Published(61_100_840, 0, 714_000_000, "torchvision's table of AlexNet's weights")

MODELS: Mapping[str, Model] = {
    "alexnet": Model(build_alexnet, 224, 1000, least_image=LEAST_IMAGE, has_widths=False, published=PUBLISHED),
}
