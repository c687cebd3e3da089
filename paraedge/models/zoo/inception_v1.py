"""Inception v1, or GoogLeNet (Szegedy et al., arXiv 1409.4842, Table 1), laid out as TF-Slim's `inception_v1`.

That layout, which torchvision's `googlenet` was taken from, has batch normalisation, here folded into the biases, and
3 x 3 convolutions where the paper has 5 x 5. There are no auxiliary heads, as in inference. Ops stand in the order in
which TF-Slim makes them.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Network, Value
from paraedge.models.scales import POOLED_LIMIT
from paraedge.models.zoo.inception import Blocks
from paraedge.models.zoo.mobilenet import classifier
from paraedge.models.zoo.model import Model, Published

GROUPS = (
    (3, ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))),
    (3, ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
         (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128))),
    (2, ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))),
)  # fmt: skip
"""Side of the max pool before each group of blocks, and of each block: the filters of its 1 x 1 branch, of its two
branches of 1 x 1 and 3 x 3, and of the 1 x 1 after its max pool."""
POOL_GROWTH = 1.45
"""By how much a max pool lets E[x^2] grow, in random networks: after the first one, neighbours are alike."""


def build_inception_v1(network: Network, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; filters are `width` percent of the paper's, at least 16."""
    return classifier(network, _Inception(network, width, POOLED_LIMIT).features(x), output, stride=1)


class _Inception(Blocks):
    """The blocks. A max pool reads every one, and another one the pool, so that the codes end far out."""

    def features(self, x: Value) -> Value:
        """Stem and the nine blocks: 28 x 28, 14 x 14 and 7 x 7 pixels for an image of 224."""
        x = self.convolution(x, 64, 7, 2)
        x = self.network.max_pool(x, 3, 2)
        x = self.chain(x, [(64, 1), (192, 3)])
        for size, blocks in GROUPS:
            x = self._pool(x, size, 2)
            for filters in blocks:
                x = self._block(x, filters)
        return x

    def _block(self, x: Value, filters: tuple[int, ...]) -> Value:
        """Figure 2 b: 1 x 1, two branches of 1 x 1 and 3 x 3, and a max pool with 1 x 1."""
        alone, narrow, wide, narrower, other, pooled = filters
        branches = [[(alone, 1)], [(narrow, 1), (wide, 3)], [(narrower, 1), (other, 3)]]
        parts = [self.chain(x, branch) for branch in branches]
        return self.network.concatenation([*parts, self.convolution(self._pool(x, 3, 1), pooled, 1)])

    def _pool(self, x: Value, size: int, stride: int) -> Value:
        return self.network.max_pool(x, size, stride)._replace(mean_square=POOL_GROWTH * x.mean_square)


MODELS: Mapping[str, Model] = {
    "inception_v1": Model(
        build_inception_v1,
        224,
        1000,
        published=Published(
            parameters=6_624_904,
            folded=7_280,
            macs=1_498_000_000,
            source="torchvision's table, its googlenet being TF-Slim's inception_v1",
        ),
    )
}
