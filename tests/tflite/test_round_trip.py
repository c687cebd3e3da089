"""Graph -> file -> graph gives the same graph, for any graph that can be written."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraedge import models
from paraedge.core.graph import (
    ConstantWeights,
    FileWeights,
    Layer,
    LayerGraph,
    OptionValue,
    Quantization,
    SeededWeights,
    Tensor,
)
from paraedge.core.spec import ModelSpec
from paraedge.tflite import model_bytes_estimate, parse_graph, write_model
from paraedge.tflite.schema import numbers, option_fields, options_name

ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "TANH"])
SMALL = st.integers(1, 5)
OPTIONS: dict[str, dict[str, st.SearchStrategy[OptionValue]]] = {
    "ADD": {"fused_activation_function": ACTIVATIONS, "pot_scale_int16": st.booleans()},
    "CONV_2D": {
        "padding": st.sampled_from(["SAME", "VALID"]), "stride_w": SMALL, "stride_h": SMALL,
        "fused_activation_function": ACTIVATIONS, "dilation_w_factor": SMALL, "dilation_h_factor": SMALL,
        "quantized_bias_type": st.sampled_from(["FLOAT32", "INT32", "INT64"]),
    },
    "SOFTMAX": {"beta": st.floats(0, 4, width=32)},
    "RESHAPE": {"new_shape": st.lists(st.integers(-1, 99), max_size=5).map(tuple)},
    "SQUEEZE": {"squeeze_dims": st.lists(st.integers(0, 5), max_size=3).map(tuple)},
    "MEAN": {"keep_dims": st.booleans()},
    "BATCH_MATMUL": {"adj_x": st.booleans(), "adj_y": st.booleans(), "asymmetric_quantize_inputs": st.booleans()},
    "CAST": {"in_data_type": st.just("INT8"), "out_data_type": st.sampled_from(["FLOAT32", "INT64"])},
    "LOGISTIC": {},
    "CUSTOM": {},
}  # fmt: skip

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SHAPES = st.lists(st.integers(0, 6), max_size=5).map(tuple)
SCALES = st.floats(2**-20, 8, width=32)


@st.composite
def quantizations(draw: st.DrawFn, shape: tuple[int, ...]) -> Quantization | None:
    kind = draw(st.sampled_from(["none", "tensor", "axis"]))
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    if kind == "none":
        return None
    if kind == "tensor" or not axes:
        return Quantization(scales=(draw(SCALES),), zero_points=(draw(st.integers(-128, 127)),))
    axis = draw(st.sampled_from(axes))
    scales = draw(st.lists(SCALES, min_size=shape[axis], max_size=shape[axis]))
    return Quantization(scales=tuple(scales), zero_points=(0,) * shape[axis], axis=axis)


@st.composite
def tensors(draw: st.DrawFn, constant: bool) -> Tensor:
    shape, name = draw(SHAPES), draw(NAMES)
    quantization = draw(quantizations(shape))
    if not constant:
        dtype = draw(st.sampled_from(["int8", "uint8", "int16", "float32", "float16", "bool", "string", "complex64"]))
        return Tensor(name=name, shape=shape, dtype=dtype, quantization=quantization)
    dtype = draw(st.sampled_from(["int8", "int16", "float32", "int32", "int64"]))
    if dtype in ("int32", "int64"):
        size = min(math.prod(shape), 40)
        values = draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=size, max_size=size))
        spelt = ConstantWeights(values=tuple(values))
        return Tensor(name=name, shape=(size,), dtype=dtype, weights=spelt)
    weights = SeededWeights(seed=draw(st.integers(0, 2**64)), stream=draw(st.integers(0, 9)), bound=draw(SCALES))
    return Tensor(name=name, shape=shape, dtype=dtype, quantization=quantization, weights=weights)


@st.composite
def graphs(draw: st.DrawFn) -> LayerGraph:
    """Layers in order, each with a new output, over what is there before it; shapes need not fit the ops."""
    all_tensors = [draw(tensors(constant=False))]
    inputs, constants, layers, values = (0,), draw(st.integers(0, 4)), [], [-1, 0]
    for _ in range(constants):
        all_tensors.append(draw(tensors(constant=True)))
        values.append(len(all_tensors) - 1)
    for _ in range(draw(st.integers(0, 6))):
        op = draw(st.sampled_from(sorted(OPTIONS)))
        sources = tuple(draw(st.lists(st.sampled_from(values), max_size=4)))
        made = []
        for _ in range(draw(st.integers(1, 2))):
            all_tensors.append(draw(tensors(constant=False)))
            made.append(len(all_tensors) - 1)
        values += made
        options = {field: draw(strategy) for field, strategy in OPTIONS[op].items()}
        code = draw(NAMES) if op == "CUSTOM" else None
        version = draw(st.integers(1, 12))
        layers.append(
            Layer(op=op, inputs=sources, outputs=tuple(made), options=options, version=version, custom_code=code)
        )
    outputs = tuple(draw(st.lists(st.sampled_from(values[1:]), max_size=3)))
    return LayerGraph(name="g", tensors=tuple(all_tensors), layers=tuple(layers), inputs=inputs, outputs=outputs)


def without_defaults(layer: Layer, expected: Layer) -> Layer:
    """The reader gives all options; the fields that were not written have the schema's defaults."""
    kept = {field: value for field, value in layer.options.items() if field in expected.options}
    return dataclasses.replace(layer, options=kept)


