"""The chain of terms: LayerGraph and Hardware to a Prediction with its interval."""

from __future__ import annotations

from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.core.words import grouped
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import Counts, terms_ms
from paraedge.simulate.placement import Subgraph, place
from paraedge.simulate.regime import outside, regime
from paraedge.simulate.shapes import MIB, known_bytes
from paraedge.simulate.steps import UNTIMED, UNTIMED_OPS, layer_steps
from paraedge.simulate.traffic import output_blocks, weight_fetches


def predict(graph: LayerGraph, hardware: Hardware) -> Prediction:
    """Latency of one invoke of an int8 or uint8 graph, with the batch as it stands in the graph.

    Never raises on a graph that could be read: ops that can't be mapped are placed on the CPU with a reason, and
    what can't be timed is named in `untimed`, the latency then being without these ops and without an interval.
    """
    partition = place(graph, hardware)
    counts = count(graph, partition, hardware)
    terms = terms_ms(counts, hardware.costs)
    latency_ms = sum(terms.values())
    placement = partition.placement
    compiled = partition.instruction_bytes is None
    left_out = untimed(graph, partition)
    name = regime(graph, placement.on_device, bool(partition.streamed)) if placement.on_device else None
    seen = None if name is None or left_out else hardware.residuals.get(name)
    ways = () if name is None or compiled else outside(graph, name, placement, counts, hardware)
    spread = None if seen is None else seen.spread_outside if ways else seen.spread
    upload_ms = placement.on_chip_bytes * hardware.upload_ms_per_mib / MIB
    link_bytes = counts.input_bytes + counts.output_bytes + counts.instruction_bytes + counts.streamed_bytes
    return Prediction(
        device=hardware.name,
        latency_ms=latency_ms,
        low_ms=None if spread is None else latency_ms / spread,
        high_ms=None if spread is None else latency_ms * spread,
        first_ms=latency_ms + upload_ms if placement.on_device and not compiled else None,
        terms=terms,
        placement=placement,
        untimed=left_out,
        regime=name,
        outside=ways,
        instruction_bytes=partition.instruction_bytes,
        link_bytes=None if compiled else round(link_bytes),
    )


def count(graph: LayerGraph, partition: Subgraph, hardware: Hardware) -> Counts:
    """What one invoke of the partition consists of; of a compiled op, whose inside is not read, only its edges."""
    tensors = graph.tensors
    work: dict[str, float] = {}
    if partition.instruction_bytes is not None:
        for index in partition.placement.on_device:
            kind, amount = layer_steps(tensors, graph.layers[index])
            work[kind] = work.get(kind, 0.0) + amount
    streamed = 0
    for index in partition.streamed:
        streamed += partition.layer_bytes[index] * weight_fetches(tensors, graph.layers[index], hardware)
    return Counts(
        **work,
        input_bytes=sum(known_bytes(tensors[i]) for i in partition.inputs),
        instruction_bytes=partition.instruction_bytes or 0,
        output_bytes=sum(known_bytes(tensors[i]) for i in partition.outputs),
        output_blocks=output_blocks(tensors, partition.outputs),
        streamed_bytes=streamed,
        streams=1.0 if streamed else 0.0,
        invokes=1.0 if partition.placement.on_device else 0.0,
    )


def untimed(graph: LayerGraph, partition: Subgraph) -> tuple[str, ...]:
    """What the latency leaves out, grouped by op and reason: `op 3 (CAST): why`, or `CAST x4: why` of several."""
    placement = partition.placement
    found = {index: f"on the CPU, {placement.reasons[index]}" for index in placement.on_cpu}
    for index in placement.on_device:
        if partition.instruction_bytes is None:
            found[index] = "compiled for the Edge TPU; predict the file it was compiled from"
        elif graph.layers[index].op in UNTIMED_OPS:
            found[index] = UNTIMED
    return tuple(grouped((index, graph.layers[index].op, found[index]) for index in sorted(found)))
