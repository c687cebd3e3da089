"""Which layers run on the device, and whose parameters stay in its cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paraedge.core.graph import Layer, LayerGraph, Tensor
from paraedge.core.outcome import Placement
from paraedge.simulate.hardware import Hardware
from paraedge.simulate.mappable import EDGETPU_OP, check_mappable
from paraedge.simulate.parameters import parameter_bytes
from paraedge.simulate.shapes import known_bytes
from paraedge.simulate.traffic import instruction_bytes


@dataclass(frozen=True, kw_only=True)
class Partition:
    """The run of layers on the device: the placement, what crosses its edge, and its instructions' bytes.

    inputs, outputs: tensor ids that enter and leave. layer_bytes: padded parameter bytes by layer index.
    instruction_bytes is None for a compiled op, whose inside is not read.
    """

    placement: Placement
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layer_bytes: Mapping[int, int]
    instruction_bytes: int | None


def place(graph: LayerGraph, hardware: Hardware) -> Partition:
    """Estimate what the compiler would do: the first run of mappable ops, whole layers cached in topological order.

    A layer larger than what is left of the cache is streamed; a later, smaller one may still fit.
    """
    reasons = check_mappable(graph)
    compiled = _compiled_op(graph.layers, reasons)
    start, stop = (compiled, compiled + 1) if compiled is not None else first_run(len(graph.layers), reasons)
    if compiled is None:
        for index in (*range(start), *range(stop, len(graph.layers))):
            reasons.setdefault(index, f"more than one subgraph is not supported; the first ends before op {stop}")
    else:
        del reasons[compiled]
        for index in range(len(graph.layers)):
            if index != compiled:
                reasons.setdefault(index, "left on the CPU when the file was compiled")
    run = graph.layers[start:stop]
    inputs, outputs = partition_edges(graph, start, stop)
    code_bytes = None if compiled is not None else instruction_bytes(graph.tensors, run, hardware)
    layer_bytes = {} if compiled is not None else _layer_bytes(graph.tensors, run, start)
    room = cache_bytes(graph.tensors, run, code_bytes, hardware) if code_bytes is not None else 0.0
    on_chip, off_chip = greedy(layer_bytes, room)
    placement = Placement(
        source="estimated",
        on_device=tuple(range(start, stop)),
        on_cpu=(*range(start), *range(stop, len(graph.layers))),
        on_chip=on_chip,
        off_chip=off_chip,
        on_chip_bytes=sum(layer_bytes[i] for i in on_chip),
        off_chip_bytes=sum(layer_bytes[i] for i in off_chip),
        reasons=reasons,
    )
    return Partition(
        placement=placement, inputs=inputs, outputs=outputs, layer_bytes=layer_bytes, instruction_bytes=code_bytes
    )


def first_run(layers: int, reasons: Mapping[int, str]) -> tuple[int, int]:
    """[start, stop) of the first run of layers without a reason; empty at the end where there is none."""
    start = 0
    while start < layers and start in reasons:
        start += 1
    stop = start
    while stop < layers and stop not in reasons:
        stop += 1
    return start, stop


def greedy(layer_bytes: Mapping[int, int], room_bytes: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Layers that are cached and layers that are streamed, in order."""
    cached: list[int] = []
    streamed: list[int] = []
    for index, size in layer_bytes.items():
        if size <= room_bytes:
            cached.append(index)
            room_bytes -= size
        else:
            streamed.append(index)
    return tuple(cached), tuple(streamed)


def cache_bytes(tensors: Sequence[Tensor], run: Sequence[Layer], code_bytes: int, hardware: Hardware) -> float:
    """Room for parameters: the wide memory less instructions and the activations that outgrow the narrow memory."""
    largest = 0
    for layer in run:
        held = 0
        for tensor_id in (*layer.inputs, *layer.outputs):
            if tensor_id >= 0 and tensors[tensor_id].weights is None:
                held += known_bytes(tensors[tensor_id])
        largest = max(largest, held)
    return max(0.0, hardware.wide_memory_bytes - code_bytes - max(0.0, largest - hardware.narrow_memory_bytes))


def partition_edges(graph: LayerGraph, start: int, stop: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tensor ids that enter and that leave the layers [start, stop), each once, in order."""
    made: dict[int, None] = {}
    entering: dict[int, None] = {}
    for layer in graph.layers[start:stop]:
        for tensor_id in layer.inputs:
            is_there = 0 <= tensor_id < len(graph.tensors)
            if is_there and tensor_id not in made and graph.tensors[tensor_id].weights is None:
                entering[tensor_id] = None
        for tensor_id in layer.outputs:
            made[tensor_id] = None
    wanted = set(graph.outputs)
    for layer in graph.layers[stop:]:
        wanted.update(layer.inputs)
    leaving = tuple(i for i in made if i in wanted and 0 <= i < len(graph.tensors))
    return tuple(entering), leaving


def _layer_bytes(tensors: Sequence[Tensor], run: Sequence[Layer], start: int) -> dict[int, int]:
    sizes = ((start + i, parameter_bytes(tensors, layer)) for i, layer in enumerate(run))
    return {index: size for index, size in sizes if size > 0}


def _compiled_op(layers: Sequence[Layer], reasons: Mapping[int, str]) -> int | None:
    for index in reasons:
        if layers[index].op == "CUSTOM" and layers[index].custom_code == EDGETPU_OP:
            return index
    return None
