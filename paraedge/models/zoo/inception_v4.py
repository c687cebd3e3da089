"""Inception v4 (Szegedy et al., arXiv 1602.07261, Figures 3 to 9), laid out as TF-Slim's `inception_v4`.

Batch normalisation is folded into the biases and there is no auxiliary head, as in inference. Ops stand in the order
in which TF-Slim makes them.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT
from paraedge.models.zoo.inception import Blocks, Filter
from paraedge.models.zoo.mobilenet import LOGITS_VARIANCE
from paraedge.models.zoo.model import Model, Published

LEAST_IMAGE = 75
"""Below this side nothing is left after the paddings that the convolutions leave out."""
ROW, COLUMN = (1, 7), (7, 1)

A: list[list[Filter]] = [[(96, 1)], [(64, 1), (96, 3)], [(64, 1), (96, 3), (96, 3)]]
B: list[list[Filter]] = [
    [(384, 1)],
    [(192, 1), (224, ROW), (256, COLUMN)],
    [(192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW)],
]


def build_inception_v4(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's, at least 16."""
    x = _Inception(network, width).features(_Stem(network, width, POOLED_LIMIT).features(x))
    x = network.average_pool(x, x.shape[1], 2, "VALID")
    x = network.reshape(x, (x.shape[0], x.shape[3]))
    return network.softmax(network.dense(x, output, "NONE", LOGITS_VARIANCE))


class _Stem(Blocks):
    """Figure 3, whose convolutions stand beside max pools."""

    def features(self, x: Value) -> Value:
        """To 35 x 35 pixels for an image of 299."""
        x = self.convolution(x, 32, 3, 2, "VALID")
        x = self.convolution(x, 32, 3, 1, "VALID")
        x = self.convolution(x, 64, 3)
        x = self.network.concatenation([self._half(x), self.convolution(x, 96, 3, 2, "VALID")])
        starts: list[list[Filter]] = [[(64, 1)], [(64, 1), (64, ROW), (64, COLUMN)]]
        x = self.network.concatenation([self.convolution(self.chain(x, each), 96, 3, 1, "VALID") for each in starts])
        return self.network.concatenation([self.convolution(x, 192, 3, 2, "VALID"), self._half(x)])

    def _half(self, x: Value) -> Value:
        return self.network.max_pool(x, 3, 2, "VALID")


class _Inception(Blocks):
    """The blocks after the stem."""

    def features(self, x: Value) -> Value:
        """Fourteen blocks and two reductions: 35 x 35, 17 x 17 and 8 x 8 pixels for an image of 299."""
        for _ in range(4):
            x = self.mixed(x, A, 96)
        x = self.reduction(x, [[(384, 3)], [(192, 1), (224, 3), (256, 3)]])
        for _ in range(7):
            x = self.mixed(x, B, 128)
        x = self.reduction(x, [[(192, 1), (192, 3)], [(256, 1), (256, ROW), (320, COLUMN), (320, 3)]])
        for _ in range(3):
            x = self._fanned(x)
        return x

    def _fanned(self, x: Value) -> Value:
        """Figure 6: 3 x 3 convolutions as 1 x 3 beside 3 x 1."""
        parts = [self.convolution(x, 256, 1)]
        starts: list[list[Filter]] = [[(384, 1)], [(384, 1), (448, (3, 1)), (512, (1, 3))]]
        for start in starts:
            y = self.chain(x, start)
            parts.append(self.network.concatenation([self.convolution(y, 256, side) for side in ((1, 3), (3, 1))]))
        return self.network.concatenation([*parts, self.pooled(x, 256)])


MODELS: Mapping[str, Model] = {
    "inception_v4": Model(
        build_inception_v4,
        299,
        1000,
        least_image=LEAST_IMAGE,
        published=Published(
            parameters=42_679_816,
            folded=31_584,
            macs=12_280_000_000,
            source="timm's inception_v4, with TF-Slim's weights; its MACs have two of batch normalisation for each "
            "value of a convolution, 30,178,368 in all",
        ),
    )
}
