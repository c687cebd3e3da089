"""SqueezeNet 1.0 (Iandola et al., arXiv 1602.07360, Table 1), laid out as torchvision's `squeezenet1_0`.

As there, the first convolution has no padding, max pools round up, and the last convolution has a ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT, RELU_LIMIT
from paraedge.models.zoo.model import Model, Published

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Filters of a fire module's squeeze, and of each of the two convolutions that expand it."""
POOLED = (2, 6)
"""The modules that a max pool follows."""
LEAST_IMAGE = 21
"""Below this side the last max pool has nothing left."""
SCORES_VARIANCE = 25.0
"""Of the last convolution's sums: a ReLU and the mean over the image leave few of their differences."""


def build_squeezenet(network: Network, x: Value, _width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]."""
    x = network.convolution(x, 96, 7, stride=2, padding="VALID", activation="RELU", limit=POOLED_LIMIT)
    x = _max_pool(network, x, deep=False)
    for index, (squeezed, expanded) in enumerate(FIRES):
        pooled = index in POOLED
        x = _fire(network, x, squeezed, expanded, POOLED_LIMIT if pooled else RELU_LIMIT)
        x = _max_pool(network, x, deep=True) if pooled else x
    x = network.convolution(x, output, 1, activation="RELU", variance=SCORES_VARIANCE)
    return network.softmax(network.image_mean(x))


def _fire(network: Network, x: Value, squeezed: int, expanded: int, limit: float) -> Value:
    x = network.convolution(x, squeezed, 1, activation="RELU")
    return network.concatenation(
        [network.convolution(x, expanded, side, activation="RELU", limit=limit) for side in (1, 3)]
    )


def _max_pool(network: Network, x: Value, *, deep: bool) -> Value:
    """Of 3 x 3 with stride 2, of which the last may lie beyond the image by a pixel."""
    return network.max_pool(x, 3, 2, "VALID" if x.shape[1] % 2 else "SAME", deep=deep)


PUBLISHED = Published(1_248_424, 0, 819_000_000, "torchvision's table of SqueezeNet 1.0's weights")

MODELS: Mapping[str, Model] = {
    "squeezenet_1_0": Model(
        build_squeezenet, 224, 1000, least_image=LEAST_IMAGE, has_widths=False, published=PUBLISHED
    ),
}
