"""Residual and bottleneck networks, as ParaDnn's (arXiv 1907.10701, section 2.1), in the layout of ResNet v1.

The layout is that of Keras' ResNet50 (He et al., arXiv 1512.03385, Table 1), batch normalisation folded into the
biases: a 7 x 7 convolution with stride 2 and a 3 x 3 max pool with stride 2; four groups, filters doubling from one
to the next; a projection shortcut in each group's first block, which has stride 2 but for the first group; global
average pool; FULLY_CONNECTED. A bottleneck's first 1 x 1 convolution has the stride, and its last one four times the
filters. The one liberty: the stem has same padding where Keras pads by 3, which is the same shape for even images.
"""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Network, Value
from paraedge.models.params import check_params, choice, count, counts, either
from paraedge.models.scales import POOLED_LIMIT

EXPANSION = 4
"""Filters of a bottleneck's last convolution, in multiples of its others'."""
MOST_BLOCKS = 1000
MOST_FILTERS = 2**14
"""So that a bottleneck's 32-fold in the last group is still a possible channel count."""


@dataclass(frozen=True, kw_only=True)
class CnnParams(Params):
    """`kind` residual or bottleneck; `block` blocks in each of the four groups, or four numbers in `blocks`.

    `filter`: filters of the stem and of the first group. `image`: side of the input. `output`: classes.
    """

    kind: str = choice(default="residual", among=("residual", "bottleneck"))
    block: int | None = count(default=None, most=MOST_BLOCKS)
    filter: int = count(default=64, most=MOST_FILTERS)
    image: int = count(default=224)
    output: int = count(default=1000)
    blocks: tuple[int, ...] | None = counts(length=4, most=MOST_BLOCKS)

    def __post_init__(self) -> None:
        check_params(self)
        either(self, "blocks", ("block",))

    @property
    def groups(self) -> tuple[int, ...]:
        """Blocks of each group."""
        return self.blocks if self.blocks is not None else (self.block or 0,) * 4


def build_cnn(spec: ModelSpec, params: CnnParams) -> LayerGraph:
    """[batch, image, image, 3] -> [batch, output]."""
    network = Network(spec)
    block = bottleneck if params.kind == "bottleneck" else _residual
    x = network.input((spec.batch, params.image, params.image, 3))
    x = network.convolution(x, params.filter, 7, stride=2, activation="RELU", limit=POOLED_LIMIT)
    x = network.max_pool(x, 3, 2)
    for group, number in enumerate(params.groups):
        for index in range(number):
            stride = 2 if group > 0 and index == 0 else 1
            x = block(network, x, params.filter << group, stride, first=index == 0)
    return network.graph(network.dense(network.image_mean(x), params.output, "NONE"))


def _residual(network: Network, x: Value, filters: int, stride: int, *, first: bool) -> Value:
    shortcut = network.convolution(x, filters, 1, stride=stride, activation="NONE") if first else x
    y = network.convolution(x, filters, 3, stride=stride, activation="RELU")
    y = network.convolution(y, filters, 3, activation="NONE")
    return network.add_relu(y, shortcut)


def bottleneck(network: Network, x: Value, filters: int, stride: int, *, first: bool) -> Value:
    """A block of ResNet-50 v1; the `first` of a group has a projection shortcut."""
    wide = EXPANSION * filters
    shortcut = network.convolution(x, wide, 1, stride=stride, activation="NONE") if first else x
    y = network.convolution(x, filters, 1, stride=stride, activation="RELU")
    y = network.convolution(y, filters, 3, activation="RELU")
    y = network.convolution(y, wide, 1, activation="NONE")
    return network.add_relu(y, shortcut)
