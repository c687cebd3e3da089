"""VGG-16 and VGG-19 (Simonyan and Zisserman, arXiv 1409.1556, Table 1, D and E), laid out as Keras' VGG16 and VGG19."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT, RELU_LIMIT
from paraedge.models.zoo.mobilenet import LOGITS_VARIANCE
from paraedge.models.zoo.model import Model, Published

FILTERS = (64, 128, 256, 512, 512)
"""Of each group's 3 x 3 convolutions, after which a max pool halves the image."""
VGG16, VGG19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
"""Convolutions of each group."""
HIDDEN = 4096
"""Units of each of the two layers before the classifier."""
LEAST_IMAGE = 32
"""Below this side the last max pool has nothing left."""


def perceptron(network: Network, x: Value, hidden: Sequence[int], output: int) -> Value:
    """RESHAPE of [batch, height, width, depth] to a row an input, FULLY_CONNECTED layers and SOFTMAX."""
    batch, height, width, depth = x.shape
    x = network.reshape(x, (batch, height * width * depth))
    for units in hidden:
        x = network.dense(x, units, "RELU")
    return network.softmax(network.dense(x, output, "NONE", LOGITS_VARIANCE))


def _build(network: Network, x: Value, _width: int, output: int, *, convolutions: tuple[int, ...]) -> Value:
    """[batch, image, image, 3] -> [batch, output]."""
    for group, (filters, number) in enumerate(zip(FILTERS, convolutions, strict=True)):
        for index in range(number):
            limit = POOLED_LIMIT if index == number - 1 else RELU_LIMIT
            x = network.convolution(x, filters, 3, activation="RELU", limit=limit)
        x = network.max_pool(x, 2, 2, "VALID", deep=group > 0)
    return perceptron(network, x, (HIDDEN, HIDDEN), output)


def _model(convolutions: tuple[int, ...], parameters: int, macs: int) -> Model:
    source = "parameters: Keras Applications; MACs: torchvision's table"
    return Model(
        functools.partial(_build, convolutions=convolutions),
        224,
        1000,
        least_image=LEAST_IMAGE,
        has_widths=False,
        published=Published(parameters, 0, macs, source),
    )


MODELS: Mapping[str, Model] = {
    "vgg16": _model(VGG16, 138_357_544, 15_470_000_000),
    "vgg19": _model(VGG19, 143_667_240, 19_632_000_000),
}
