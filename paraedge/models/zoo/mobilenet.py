"""MobileNetV1 (arXiv 1704.04861, Table 1) and MobileNetV2 (arXiv 1801.04381, Table 2), laid out as in TF-Slim.

Batch normalisation is folded into the biases. The classifier is TF-Slim's: average pool over what is left of the
image, a 1 x 1 convolution, softmax. Images may have any size, as TF-Slim's pool shrinks with small ones; where it would
stop at 7 x 7 for large ones, this one still spans the image.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.zoo.model import Model, Published

V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip
"""Filters and stride of each depthwise separable convolution."""
V1_LEAST_FILTERS = 8

V2_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
"""Expansion, filters, blocks and stride of the first block of each stage."""
V2_LAST_FILTERS = 1280
V2_DIVISOR = 8

LOGITS_VARIANCE = 9.0
"""Of the sums before a softmax: with 1001 classes, some twenty probabilities are then above 1/256."""


def build_mobilenet_v1(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's, at least 8."""
    x = network.convolution(x, _v1_filters(32, width), 3, stride=2, activation="RELU6")
    for filters, stride in V1_BLOCKS:
        x = network.depthwise(x, 3, stride=stride, activation="RELU6")
        x = network.convolution(x, _v1_filters(filters, width), 1, activation="RELU6")
    return classifier(network, x, output, stride=2)


def build_mobilenet_v2(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's in multiples of 8.

    The last convolution has never fewer than the paper's (arXiv 1801.04381, section 6.1).
    """
    x = network.convolution(x, _v2_filters(32, width), 3, stride=2, activation="RELU6")
    for expansion, filters, blocks, first_stride in V2_STAGES:
        for index in range(blocks):
            x = inverted_residual(network, x, expansion, _v2_filters(filters, width), 1 if index else first_stride)
    x = network.convolution(x, max(V2_LAST_FILTERS, _v2_filters(V2_LAST_FILTERS, width)), 1, activation="RELU6")
    return classifier(network, x, output, stride=1)


def classifier(network: Network, x: Value, output: int, stride: int) -> Value:
    """Average pool over the whole image, 1 x 1 convolution, reshape and softmax: [batch, output]."""
    x = network.average_pool(x, x.shape[1], stride, "VALID")
    x = network.convolution(x, output, 1, activation="NONE", variance=LOGITS_VARIANCE)
    return network.softmax(network.reshape(x, (x.shape[0], output)))


def inverted_residual(network: Network, x: Value, expansion: int, filters: int, stride: int, kernel: int = 3) -> Value:
    """Expansion, depthwise convolution and projection, around which the input goes where its shape allows."""
    depth = x.shape[3]
    y = network.convolution(x, expansion * depth, 1, activation="RELU6") if expansion > 1 else x
    y = network.depthwise(y, kernel, stride=stride, activation="RELU6")
    y = network.convolution(y, filters, 1, activation="NONE")
    return network.add(y, x) if stride == 1 and filters == depth else y


def _v1_filters(filters: int, width: int) -> int:
    return max(V1_LEAST_FILTERS, filters * width // 100)


def _v2_filters(filters: int, width: int) -> int:
    """The nearest multiple of 8, or the next where that would take more than a tenth away; TF-Slim's rule."""
    wanted = filters * width
    rounded = max(V2_DIVISOR, (wanted + 50 * V2_DIVISOR) // (100 * V2_DIVISOR) * V2_DIVISOR)
    return rounded + V2_DIVISOR if 1000 * rounded < 9 * wanted else rounded


V1_SOURCE = "parameters: Keras Applications, 4,253,864, and 1,025 of one class more; MACs: arXiv 1704.04861"
V2_SOURCE = "parameters: Keras Applications, 3,538,984, and 1,281 of one class more; MACs: torchvision's table"

MODELS: Mapping[str, Model] = {
    "mobilenet_v1": Model(
        build_mobilenet_v1, 224, published=Published(4_253_864 + 1_025, 32_832, 569_000_000, V1_SOURCE)
    ),
    "mobilenet_v2": Model(
        build_mobilenet_v2, 224, published=Published(3_538_984 + 1_281, 51_168, 301_000_000, V2_SOURCE)
    ),
}
