"""Inception-ResNet v2 (Szegedy et al., arXiv 1602.07261, Figures 15 to 19), laid out as Keras' InceptionResNetV2.

Batch normalisation is folded into the biases, and the scaling of a residual (section 3.3) into the convolution before
it. The stem is Inception v3's, as in Keras; the paper's Figure 3 has another. Ops stand in the order in which Keras
makes them.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models import options
from paraedge.models.network import Network, Value
from paraedge.models.scales import After, one_scale
from paraedge.models.zoo.inception import Blocks, Filter
from paraedge.models.zoo.inception_v3 import LEAST_IMAGE, stem
from paraedge.models.zoo.model import Model, Published
from paraedge.models.zoo.resnet import head

SCALE_A, SCALE_B, SCALE_C = 0.17, 0.1, 0.2
"""Of the residuals of each kind of block; the last block of all has 1, and no activation."""
GROWTH = 0.85
"""By how much of E[z^2] ReLU(x + z) of a positive x lets E[x^2] grow."""

A: list[list[Filter]] = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]]
B: list[list[Filter]] = [[(192, 1)], [(128, 1), (160, (1, 7)), (192, (7, 1))]]
C: list[list[Filter]] = [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]]


def build_inception_resnet_v2(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's, at least 16."""
    return head(network, _Residual(network, width).features(x), output)


class _Residual(Blocks):
    """The blocks. All codes end where the ReLUs of convolutions do, so that a reduction can concatenate them."""

    def features(self, x: Value) -> Value:
        """Stem, a mixed block, forty residual ones and a convolution: 35 x 35, 17 x 17, 8 x 8 pixels for 299."""
        x = stem(self, x)
        x = self.mixed(x, [[(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]], 64)
        for _ in range(10):
            x = self._block(x, A, SCALE_A)
        x = self.reduction(x, [[(384, 3)], [(256, 1), (256, 3), (384, 3)]])
        for _ in range(20):
            x = self._block(x, B, SCALE_B)
        x = self.reduction(x, [[(256, 1), (384, 3)], [(256, 1), (288, 3)], [(256, 1), (288, 3), (320, 3)]])
        for _ in range(9):
            x = self._block(x, C, SCALE_C)
        x = self.network.add(self._residual(x, C, 1.0), x)
        return self.convolution(x, 1536, 1)

    def _block(self, x: Value, branches: list[list[Filter]], scale: float) -> Value:
        """ReLU of `x` plus a small residual, in the codes of `x`."""
        small = self._residual(x, branches, scale)
        after = After(x.scale, x.mean_square + GROWTH * small.mean_square, one_scale(x.scale, -128))
        summed = self.network.op("ADD", (x, small), x.shape, options.add("RELU"), after)
        return summed._replace(linear=False)

    def _residual(self, x: Value, branches: list[list[Filter]], scale: float) -> Value:
        """Branches, and a 1 x 1 convolution back to the channels of `x`, which holds the scaling."""
        both = self.network.concatenation([self.chain(x, each) for each in branches])
        return self.network.convolution(both, x.shape[3], 1, activation="NONE", variance=scale * scale)


MODELS: Mapping[str, Model] = {
    "inception_resnet_v2": Model(
        build_inception_resnet_v2,
        299,
        1000,
        least_image=LEAST_IMAGE,
        published=Published(
            parameters=55_873_736,
            folded=60_544,
            macs=13_200_000_000,
            source="parameters: Keras Applications; MACs: Zoph et al., arXiv 1707.07012, Table 2",
        ),
    )
}
