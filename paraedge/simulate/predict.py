"""The chain of terms: LayerGraph and Hardware to a Prediction."""

from __future__ import annotations

from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.simulate.compute import UNTIMED_OPS, layer_cycles
from paraedge.simulate.hardware import Hardware
from paraedge.simulate.placement import Partition, place
from paraedge.simulate.shapes import MIB, known_bytes
from paraedge.simulate.traffic import link_ms, return_ms, streamed_ms, weight_fetches


def predict(graph: LayerGraph, hardware: Hardware) -> Prediction:
    """Latency of one invoke of an int8 or uint8 graph, with the batch as it stands in the graph.

    Never raises on a graph that could be read: ops that can't be mapped are placed on the CPU with a reason, and
    what can't be timed is named in `untimed`, the latency then being a lower bound.
    """
    partition = place(graph, hardware)
    tensors = graph.tensors
    placement = partition.placement
    compiled = partition.instruction_bytes is None
    streamed_bytes = 0
    for index in placement.off_chip:
        streamed_bytes += partition.layer_bytes[index] * weight_fetches(tensors, graph.layers[index], hardware)
    input_bytes = sum(known_bytes(tensors[i]) for i in partition.inputs)
    code_bytes = partition.instruction_bytes or 0
    terms = {
        "compute_ms": 0.0 if compiled else compute_ms(graph, placement.on_device, hardware),
        "weights_ms": streamed_ms(streamed_bytes, hardware) + (hardware.stream_setup_ms if streamed_bytes else 0.0),
        "input_ms": link_ms(input_bytes, hardware),
        "output_ms": return_ms(tensors, partition.outputs, hardware),
        "instructions_ms": link_ms(code_bytes, hardware),
        "overhead_ms": hardware.overhead_ms if placement.on_device else 0.0,
        "cpu_ms": 0.0,
    }
    latency_ms = sum(terms.values())
    output_bytes = sum(known_bytes(tensors[i]) for i in partition.outputs)
    upload_ms = placement.on_chip_bytes * hardware.upload_ms_per_mib / MIB
    return Prediction(
        device=hardware.name,
        latency_ms=latency_ms,
        first_ms=latency_ms + upload_ms if placement.on_device and not compiled else None,
        terms=terms,
        placement=placement,
        untimed=untimed(graph, partition),
        instruction_bytes=partition.instruction_bytes,
        link_bytes=None if compiled else input_bytes + output_bytes + code_bytes + streamed_bytes,
    )


def compute_ms(graph: LayerGraph, layers: tuple[int, ...], hardware: Hardware) -> float:
    """Time the array is busy with these layers, one after the other."""
    cycles = 0.0
    for index in layers:
        cycles += layer_cycles(graph.tensors, graph.layers[index], hardware)
    return cycles / (hardware.clock_mhz * 1e3)


def untimed(graph: LayerGraph, partition: Partition) -> tuple[str, ...]:
    """What the latency leaves out, as `3 SOFTMAX: reason`, in the graph's order."""
    placement = partition.placement
    found = {index: f"on the CPU, {placement.reasons[index]}" for index in placement.on_cpu}
    for index in placement.on_device:
        if partition.instruction_bytes is None:
            found[index] = "compiled for the Edge TPU; what is inside is not read yet"
        elif graph.layers[index].op in UNTIMED_OPS:
            found[index] = "mapped, but its compute has no timing model"
    return tuple(f"{index} {graph.layers[index].op}: {found[index]}" for index in sorted(found))
