"""InceptionV3 (Szegedy et al., arXiv 1512.00567), laid out as TF-Slim's `inception_v3`.

Batch normalisation is folded into the biases and there is no auxiliary head, as in inference. Ops stand in the order
in which TF-Slim makes them: the branches of a block one after the other, then their CONCATENATION.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT
from paraedge.models.zoo.inception import Blocks, Filter
from paraedge.models.zoo.mobilenet import classifier
from paraedge.models.zoo.model import Model, Published

LEAST_IMAGE = 75
"""Below this side nothing is left after the paddings that the convolutions leave out."""


def build_inception_v3(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's, at least 16."""
    return classifier(network, _Inception(network, width).features(x), output, stride=2)


def stem(blocks: Blocks, x: Value) -> Value:
    """Convolutions and max pools before the blocks: 35 x 35 pixels for an image of 299."""
    x = blocks.convolution(x, 32, 3, 2, "VALID")
    x = blocks.convolution(x, 32, 3, 1, "VALID")
    x = blocks.convolution(x, 64, 3, limit=POOLED_LIMIT)
    x = blocks.network.max_pool(x, 3, 2, "VALID")
    x = blocks.convolution(x, 80, 1, 1, "VALID")
    x = blocks.convolution(x, 192, 3, 1, "VALID", limit=POOLED_LIMIT)
    return blocks.network.max_pool(x, 3, 2, "VALID")


class _Inception(Blocks):
    """The blocks, with filters scaled by a width."""

    def features(self, x: Value) -> Value:
        """Stem and the eleven blocks: 35 x 35, 17 x 17 and 8 x 8 pixels for an image of 299."""
        x = stem(self, x)
        for pooled in (32, 64, 64):
            x = self.mixed(x, [[(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]], pooled)
        x = self.reduction(x, [[(384, 3)], [(64, 1), (96, 3), (96, 3)]])
        for narrow in (128, 160, 160, 192):
            x = self._factorised(x, narrow)
        x = self.reduction(x, [[(192, 1), (320, 3)], [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)]])
        for _ in range(2):
            x = self._fanned(x)
        return x

    def _factorised(self, x: Value, narrow: int) -> Value:
        """Figure 6: 7 x 7 convolutions as pairs of 1 x 7 and 7 x 1."""
        row, column = (1, 7), (7, 1)
        once: list[Filter] = [(narrow, 1), (narrow, row), (192, column)]
        twice: list[Filter] = [(narrow, 1), (narrow, column), (narrow, row), (narrow, column), (192, row)]
        return self.mixed(x, [[(192, 1)], once, twice], 192)

    def _fanned(self, x: Value) -> Value:
        """Figure 7: 3 x 3 convolutions as 1 x 3 beside 3 x 1."""
        parts = [self.convolution(x, 320, 1)]
        for start in ([(384, 1)], [(448, 1), (384, 3)]):
            y = self.chain(x, start)
            parts.append(self.network.concatenation([self.convolution(y, 384, side) for side in ((1, 3), (3, 1))]))
        return self.network.concatenation([*parts, self.pooled(x, 192)])


MODELS: Mapping[str, Model] = {
    "inception_v3": Model(
        build_inception_v3,
        299,
        least_image=LEAST_IMAGE,
        published=Published(
            parameters=23_851_784 + 2_049,
            folded=34_432,
            macs=5_713_000_000,
            source="parameters: Keras Applications, 23,851,784, and 2,049 of one class more; MACs: torchvision's table",
        ),
    )
}
