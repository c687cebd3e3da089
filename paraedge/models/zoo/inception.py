"""Blocks: what the Inception networks are built of. Branches stand one after the other, then their CONCATENATION."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from paraedge.models.network import Network, Value
from paraedge.models.options import Padding
from paraedge.models.scales import RELU_LIMIT

LEAST_FILTERS = 16

Filter: TypeAlias = "tuple[int, int | tuple[int, int]]"
"""Filters, and side or (height, width) of the kernel."""


class Blocks:
    """Convolutions with ReLU and branches of them, with filters in percent of the paper's, at least 16.

    Batch normalisation is folded into the biases. `limit` is where a convolution's codes end unless it says
    otherwise; a CONCATENATION, whose inputs must have one scale, wants one limit of them all.
    """

    def __init__(self, network: Network, width: int, limit: float = RELU_LIMIT) -> None:
        self.network = network
        self._width = width
        self._limit = limit

    def convolution(
        self,
        x: Value,
        filters: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: Padding = "SAME",
        limit: float | None = None,
    ) -> Value:
        """CONV_2D with ReLU."""
        scaled, limit = max(LEAST_FILTERS, filters * self._width // 100), limit or self._limit
        return self.network.convolution(
            x, scaled, kernel, stride=stride, padding=padding, activation="RELU", limit=limit
        )

    def chain(self, x: Value, filters: Sequence[Filter]) -> Value:
        """Convolutions one after the other, with stride 1 and same padding."""
        for number, kernel in filters:
            x = self.convolution(x, number, kernel)
        return x

    def mixed(self, x: Value, branches: Sequence[Sequence[Filter]], pooled: int) -> Value:
        """Branches beside an average pool with `pooled` filters."""
        return self.network.concatenation([*(self.chain(x, each) for each in branches), self.pooled(x, pooled)])

    def reduction(self, x: Value, branches: Sequence[Sequence[Filter]]) -> Value:
        """Half the image: the last convolution of each branch, and a max pool, have stride 2 and no padding."""
        parts = []
        for *start, (filters, kernel) in branches:
            parts.append(self.convolution(self.chain(x, start), filters, kernel, 2, "VALID"))
        return self.network.concatenation([*parts, self.network.max_pool(x, 3, 2, "VALID")])

    def pooled(self, x: Value, filters: int) -> Value:
        """A 1 x 1 convolution after an average pool of 3 x 3."""
        return self.convolution(self.network.average_pool(x, 3, 1), filters, 1)
