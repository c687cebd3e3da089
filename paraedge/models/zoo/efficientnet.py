"""EfficientNet-Lite0: EfficientNet-B0 (Tan and Le, arXiv 1905.11946, Table 1) as its authors adapted it to the edge.

Without squeeze and excitation, and with ReLU6 in place of swish. Batch normalisation is folded into the biases.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.zoo.mobilenet import inverted_residual
from paraedge.models.zoo.model import Model, Published
from paraedge.models.zoo.resnet import head

STAGES = (
    (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1), (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)  # fmt: skip
"""Expansion, side of the kernel, filters, blocks and stride of the first block of each stage."""


def build_efficientnet_lite0(network: Network, x: Value, _width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]."""
    x = network.convolution(x, 32, 3, stride=2, activation="RELU6")
    for expansion, kernel, filters, blocks, first_stride in STAGES:
        for index in range(blocks):
            x = inverted_residual(network, x, expansion, filters, 1 if index else first_stride, kernel)
    return head(network, network.convolution(x, 1280, 1, activation="RELU6"), output)


PUBLISHED = Published(4_700_000, 21_008, None, "its authors' table (tensorflow/tpu, efficientnet/lite)")
"""They give 407 M operations, which is more than the multiply-accumulates: 385 M."""

MODELS: Mapping[str, Model] = {
    "efficientnet_lite0": Model(build_efficientnet_lite0, 224, 1000, has_widths=False, published=PUBLISHED),
}
