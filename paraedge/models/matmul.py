"""One matrix product: the smallest thing that an accelerator's matrix unit is measured with."""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Network
from paraedge.models.params import check_params, count


@dataclass(frozen=True, kw_only=True)
class MatmulParams(Params):
    """`n`: rows and columns of the weights."""

    n: int = count()

    def __post_init__(self) -> None:
        check_params(self)


def build_matmul(spec: ModelSpec, params: MatmulParams) -> LayerGraph:
    """[batch, n] times n x n plus bias: one FULLY_CONNECTED without activation, [batch, n]."""
    network = Network(spec)
    return network.graph(network.dense(network.input((spec.batch, params.n)), params.n, "NONE"))
