"""Vision transformers (Dosovitskiy et al., arXiv 2010.11929, Table 1): ViT-Base, -Large and -Huge.

With the heads of fewer or more percent they are other published ones: ViT-Base of 25 and 50 percent has the shape of
DeiT-Ti and DeiT-S (Touvron et al., arXiv 2012.12877, Table 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from paraedge.models.network import Value
from paraedge.models.transformer import TransformerNetwork
from paraedge.models.zoo.mobilenet import LOGITS_VARIANCE
from paraedge.models.zoo.model import Model, Published

MLP_RATIO = 4
"""Units of an MLP in parts of a token's depth."""


class Shape(NamedTuple):
    """Encoder blocks, heads of each attention, depth of a head, side of a patch."""

    blocks: int
    heads: int
    head: int
    patch: int


BASE, LARGE, HUGE = Shape(12, 12, 64, 16), Shape(24, 16, 64, 16), Shape(32, 16, 80, 14)


def build_vit_base(network: TransformerNetwork, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; heads are `width` percent of the paper's, at least one."""
    return _build(network, x, BASE, width, output)


def build_vit_large(network: TransformerNetwork, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; heads are `width` percent of the paper's, at least one."""
    return _build(network, x, LARGE, width, output)


def build_vit_huge(network: TransformerNetwork, x: Value, width: int, output: int) -> Value:
    """[batch, image, image, 3] -> [batch, output]; heads are `width` percent of the paper's, at least one."""
    return _build(network, x, HUGE, width, output)


def _build(network: TransformerNetwork, x: Value, shape: Shape, width: int, output: int) -> Value:
    heads = max(1, shape.heads * width // 100)
    depth = heads * shape.head
    x = network.convolution(x, depth, shape.patch, stride=shape.patch, padding="VALID", activation="NONE")
    x = network.embedding(x)
    for _ in range(shape.blocks):
        seen = network.attention(network.layer_norm(x), heads)
        x = network.add(network.token_dense(seen, depth), x)
        hidden = network.gelu(network.token_dense(network.layer_norm(x), MLP_RATIO * depth))
        x = network.add(network.token_dense(hidden, depth), x)
    return network.softmax(network.head(network.layer_norm(x), output, variance=LOGITS_VARIANCE))


SOURCE = "torchvision's table"

MODELS: Mapping[str, Model] = {
    "vit_base": Model(
        build_vit_base, 224, 1000, patch=BASE.patch, published=Published(86_567_656, 0, 17_564_000_000, SOURCE)
    ),
    "vit_large": Model(
        build_vit_large, 224, 1000, patch=LARGE.patch, published=Published(304_326_632, 0, 61_555_000_000, SOURCE)
    ),
    "vit_huge": Model(
        build_vit_huge, 224, 1000, patch=HUGE.patch, published=Published(632_045_800, 0, 167_295_000_000, SOURCE)
    ),
}
