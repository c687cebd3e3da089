"""What every run of consecutive layers of a graph costs one device: the table that cuts are chosen from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Times: TypeAlias = npt.NDArray[np.float64]
    Sizes: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spans:
    """Costs of one input on layers [i, j) of a graph of n layers: element [i, j] of arrays of shape (n + 1, n + 1).

    Only i < j means anything. busy_ms: how long the device is busy with an input: receive, compute and send in turn or,
    where the device overlaps them, the longest; inf where the span can't run there. low_ms, high_ms: interval of
    busy_ms, NaN where unknown. input_bytes, output_bytes: activations that enter and leave. link_bytes: all that
    crosses the device's link. on_chip_bytes, off_chip_bytes: parameters cached and streamed, -1 where the device
    doesn't tell them apart.
    """

    receive_ms: Times
    compute_ms: Times
    send_ms: Times
    busy_ms: Times
    low_ms: Times
    high_ms: Times
    input_bytes: Sizes
    output_bytes: Sizes
    link_bytes: Sizes
    on_chip_bytes: Sizes
    off_chip_bytes: Sizes

    @property
    def layers(self) -> int:
        """N."""
        return int(self.busy_ms.shape[0]) - 1
