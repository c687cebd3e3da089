"""Encoder of the base Transformer (Vaswani et al., arXiv 1706.03762, sections 3.1 to 3.3, Table 3).

Six layers of eight heads, with a normalisation after each part (post-norm) and ReLU. It starts where tokens are
embedded and have their positions: a GATHER in front would be the only op of int32. Projections have biases, as in
`torch.nn.TransformerEncoder`.
"""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.network import Value
from paraedge.models.transformer import TransformerNetwork
from paraedge.models.zoo.model import Model, Published

LAYERS, HEADS, DEPTH, HIDDEN = 6, 8, 512, 2048
"""N, h, d_model and d_ff of the paper's base model."""
TOKENS = 128
"""The paper has no fixed number."""
BRANCH_VARIANCE = 0.25
"""Of what a part adds to its input. With 1 as the input's own, random tokens are all alike after six layers."""


def build_transformer_base(network: TransformerNetwork, x: Value, _width: int, _output: int) -> Value:
    """[batch, tokens, 512] -> [batch, tokens, 512]."""
    for _ in range(LAYERS):
        seen = network.token_dense(network.attention(x, HEADS), DEPTH, variance=BRANCH_VARIANCE)
        x = network.layer_norm(network.add(seen, x))
        hidden = network.token_dense(x, HIDDEN, "RELU")
        x = network.layer_norm(network.add(network.token_dense(hidden, DEPTH, variance=BRANCH_VARIANCE), x))
    return x


def _embedded(batch: int, tokens: int) -> tuple[int, ...]:
    return (batch, tokens, DEPTH)


MODELS: Mapping[str, Model] = {
    "transformer_base": Model(
        build_transformer_base,
        TOKENS,
        0,
        has_widths=False,
        published=Published(
            parameters=18_914_304,
            folded=0,
            macs=None,
            source="torch.nn.TransformerEncoder of the paper's sizes",
        ),
        input=_embedded,
    )
}
