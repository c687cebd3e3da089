"""Costs of hosts with a speed and a memory, against the graph taken apart layer by layer."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.cut import edges
from paraedge.core.errors import BadInput
from paraedge.core.graph import Layer, LayerGraph, SeededWeights, Tensor
from paraedge.simulate import load_hardware, predict, spans
from paraedge.simulate.host_spans import HostCosts
from paraedge.simulate.hosts import Bus, Host

WEIGHTS = SeededWeights(seed=0, stream=0, bound=1)
HOST = Host(name="h", count=1, gmacs_per_s=2, memory_mib=1, layer_ms=0.5, link_mbit_per_s=8, link_ms=3)


def random_graph(seed: int) -> LayerGraph:
    """Layers that read any earlier values, and parameters of their own or of others."""
    draw = random.Random(seed)
    tensors = [Tensor(name="x", shape=(draw.randint(1, 9),), dtype="int8")]
    layers: list[Layer] = []
    values, parameters = [0], list[int]()

    def add(weights: SeededWeights | None = None) -> int:
        tensors.append(Tensor(name="t", shape=(draw.randint(1, 9),), dtype="int8", weights=weights))
        return len(tensors) - 1

    for _ in range(draw.randint(1, 8)):
        inputs = [draw.choice(values) for _ in range(draw.randint(1, 3))]
        if draw.random() < 0.5:
            parameters += [] if parameters and draw.random() < 0.4 else [add(WEIGHTS)]
            inputs.append(draw.choice(parameters))
        outputs = [add() for _ in range(draw.randint(1, 2))]
        values += outputs
        layers.append(Layer(op="ADD", inputs=tuple(inputs), outputs=tuple(outputs), options={}))
    outputs = draw.sample(values[1:], draw.randint(1, min(3, len(values) - 1)))
    return LayerGraph(name="random", tensors=tuple(tensors), layers=tuple(layers), inputs=(0,), outputs=tuple(outputs))


def total(graph: LayerGraph, tensors: Iterable[int]) -> int:
    return sum(graph.tensors[i].size_bytes or 0 for i in tensors)


def read_from(graph: LayerGraph, first: int) -> set[int]:
    return {i for layer in graph.layers[first:] for i in layer.inputs}


@given(st.integers(0, 10**6))
def test_bytes_are_those_of_each_span_taken_apart(seed: int) -> None:
    graph = random_graph(seed)
    costs, layers = HostCosts(graph), range(len(graph.layers))
    found = costs.spans(HOST)
    made = {i: k for k, layer in enumerate(graph.layers) for i in layer.outputs}
    values = [i for i, tensor in enumerate(graph.tensors) if tensor.weights is None]
    live = [
        [
            i
            for i in values
            if made.get(i, -1) <= k and (i in read_from(graph, k) or i in graph.outputs or made.get(i) == k)
        ]
        for k in layers
    ]
    for first in layers:
        for end in range(first + 1, len(layers) + 1):
            held = {i for k in range(first, end) for i in graph.layers[k].inputs if graph.tensors[i].weights}
            most = max(total(graph, live[k]) for k in range(first, end))
            assert costs.needed_bytes[first, end] == total(graph, held) + most
            entering, leaving = edges(graph, range(first, end))
            assert found.input_bytes[first, end] == total(graph, entering)
            assert found.output_bytes[first, end] == total(graph, leaving)
    for at in layers[1:]:
        needed = read_from(graph, at) | set(graph.outputs)  # the last host keeps the outputs
        crossing = [i for i in values if made.get(i, -1) < at and i in needed]
        assert costs.boundary_bytes[at] == total(graph, crossing)
        assert costs.handover_ms(HOST, HOST)[at] == pytest.approx(3 + total(graph, crossing) * 8 / 8e3)


def test_time_is_macs_by_the_rate_and_a_cost_a_layer(dense_chain) -> None:  # type: ignore[no-untyped-def]
    graph = dense_chain(1000, 500, 200, 10)
    found = HostCosts(graph).spans(HOST)
    macs = [1000 * 500, 500 * 200, 200 * 10]
    for first in range(3):
        for end in range(first + 1, 4):
            assert found.busy_ms[first, end] == pytest.approx(sum(macs[first:end]) / 2e6 + 0.5 * (end - first))
    assert found.receive_ms[0, 3] == found.send_ms[0, 3] == 0


def test_ops_that_take_no_time_are_refused() -> None:
    graph = LayerGraph(
        name="pool",
        tensors=tuple(Tensor(name=name, shape=(1, 4, 4, 8), dtype="int8") for name in "xy"),
        layers=(Layer(op="MAX_POOL_2D", inputs=(0,), outputs=(1,), options={}),),
        inputs=(0,),
        outputs=(1,),
    )
    assert HostCosts(graph).spans(HOST).busy_ms[0, 1] == 0.5
    with pytest.raises(BadInput, match=r"the ops of pool have no MACs that are known.*give the host a layer_ms"):
        HostCosts(graph).spans(dataclasses.replace(HOST, layer_ms=0.0))


def test_what_does_not_fit_the_memory_takes_for_ever(dense_chain) -> None:  # type: ignore[no-untyped-def]
    graph = dense_chain(1024, 512, 512, 512, bias=False)  # 512, 256 and 256 KiB
    found = HostCosts(graph).spans(HOST)
    assert found.busy_ms[0, 2] < float("inf")
    assert found.busy_ms[0, 3] == float("inf")  # 1 MiB of parameters, and activations
    assert found.busy_ms[1, 3] < float("inf")


def test_a_link_is_as_slow_as_its_slower_end_and_a_bus_carries_both_ends(dense_chain) -> None:  # type: ignore[no-untyped-def]
    graph = dense_chain(10, 1000, 2000, 10)
    slow = Host(name="s", count=1, gmacs_per_s=1, memory_mib=1, link_mbit_per_s=4, link_ms=1)
    costs = HostCosts(graph)
    assert list(costs.handover_ms(HOST, slow)) == [0, 3 + 2, 3 + 4, 0]
    assert list(costs.handover_ms(slow, HOST)) == [0, 3 + 2, 3 + 4, 0]
    busy = costs.bus_ms(Bus(name="b", mb_per_s=1))
    assert busy[0, 1] == pytest.approx(1)
    assert busy[1, 2] == pytest.approx(3)
    assert busy[0, 3] == 0


def test_an_edge_tpu_of_its_own_host_takes_what_its_part_of_the_model_takes(dense_chain) -> None:  # type: ignore[no-untyped-def]
    graph, hardware = dense_chain(64, 2048, 2048, 2048, 2048, 10), load_hardware("sim-edgetpu-pcie")
    found = spans(graph, hardware, alone=True)
    from paraedge.core.cut import cut

    for first in range(5):
        for end in range(first + 1, 6):
            alone = predict(cut(graph, range(first, end)), hardware)
            assert found.busy_ms[first, end] == pytest.approx(alone.latency_ms)
            assert found.send_ms[first, end] == pytest.approx(alone.terms["output_ms"])
