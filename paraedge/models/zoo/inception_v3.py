"""InceptionV3 (Szegedy et al., arXiv 1512.00567), laid out as TF-Slim's `inception_v3`.

Batch normalisation is folded into the biases and there is no auxiliary head, as in inference. Ops stand in the order
in which TF-Slim makes them: the branches of a block one after the other, then their CONCATENATION.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from paraedge.models.network import Network, Value
from paraedge.models.options import Padding
from paraedge.models.scales import POOLED_LIMIT, RELU_LIMIT
from paraedge.models.zoo.mobilenet import classifier
from paraedge.models.zoo.model import Model

LEAST_IMAGE = 75
"""Below this side nothing is left after the paddings that the convolutions leave out."""
LEAST_FILTERS = 16

Filter: TypeAlias = "tuple[int, int | tuple[int, int]]"
"""Filters, and side or (height, width) of the kernel."""


def build_inception_v3(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's, at least 16."""
    return classifier(network, _Inception(network, width).features(x), output, stride=2)


class _Inception:
    """The blocks, with filters scaled by a width."""

    def __init__(self, network: Network, width: int) -> None:
        self._network = network
        self._width = width

    def features(self, x: Value) -> Value:
        """Stem and the eleven blocks: 35 x 35, 17 x 17 and 8 x 8 pixels for an image of 299."""
        x = self._convolution(x, 32, 3, 2, "VALID")
        x = self._convolution(x, 32, 3, 1, "VALID")
        x = self._convolution(x, 64, 3, limit=POOLED_LIMIT)
        x = self._network.max_pool(x, 3, 2, "VALID")
        x = self._convolution(x, 80, 1, 1, "VALID")
        x = self._convolution(x, 192, 3, 1, "VALID", limit=POOLED_LIMIT)
        x = self._network.max_pool(x, 3, 2, "VALID")
        for pooled in (32, 64, 64):
            x = self._block(x, [[(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]], pooled)
        x = self._reduction(x, [[(384, 3)], [(64, 1), (96, 3), (96, 3)]])
        for narrow in (128, 160, 160, 192):
            x = self._factorised(x, narrow)
        x = self._reduction(x, [[(192, 1), (320, 3)], [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)]])
        for _ in range(2):
            x = self._fanned(x)
        return x

    def _block(self, x: Value, branches: Sequence[Sequence[Filter]], pooled: int) -> Value:
        """Figure 5: branches beside an average pool with `pooled` filters."""
        return self._network.concatenation([*(self._chain(x, branch) for branch in branches), self._pooled(x, pooled)])

    def _factorised(self, x: Value, narrow: int) -> Value:
        """Figure 6: 7 x 7 convolutions as pairs of 1 x 7 and 7 x 1."""
        row, column = (1, 7), (7, 1)
        once: list[Filter] = [(narrow, 1), (narrow, row), (192, column)]
        twice: list[Filter] = [(narrow, 1), (narrow, column), (narrow, row), (narrow, column), (192, row)]
        return self._block(x, [[(192, 1)], once, twice], 192)

    def _fanned(self, x: Value) -> Value:
        """Figure 7: 3 x 3 convolutions as 1 x 3 beside 3 x 1."""
        parts = [self._convolution(x, 320, 1)]
        for start in ([(384, 1)], [(448, 1), (384, 3)]):
            y = self._chain(x, start)
            parts.append(self._network.concatenation([self._convolution(y, 384, side) for side in ((1, 3), (3, 1))]))
        return self._network.concatenation([*parts, self._pooled(x, 192)])

    def _reduction(self, x: Value, branches: Sequence[Sequence[Filter]]) -> Value:
        """Half the image: the last convolution of each branch, and a max pool, have stride 2 and no padding."""
        parts = []
        for *start, (filters, kernel) in branches:
            parts.append(self._convolution(self._chain(x, start), filters, kernel, 2, "VALID"))
        return self._network.concatenation([*parts, self._network.max_pool(x, 3, 2, "VALID")])

    def _chain(self, x: Value, filters: Sequence[Filter]) -> Value:
        for number, kernel in filters:
            x = self._convolution(x, number, kernel)
        return x

    def _pooled(self, x: Value, filters: int) -> Value:
        return self._convolution(self._network.average_pool(x, 3, 1), filters, 1)

    def _convolution(
        self,
        x: Value,
        filters: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: Padding = "SAME",
        limit: float = RELU_LIMIT,
    ) -> Value:
        scaled = max(LEAST_FILTERS, filters * self._width // 100)
        return self._network.convolution(
            x, scaled, kernel, stride=stride, padding=padding, activation="RELU", limit=limit
        )


MODELS: Mapping[str, Model] = {"inception_v3": Model(build_inception_v3, 299, least_image=LEAST_IMAGE)}
