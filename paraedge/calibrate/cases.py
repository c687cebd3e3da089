"""What is left out together: a regime of a sweep, a model on every host, or a host."""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.calibrate.row import Row
from paraedge.simulate.constants import Hardware
from paraedge.simulate.placement import Subgraph, place
from paraedge.simulate.regime import regime
from paraedge.simulate.traffic import weight_fetches


def case_of(row: Row, hosts: Mapping[str, Hardware]) -> str:
    """The row's model, or else its regime: placement, layers streamed, and how often their parameters are fetched."""
    if row.case is not None:
        return row.case
    hardware = hosts[row.host]
    partition = place(row.graph, hardware)
    name = regime(row.graph, partition.placement.on_device, bool(partition.streamed))
    if not partition.streamed:
        return name
    layers = len(partition.streamed)
    return f"{name}: {layers} layer{'s' * (layers > 1)}, fetched {_fetches(row, partition, hardware)} times"


def _fetches(row: Row, partition: Subgraph, hardware: Hardware) -> int:
    tensors, layers = row.graph.tensors, row.graph.layers
    return max(weight_fetches(tensors, layers[index], hardware) for index in partition.streamed)
