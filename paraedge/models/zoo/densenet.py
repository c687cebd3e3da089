"""DenseNet-121 (Huang et al., arXiv 1608.06993, Table 1), laid out as Keras' DenseNet121.

What a dense block concatenates is never normalised in place: each of its convolutions has MUL and ADD of its own.
Every CONCATENATION has values of one scale, the one that all convolutions without activation have; so the first
convolution's ReLU, whose max pool opens the first block, has it too.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.normalisation import batch_norm_relu
from paraedge.models.scales import LINEAR_SCALE, After, one_scale
from paraedge.models.zoo.model import Model, Published
from paraedge.models.zoo.resnet import head

BLOCKS = (6, 12, 24, 16)
"""Layers of each dense block; between two blocks a transition halves channels and image."""
GROWTH = 32
"""Channels that a layer adds."""
NARROW = 4 * GROWTH
"""Filters of the 1 x 1 convolution before a layer's 3 x 3 one."""
LEAST_IMAGE = 29
"""Below this side the last transition has nothing left to pool."""
SHARED = After(LINEAR_SCALE, 0.5, one_scale(LINEAR_SCALE, 0))
"""Of the first convolution, after its ReLU."""


def build_densenet121(network: Network, x: Value, _width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]."""
    x = network.convolution(network.pad(x, 3, 3), 64, 7, stride=2, padding="VALID", activation="RELU", after=SHARED)
    x = network.max_pool(network.pad(x, 1, 1), 3, 2, "VALID")
    for block, layers in enumerate(BLOCKS):
        if block > 0:
            x = network.convolution(batch_norm_relu(network, x), x.shape[3] // 2, 1, activation="NONE")
            x = network.average_pool(x, 2, 2, "VALID")
        for _ in range(layers):
            y = network.convolution(batch_norm_relu(network, x), NARROW, 1, activation="RELU")
            x = network.concatenation([x, network.convolution(y, GROWTH, 3, activation="NONE")])
    return head(network, batch_norm_relu(network, x), output)


PUBLISHED = Published(8_062_504, 88_384, 2_834_000_000, "parameters: Keras Applications; MACs: torchvision's table")

MODELS: Mapping[str, Model] = {
    "densenet121": Model(build_densenet121, 224, 1000, least_image=LEAST_IMAGE, has_widths=False, published=PUBLISHED),
}
