"""Which layers run on the device, and whose parameters stay in its cache."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from paraedge.core.cut import edges
from paraedge.core.graph import EDGETPU_OP, Layer, LayerGraph, Tensor
from paraedge.core.outcome import Placement
from paraedge.simulate.constants import Hardware
from paraedge.simulate.mappable import check_mappable
from paraedge.simulate.parameters import earlier_users, parameter_bytes
from paraedge.simulate.shapes import known_bytes
from paraedge.simulate.traffic import instruction_bytes


@dataclass(frozen=True, kw_only=True)
class Subgraph:
    """The run of layers on the device: the placement, what crosses its edge, and its instructions' bytes.

    cached, streamed: layers with parameters, divided. inputs, outputs: tensor ids that enter and leave. layer_bytes:
    padded parameter bytes by layer index; stored_bytes: without those of layers that share an earlier one's.
    instruction_bytes is None for a compiled op, whose inside is not read.
    """

    placement: Placement
    cached: tuple[int, ...]
    streamed: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layer_bytes: Mapping[int, int]
    stored_bytes: Mapping[int, int]
    instruction_bytes: int | None


def place(graph: LayerGraph, hardware: Hardware) -> Subgraph:
    """Estimate what the compiler would do: one partition of mappable ops, whole layers cached in topological order.

    A layer larger than what is left of the cache is streamed; a later, smaller one may still fit. Layers that share
    their parameters are cached or streamed together, and stored once.
    """
    reasons = check_mappable(graph)
    compiled = compiled_op(graph.layers, reasons)
    chosen = partition_of(graph, reasons) if compiled is None else (compiled,)
    outside = _outside(len(graph.layers), chosen, reasons, compiled is not None)
    run = [graph.layers[index] for index in chosen]
    inputs, outputs = edges(graph, chosen)
    code_bytes = None if compiled is not None else instruction_bytes(graph.tensors, run, hardware)
    layer_bytes = {} if compiled is not None else _layer_bytes(graph.tensors, run, chosen)
    input_bytes = sum(known_bytes(graph.tensors[i]) for i in inputs)
    room = cache_bytes(code_bytes, input_bytes, hardware) if code_bytes is not None else 0.0
    owners = _owners(graph.tensors, run, chosen)
    stored_bytes = {index: size for index, size in layer_bytes.items() if owners[index] == index}
    on_chip, off_chip = _together(layer_bytes, owners, greedy(stored_bytes, room)[0])
    placement = Placement(
        source="estimated",
        on_device=chosen,
        on_cpu=outside,
        on_chip=on_chip,
        off_chip=off_chip,
        on_chip_bytes=sum(stored_bytes.get(i, 0) for i in on_chip),
        off_chip_bytes=sum(stored_bytes.get(i, 0) for i in off_chip),
        reasons=reasons,
    )
    return Subgraph(
        placement=placement,
        cached=on_chip,
        streamed=off_chip,
        inputs=inputs,
        outputs=outputs,
        layer_bytes=layer_bytes,
        stored_bytes=stored_bytes,
        instruction_bytes=code_bytes,
    )


def _outside(layers: int, chosen: Sequence[int], reasons: dict[int, str], is_compiled: bool) -> tuple[int, ...]:
    """The layers on the CPU; those that had no reason yet get one, and those that were chosen have none."""
    inside = set(chosen)
    for index in inside & reasons.keys():
        del reasons[index]
    why = "more than one subgraph is not supported, and it waits for an op on the CPU"
    outside = tuple(index for index in range(layers) if index not in inside)
    for index in outside:
        reasons.setdefault(index, "left on the CPU when the file was compiled" if is_compiled else why)
    return outside


def partition_of(graph: LayerGraph, reasons: Mapping[int, str]) -> tuple[int, ...]:
    """The layers that go on the device, in order: one subgraph, after as many ops on the CPU as can run before it.

    Every mappable op that needs nothing but the graph's inputs, ops that can't be mapped and wait for none, and other
    ops of the partition. Found to be what the compiler does: it gives the ops on the CPU of all nine compiled models
    whose originals are published.
    """
    if not reasons:
        return tuple(range(len(graph.layers)))
    before = _ready(graph, set(), [index for index in range(len(graph.layers)) if index in reasons])
    return tuple(_ready(graph, before, [index for index in range(len(graph.layers)) if index not in reasons]))


def _ready(graph: LayerGraph, done: Collection[int], candidates: Sequence[int]) -> list[int]:
    """Those candidates, in topological order, that need only what is given, what `done` makes and each other."""
    missing = {i for layer in graph.layers for i in layer.outputs}
    missing.difference_update(*(graph.layers[index].outputs for index in done))
    found = []
    for index in candidates:
        if missing.isdisjoint(graph.layers[index].inputs):
            found.append(index)
            missing.difference_update(graph.layers[index].outputs)
    return found


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


def cache_bytes(code_bytes: int, input_bytes: int, hardware: Hardware) -> float:
    """Room for parameters: the wide memory less instructions, and less what the input has beyond its room."""
    return max(0.0, hardware.wide_memory_bytes - code_bytes - max(0.0, input_bytes - hardware.input_room_bytes))


def _layer_bytes(tensors: Sequence[Tensor], run: Sequence[Layer], indices: Sequence[int]) -> dict[int, int]:
    sizes = ((index, parameter_bytes(tensors, layer)) for index, layer in zip(indices, run, strict=True))
    return {index: size for index, size in sizes if size > 0}


def _owners(tensors: Sequence[Tensor], run: Sequence[Layer], indices: Sequence[int]) -> dict[int, int]:
    """Index of each layer -> that of the first one with the very same constants, perhaps itself."""
    earlier = earlier_users(tensors, zip(indices, run, strict=True))
    owners: dict[int, int] = {}
    for index in indices:
        owners[index] = owners[earlier[index]] if index in earlier else index
    return owners


def _together(
    layers: Iterable[int], owners: Mapping[int, int], cached: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Layers whose owner is cached, and all others."""
    kept = frozenset(cached)
    return tuple(i for i in layers if owners[i] in kept), tuple(i for i in layers if owners[i] not in kept)


def compiled_op(layers: Sequence[Layer], reasons: Mapping[int, str]) -> int | None:
    """The first op that was compiled for the Edge TPU, or None."""
    for index in reasons:
        if layers[index].op == "CUSTOM" and layers[index].custom_code == EDGETPU_OP:
            return index
    return None
