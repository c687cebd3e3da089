"""Fully connected networks, as ParaDnn's (arXiv 1907.10701, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Network
from paraedge.models.params import MOST_LAYERS, check_params, count, counts, either


@dataclass(frozen=True, kw_only=True)
class FcParams(Params):
    """`layer` hidden layers of `node` units, or hidden layers of the given `widths`; `input` and `output` units."""

    input: int = count(default=64)
    layer: int | None = count(default=None, most=MOST_LAYERS)
    node: int | None = count(default=None)
    output: int = count(default=10)
    widths: tuple[int, ...] | None = counts()

    def __post_init__(self) -> None:
        check_params(self)
        either(self, "widths", ("layer", "node"))

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return self.widths if self.widths is not None else (self.node or 0,) * (self.layer or 0)


def build_fc(spec: ModelSpec, params: FcParams) -> LayerGraph:
    """[batch, input] -> Dense(ReLU) for each hidden layer -> Dense(output) without activation, [batch, output]."""
    network = Network(spec)
    x = network.input((spec.batch, params.input))
    for units in params.hidden:
        x = network.dense(x, units, "RELU")
    return network.graph(network.dense(x, params.output, "NONE"))
