"""A measured row: a network, where it ran, how long it took, and what the compiler said of its memory."""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.graph import LayerGraph


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published or own measurement of a network that could be rebuilt.

    source: table and line. name: for people. host: whose latency it is, a device's name or a label. latency_ms: None
    where the row tells only bytes. on_chip_mib, off_chip_mib: the compiler's, None where not told. case: what is left
    out together with it (a model's name); None where the regime decides. size: orders the rows of a series for
    interpolation. series: rows that differ in size only.
    """

    source: str
    name: str
    host: str
    graph: LayerGraph
    latency_ms: float | None
    on_chip_mib: float | None = None
    off_chip_mib: float | None = None
    case: str | None = None
    series: str
    size: float


@dataclass(frozen=True, kw_only=True)
class PipelineRow:
    """One published measurement of two devices in a row: a network cut before layer `cut`, `batch` inputs at once.

    kind, size: of the sweep's network. segmentation: who chose the cut. input_ms: time of the batch over its inputs.
    on_chip_mib, off_chip_mib: the compiler's, of each segment.
    """

    source: str
    kind: str
    size: int
    segmentation: str
    batch: int
    graph: LayerGraph
    cut: int
    input_ms: float
    on_chip_mib: tuple[float, ...]
    off_chip_mib: tuple[float, ...]
