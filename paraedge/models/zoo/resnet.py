"""ResNet-50 v1 (He et al., arXiv 1512.03385, Table 1), ResNet-50 v2 and -152 v2 (He et al., arXiv 1603.05027).

Laid out as Keras' ResNet50, ResNet50V2 and ResNet152V2. Images are padded as there, by 3 before the first convolution
and by 1 before its max pool, so they may have any size. In v1 every batch normalisation is folded; in v2 those that
stand before a block or at the end are ops of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from paraedge.models import options
from paraedge.models.cnn import EXPANSION, bottleneck
from paraedge.models.network import Network, Value
from paraedge.models.normalisation import batch_norm_relu
from paraedge.models.scales import POOLED_LIMIT, After, one_scale
from paraedge.models.zoo.mobilenet import LOGITS_VARIANCE
from paraedge.models.zoo.model import Model, Published

FILTERS = 64
"""Of the first convolution and of the first group's blocks; twice as many in each group that follows."""
BLOCKS_50, BLOCKS_152 = (3, 4, 6, 3), (3, 8, 36, 3)
"""Blocks of each group."""


def build_resnet50_v1(network: Network, x: Value, _width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]."""
    return head(network, features(network, x)[-1], output)


def features(network: Network, x: Value, block: Callable[..., Value] = bottleneck) -> tuple[Value, Value, Value]:
    """C3, C4 and C5 of ResNet-50 v1: the last three groups' results, an 8th, 16th and 32nd of the image's side.

    `block` takes what `cnn.bottleneck` takes.
    """
    found = []
    x = _stem(network, x, "RELU")
    for group, number in enumerate(BLOCKS_50):
        for index in range(number):
            stride = 2 if group > 0 and index == 0 else 1
            x = block(network, x, FILTERS << group, stride, first=index == 0)
        found.append(x)
    _, c3, c4, c5 = found
    return c3, c4, c5


def head(network: Network, x: Value, output: int) -> Value:
    """Mean over the image, FULLY_CONNECTED and SOFTMAX: [batch, height, width, depth] to [batch, output]."""
    return network.softmax(network.dense(network.image_mean(x), output, "NONE", LOGITS_VARIANCE))


def _stem(network: Network, x: Value, activation: str) -> Value:
    x = network.pad(x, 3, 3)
    x = network.convolution(x, FILTERS, 7, stride=2, padding="VALID", activation=activation, limit=POOLED_LIMIT)
    return network.max_pool(network.pad(x, 1, 1), 3, 2, "VALID")


def _build_v2(network: Network, x: Value, _width: int, output: int, *, blocks: tuple[int, ...]) -> Value:
    """[batch, image, image, 3] -> [batch, output]. Unlike the paper, Keras halves the image in a group's last block."""
    x = _stem(network, x, "NONE")
    for group, number in enumerate(blocks):
        for index in range(number):
            stride = 2 if group < len(blocks) - 1 and index == number - 1 else 1
            x = _preactivated(network, x, FILTERS << group, stride, first=index == 0)
    return head(network, batch_norm_relu(network, x), output)


def _preactivated(network: Network, x: Value, filters: int, stride: int, *, first: bool) -> Value:
    wide = EXPANSION * filters
    y = batch_norm_relu(network, x)
    if first:
        x = network.convolution(y, wide, 1, stride=stride, activation="NONE")
    elif stride > 1:
        x = _every(network, x, stride)
    y = network.convolution(y, filters, 1, activation="RELU")
    if stride == 1:  # where padding by 1 is the same padding
        y = network.convolution(y, filters, 3, activation="RELU")
    else:
        y = network.convolution(network.pad(y, 1, 1), filters, 3, stride=stride, padding="VALID", activation="RELU")
    return network.add(network.convolution(y, wide, 1, activation="NONE"), x)


def _every(network: Network, x: Value, stride: int) -> Value:
    """One pixel of `stride` in each direction: Keras' max pool of one pixel."""
    batch, height, width, depth = x.shape
    shape, same = (batch, -(-height // stride), -(-width // stride), depth), one_scale(x.scale, 0)
    kind = options.pool(1, stride, "VALID")
    return network.op("MAX_POOL_2D", (x,), shape, kind, After(x.scale, x.mean_square, same))


KERAS = "Keras Applications"

MODELS: Mapping[str, Model] = {
    "resnet50_v1": Model(
        build_resnet50_v1,
        224,
        1000,
        has_widths=False,
        published=Published(
            25_636_712, 106_240, 3_900_000_000, "parameters: Keras Applications; MACs: Sze et al., arXiv 1703.09039"
        ),
    ),
    "resnet50_v2": Model(
        functools.partial(_build_v2, blocks=BLOCKS_50),
        224,
        1000,
        has_widths=False,
        published=Published(25_613_800, 52_992, None, KERAS),
    ),
    "resnet152_v2": Model(
        functools.partial(_build_v2, blocks=BLOCKS_152),
        224,
        1000,
        has_widths=False,
        published=Published(60_380_648, 167_680, None, KERAS),
    ),
}
