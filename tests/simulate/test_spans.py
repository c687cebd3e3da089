"""All spans at once against predicting each by itself, cut out of its graph."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Iterable

import numpy as np
import pytest
from graph_builder import Builder
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import cnn_params, conv_stack_params, fc_params, specs

from paraedge.core.cut import cut
from paraedge.core.graph import EDGETPU_OP, Layer, LayerGraph
from paraedge.core.spans import Spans
from paraedge.core.spec import ModelSpec
from paraedge.models import ConvStackParams, FcParams, build_graph
from paraedge.models.zoo import ZooParams, as_uint8
from paraedge.simulate import Hardware, load_hardware, predict, spans
from paraedge.simulate.shapes import MIB, known_bytes

SIDE, DEPTH = 6, 8
TIMES = ("receive_ms", "compute_ms", "send_ms", "busy_ms", "low_ms", "high_ms")
SIZES = ("input_bytes", "output_bytes", "link_bytes", "on_chip_bytes", "off_chip_bytes")


def one_span(graph: LayerGraph, hardware: Hardware, first: int, end: int) -> dict[str, float]:
    """What the table must say of a span, from nothing but `cut` and `predict`."""
    part, tensors = cut(graph, range(first, end)), graph.tensors
    found = predict(part, hardware)
    placement, spread = found.placement, None if found.high_ms is None else found.high_ms / found.latency_ms
    made = {tensor_id for layer in graph.layers[:first] for tensor_id in layer.outputs}
    handed_mib = sum(known_bytes(tensors[i]) for i in part.inputs if i in made) / MIB
    final = tuple(i for i in part.outputs if i in graph.outputs)
    returning = found if placement.on_cpu else predict(dataclasses.replace(part, outputs=final), hardware)
    is_stage = end - first < len(graph.layers)
    receive_ms = found.terms["input_ms"] + hardware.handover_ms_per_mib * handed_mib
    compute_ms = found.latency_ms - found.terms["input_ms"] - found.terms["output_ms"]
    compute_ms += hardware.stream_pipelined_ms * (is_stage and placement.off_chip_bytes > 0)
    send_ms = returning.terms["output_ms"]
    busy_ms = receive_ms + compute_ms + send_ms if placement.on_device else math.inf
    is_read = found.link_bytes is not None
    return {
        "receive_ms": receive_ms,
        "compute_ms": compute_ms,
        "send_ms": send_ms,
        "busy_ms": busy_ms,
        "low_ms": math.nan if spread is None else busy_ms / spread,
        "high_ms": math.nan if spread is None else busy_ms * spread,
        "input_bytes": sum(known_bytes(tensors[i]) for i in part.inputs),
        "output_bytes": sum(known_bytes(tensors[i]) for i in part.outputs),
        "link_bytes": -1 if found.link_bytes is None else found.link_bytes,
        "on_chip_bytes": placement.on_chip_bytes if is_read else -1,
        "off_chip_bytes": placement.off_chip_bytes if is_read else -1,
    }


def agree(graph: LayerGraph, hardware: Hardware, chosen: Iterable[tuple[int, int]] | None = None) -> Spans:
    """All spans, or the chosen ones, are what each is by itself."""
    found, layers = spans(graph, hardware), len(graph.layers)
    for first, end in chosen or itertools.combinations(range(layers + 1), 2):
        wanted = one_span(graph, hardware, first, end)
        for name in SIZES:
            assert getattr(found, name)[first, end] == wanted[name], (name, first, end)
        for name in TIMES:
            told = float(getattr(found, name)[first, end])
            assert told == pytest.approx(wanted[name], rel=1e-9, abs=1e-12, nan_ok=True), (name, first, end)
    return found


def some(layers: int, count: int) -> list[tuple[int, int]]:
    """The whole, and spans drawn from all."""
    draw = random.Random(layers)
    return [(0, layers), *draw.sample(list(itertools.combinations(range(layers + 1), 2)), count)]


# --- graphs ---


@st.composite
def networks(draw: st.DrawFn, *, unmapped: bool = False) -> LayerGraph:
    """Ops over random earlier values: shortcuts, values used twice or never, several inputs and outputs."""
    builder = Builder()
    images = [builder.tensor((1, SIDE, SIDE, DEPTH)) for _ in range(draw(st.integers(1, 2)))]
    inputs, vectors = list(images), []
    kinds = ["conv", "pointwise", "ADD", "CONCATENATION", "SPLIT", "pool", "dense", "SOFTMAX"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=9)):
        x = draw(st.sampled_from(images))
        shape = builder.tensors[x].shape
        if kind in ("conv", "pointwise"):
            images.append(builder.conv(x, draw(st.sampled_from([4, 8, 70])), kernel=3 if kind == "conv" else 1))
        elif kind == "ADD":
            others = [y for y in images if builder.tensors[y].shape == shape]
            images.append(builder.op("ADD", (x, draw(st.sampled_from(others))), shape))
        elif kind == "CONCATENATION":
            y = draw(st.sampled_from(images))
            images.append(builder.op(kind, (x, y), (*shape[:3], shape[3] + builder.tensors[y].shape[3])))
        elif kind == "SPLIT" and shape[3] % 2 == 0:
            half = (*shape[:3], shape[3] // 2)
            images.append(builder.op(kind, (builder.values(3), x), half))
            second = builder.tensor(half)
            layer = builder.layers[-1]
            builder.layers[-1] = dataclasses.replace(layer, outputs=(*layer.outputs, second))
            images.append(second)
        elif kind == "EXP":  # can't be mapped
            images.append(builder.op("EXP", (x,), shape))
        elif kind == "SOFTMAX" and vectors:
            y = draw(st.sampled_from(vectors))
            vectors.append(builder.op("SOFTMAX", (y,), builder.tensors[y].shape))
        elif kind == "dense":
            flat = builder.op("RESHAPE", (x, builder.values(1, -1)), (1, math.prod(shape)))
            vectors.append(builder.dense(flat, draw(st.sampled_from([3, 100]))))
        else:
            images.append(builder.op("MAX_POOL_2D", (x,), shape))
    made = [tensor_id for layer in builder.layers for tensor_id in layer.outputs]
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    return builder.graph(inputs, outputs)


hardwares = st.builds(
    lambda wide, room, narrow: {
        "wide_memory_bytes": float(wide),
        "input_room_bytes": float(room),
        "narrow_memory_bytes": float(narrow),
        "stripe_memory_bytes": 1.1 * narrow,
    },
    st.integers(3_000, 120_000),
    st.integers(0, 600),
    st.integers(100, 2_000),
)
"""Memories as small as the networks, so that some of every span's layers fit and some don't."""


@settings(deadline=None, max_examples=150)
@given(networks(), hardwares)
def test_every_span_of_a_network(chip: Hardware, graph: LayerGraph, memory: dict[str, float]) -> None:
    agree(graph, dataclasses.replace(chip, **memory))  # type: ignore[arg-type]


@settings(deadline=None, max_examples=150)
@given(networks(unmapped=True), hardwares)
def test_every_span_with_ops_on_the_cpu(chip: Hardware, graph: LayerGraph, memory: dict[str, float]) -> None:
    agree(graph, dataclasses.replace(chip, **memory))  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(networks(unmapped=True), st.data())
def test_every_span_with_compiled_ops(chip: Hardware, graph: LayerGraph, data: st.DataObject) -> None:
    compiled = data.draw(st.sets(st.integers(0, len(graph.layers) - 1), min_size=1, max_size=2))
    layers: list[Layer] = list(graph.layers)
    for index in compiled:
        layers[index] = dataclasses.replace(layers[index], op="CUSTOM", custom_code=EDGETPU_OP)
    agree(dataclasses.replace(graph, layers=tuple(layers)), chip)


@settings(deadline=None, max_examples=60)
@given(specs(st.one_of(fc_params, cnn_params, conv_stack_params)))
def test_models_of_the_families(pcie: Hardware, spec: ModelSpec) -> None:
    graph = build_graph(spec)
    agree(graph, pcie, some(len(graph.layers), min(30, len(graph.layers))))


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=500, output=10)),
        ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=2500, output=10)),
        ModelSpec(family="conv_stack", params=ConvStackParams(layer=5, kernel=3, image=64, channel=8, filter=100)),
        ModelSpec(family="conv_stack", params=ConvStackParams(layer=5, kernel=3, image=64, channel=8, filter=700)),
    ],
    ids=lambda spec: spec.spec_id,
)
def test_the_published_sweeps_networks(pcie: Hardware, spec: ModelSpec) -> None:
    found = agree(build_graph(spec), pcie)
    assert np.isfinite(found.low_ms[0, -1])


@pytest.mark.parametrize("model", ["mobilenet_v1", "mobilenet_v2", "inception_v3"])
@pytest.mark.parametrize("device", ["sim-edgetpu-pcie", "sim-edgetpu-usb3"])
def test_real_models(model: str, device: str) -> None:
    graph = as_uint8(build_graph(ModelSpec(family="zoo", params=ZooParams(model=model))))
    found = agree(graph, load_hardware(device), some(len(graph.layers), 200))
    assert found.layers == len(graph.layers)


# --- by hand ---


def test_the_whole_model_is_no_stage_and_its_parts_are(dense_chain: object, chip: Hardware) -> None:
    """A chain 64 - 3000 - 3000 - 10 that streams, each term by hand."""
    graph = dense_chain(64, 3000, 3000, 10)  # type: ignore[operator]
    found = spans(graph, chip)
    assert found.busy_ms[0, 3] == pytest.approx(predict(graph, chip).latency_ms)
    assert found.receive_ms[0, 2] == pytest.approx(64 / 200e3)
    assert found.send_ms[0, 2] == 0  # handed to the next stage, which pays
    assert found.receive_ms[2, 3] == pytest.approx(3000 / 200e3 + 8 * 3000 / MIB)
    assert found.send_ms[2, 3] == pytest.approx(10 / 100e3)  # a vector is copied whole
    assert found.off_chip_bytes[1, 2] > 0
    alone = predict(cut(graph, [1]), chip)
    assert found.compute_ms[1, 2] == pytest.approx(
        alone.latency_ms - alone.terms["input_ms"] - alone.terms["output_ms"] + chip.stream_pipelined_ms
    )
    assert found.off_chip_bytes[2, 3] == 0


def test_an_input_of_the_graph_is_not_handed_over_and_an_output_of_it_is_returned(
    builder: Builder, chip: Hardware
) -> None:
    """X -> a -> (a, y) -> b: the second stage receives a from the first and y from the host; a is an output too."""
    x, y = builder.tensor((1, 1000)), builder.tensor((1, 1000))
    a = builder.op("RELU", (x,), (1, 1000))
    b = builder.op("ADD", (a, y), (1, 1000))
    found = spans(builder.graph([x, y], [a, b]), chip)
    assert found.send_ms[0, 1] == pytest.approx(1000 / 100e3)
    assert found.receive_ms[1, 2] == pytest.approx(2000 / 200e3 + 8 * 1000 / MIB)
    assert found.input_bytes[1, 2] == 2000
    assert found.output_bytes[0, 2] == 2000


def test_a_tensor_that_passes_over_a_stage_is_counted_where_it_enters(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 100))
    a = builder.op("RELU", (x,), (1, 100))
    b = builder.op("RELU", (a,), (1, 100))
    c = builder.op("ADD", (a, b), (1, 100))
    found = spans(builder.graph([x], [c]), chip)
    assert found.output_bytes[0, 1] == 100  # a leaves once, for two stages
    assert found.input_bytes[1, 2] == 100
    assert found.input_bytes[2, 3] == 200
    assert found.output_bytes[0, 2] == 200


def test_a_graph_that_cannot_be_mapped_runs_nowhere(chip: Hardware) -> None:
    graph = build_graph(ModelSpec(family="fc", params=FcParams(input=8, layer=2, node=8), precision="float32"))
    found = spans(graph, chip)
    above = np.triu_indices(len(graph.layers) + 1, 1)
    assert np.isinf(found.busy_ms[above]).all()
    assert np.isnan(found.high_ms[above]).all()
    assert (found.input_bytes[above] > 0).all()


def test_a_graph_of_no_layers(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 4))
    found = spans(builder.graph([x], [x]), chip)
    assert found.layers == 0
    assert found.busy_ms.shape == (1, 1)


def test_sizes_beyond_all_bounds(builder: Builder, chip: Hardware) -> None:
    x = y = builder.tensor((1, 1 << 31, 1 << 31, 4))
    for _ in range(4):
        y = builder.op("RELU", (y,), (1, 1 << 31, 1 << 31, 4))
    found = spans(builder.graph([x], [y]), chip)
    above = np.triu_indices(5, 1)
    assert (found.input_bytes[above] == 1 << 62).all()
    assert np.isfinite(found.busy_ms[above]).all()