def assert_same(parsed: LayerGraph, graph: LayerGraph) -> None:
    assert (parsed.inputs, parsed.outputs) == (graph.inputs, graph.outputs)
    for ours, given_tensor in zip(parsed.tensors, graph.tensors, strict=True):
        assert dataclasses.replace(ours, weights=None, quantization=None) == dataclasses.replace(
            given_tensor, weights=None, quantization=None
        )
        assert_same_quantization(ours.quantization, given_tensor.quantization)
        stored = given_tensor.weights is not None and given_tensor.size_bytes != 0
        assert (ours.weights is not None) == stored
        if isinstance(ours.weights, FileWeights):
            assert ours.weights.size_bytes == given_tensor.size_bytes
        elif isinstance(given_tensor.weights, ConstantWeights) and stored:
            assert ours.weights == given_tensor.weights
    for layer, given_layer in zip(parsed.layers, graph.layers, strict=True):
        assert without_defaults(layer, given_layer) == given_layer


def assert_same_quantization(ours: Quantization | None, given_one: Quantization | None) -> None:
    if ours is None or given_one is None:
        assert ours is given_one
        return
    assert ours.scales == tuple(float(np.float32(scale)) for scale in given_one.scales)
    assert (ours.zero_points, ours.axis) == (given_one.zero_points, given_one.axis)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_any_graph(graph: LayerGraph) -> None:
    data = write_model(graph)
    assert abs(model_bytes_estimate(graph) - len(data)) <= 2048
    parsed = parse_graph(data, "g")
    assert_same(parsed, graph)
    if all(tensor.elements for tensor in graph.tensors):  # a constant without elements reads as none
        assert bytes(write_model(parsed, source=data)) == bytes(data)


def test_every_family(small_graph: LayerGraph) -> None:
    parsed = parse_graph(write_model(small_graph), small_graph.name)
    assert_same(parsed, small_graph)
    assert parsed.macs == small_graph.macs
    assert parsed.parameters == small_graph.parameters
    assert parsed.weight_bytes == small_graph.weight_bytes
    assert parsed.activation_bytes == small_graph.activation_bytes


def test_a_deep_network() -> None:
    params = models.FAMILIES["cnn"].params(kind="bottleneck", blocks=(3, 4, 6, 3), filter=8, image=64, output=100)
    graph = models.build_graph(ModelSpec(family="cnn", params=params))
    assert_same(parse_graph(write_model(graph), "deep"), graph)


def test_every_operator_with_default_options_goes_there_and_back() -> None:
    """Also those whose code doesn't fit a byte, and those whose options are in the second union."""
    x = Tensor(name="x", shape=(1,), dtype="float32")
    for op in numbers("BuiltinOperator"):
        layer = Layer(op=op, inputs=(0,), outputs=(1,), options={}, custom_code="c" if op == "CUSTOM" else None)
        graph = LayerGraph(name="op", tensors=(x, x), layers=(layer,), inputs=(0,), outputs=(1,))
        (parsed,) = parse_graph(write_model(graph), "op").layers
        assert (parsed.op, parsed.custom_code) == (op, layer.custom_code)
        kind = options_name(op)
        assert set(parsed.options) == (set() if kind is None else set(option_fields(kind)))
