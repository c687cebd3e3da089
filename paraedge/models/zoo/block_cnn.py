"""Block-wise convolutional networks, in the manner of Damle and Jayakumar's heterogeneous inference.

What is theirs: a convolution block is two convolutions around a depthwise one, then a max pool; dense blocks follow;
there are three and one, or two and two. The numbers are our own choice, as a starting point to be scaled: 3 x 3
kernels, filters that double from block to block, the units of a dense block, image and classes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT
from paraedge.models.zoo.model import Model
from paraedge.models.zoo.vgg import perceptron

FILTERS = 32
"""Of the first block's convolutions."""
UNITS = 256
"""Of a dense block."""


def _build(network: Network, x: Value, width: int, output: int, *, convolutions: int, dense: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters and units are `width` percent, at least one."""
    for block in range(convolutions):
        filters = max(1, (FILTERS << block) * width // 100)
        x = network.convolution(x, filters, 3, activation="RELU")
        x = network.depthwise(x, 3, activation="RELU")
        x = network.convolution(x, filters, 3, activation="RELU", limit=POOLED_LIMIT)
        x = network.max_pool(x, 2, 2, "VALID", deep=block > 0)
    return perceptron(network, x, [max(1, UNITS * width // 100)] * dense, output)


MODELS: Mapping[str, Model] = {
    "block_cnn_3_1": Model(functools.partial(_build, convolutions=3, dense=1), 64, 10, least_image=8),
    "block_cnn_2_2": Model(functools.partial(_build, convolutions=2, dense=2), 64, 10, least_image=4),
}
