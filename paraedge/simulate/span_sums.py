"""Sums over the layers of every span."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from paraedge.core.spans import Times


def within(amounts: npt.NDArray[np.float64]) -> Times:
    """The sum of the layers' amounts in each span [i, j), of whole numbers exactly; 0 where i >= j."""
    sums = np.concatenate([[0.0], np.cumsum(amounts)])
    found: Times = np.triu(sums[None, :] - sums[:, None], 1)
    return found


def in_turn(amounts: npt.NDArray[np.float64]) -> Times:
    """The same, each span added up from its first layer on: what `sum` makes of numbers that aren't whole."""
    layers = len(amounts)
    found: Times = np.zeros((layers + 1, layers + 1))
    found[:layers, 1:] = np.cumsum(np.triu(np.broadcast_to(amounts, (layers, layers))), axis=1)
    return found
