"""float16 and dynamic range: the float32 network's own weights, rounded; what LiteRT makes of them, against numpy.

Of dynamic range a kernel may choose how it quantizes its input; with 255 steps over the input's range, 0 in it, no
rounding can move a sum by more than half a step times the sum of the weights' sizes. Every layer is held to that,
fed its own recorded input, under each kind of kernels.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from strategies import any_spec

from paraedge.core.graph import FileWeights, Layer, LayerGraph, SeededWeights
from paraedge.core.spec import ModelSpec, Params, Precision
from paraedge.devices.simulated import SimulatedDriver
from paraedge.models import CnnParams, FcParams, MatmulParams, RnnParams, ZooParams, build_graph
from paraedge.tflite import cut_model, model_bytes_estimate, parse_graph, write_model

Array = np.ndarray
KINDS = [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.BUILTIN_REF]
HYBRID = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
NETWORKS: dict[str, tuple[str, Params, int]] = {
    "fc": ("fc", FcParams(layer=3, node=80), 3),
    "cnn": ("cnn", CnnParams(kind="bottleneck", block=1, filter=8, image=33, output=30), 2),
    "mobilenet": ("zoo", ZooParams(model="mobilenet_v1", width=25, image=32, output=20), 1),
    "lstm": ("rnn", RnnParams(cell="lstm", layer=2, embed=24, length=3, vocab=5), 1),
}


@cache
def graph(name: str, precision: Precision) -> LayerGraph:
    family, params, batch = NETWORKS[name]
    return build_graph(ModelSpec(family=family, params=params, batch=batch, precision=precision, seed=7))


def file_values(data: memoryview) -> dict[str, Array]:
    """Every constant of a file by its name, in real units."""
    found = {}
    for tensor in parse_graph(data, "the file").tensors:
        if isinstance(tensor.weights, FileWeights):
            raw = np.frombuffer(data, np.dtype(tensor.dtype), tensor.elements, tensor.weights.offset)
            values = raw.reshape(tensor.shape).astype(np.float64)
            quantization = tensor.quantization
            if quantization is not None:
                shape = [1] * len(tensor.shape)
                if len(quantization.scales) > 1:
                    shape[quantization.axis or 0] = -1
                values = values * np.array(quantization.scales).reshape(shape)
            found[tensor.name] = values
    return found


def interpreter(data: bytes, kind: OpResolverType, **options: bool) -> Interpreter:
    model = Interpreter(model_content=data, num_threads=1, experimental_op_resolver_type=kind, **options)
    model.allocate_tensors()
    return model


def invoke(data: bytes, kind: OpResolverType, *values: Array) -> Array:
    model = interpreter(data, kind)
    for detail, value in zip(model.get_input_details(), values, strict=True):
        model.set_tensor(detail["index"], value)
    model.invoke()
    return model.get_tensor(model.get_output_details()[0]["index"])


def input_of(made: LayerGraph) -> Array:
    return np.random.default_rng(1).uniform(-1, 1, made.tensors[made.inputs[0]].shape).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(any_spec)
def test_the_network_stays_the_same(spec: ModelSpec) -> None:
    plain, half, ranged = (
        build_graph(replace(spec, precision=precision)) for precision in ("float32", "float16", "dynamic_range")
    )
    for made in (half, ranged):
        assert (made.macs, made.parameters) == (plain.macs, plain.parameters)
        assert (made.activation_bytes, made.input_bytes, made.output_bytes) == (
            plain.activation_bytes, plain.input_bytes, plain.output_bytes,
        )  # fmt: skip
        kept = [layer for layer in made.layers if layer.op != "DEQUANTIZE"]
        assert [(one.op, one.outputs) for one in kept] == [(one.op, one.outputs) for one in plain.layers]
        assert abs(len(write_model(made)) - model_bytes_estimate(made)) <= max(512, 0.01 * len(write_model(made)))
    assert 2 * half.weight_bytes == plain.weight_bytes
    large = sum(plain.tensors[i].elements for i in plain.parameter_tensors if ranged.tensors[i].dtype == "int8")
    assert ranged.weight_bytes == plain.weight_bytes - 3 * large


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_those_of_float32_rounded(name: str) -> None:
    plain, half, ranged = (
        file_values(write_model(graph(name, precision))) for precision in ("float32", "float16", "dynamic_range")
    )
    assert half.keys() == plain.keys() == ranged.keys()
    quantized = {tensor.name: tensor for tensor in graph(name, "dynamic_range").tensors if tensor.dtype == "int8"}
    assert quantized
    for key, values in plain.items():
        assert np.array_equal(half[key], values.astype(np.float16))
        if key in quantized:
            step = quantized[key].quantization.scales[0]
            assert np.abs(ranged[key] - values).max() <= step / 2 + 127 * step * 2**-24  # the file's scale is a float32
            assert len(np.unique(ranged[key])) > 200  # the whole range of codes is used
        else:
            assert np.array_equal(ranged[key], values)


def test_dynamic_range_is_what_the_converter_writes() -> None:
    """Facts of files that the converter of TensorFlow 2.21 wrote for these very layers."""
    made = build_graph(
        ModelSpec(family="fc", params=FcParams(input=32, widths=(32, 31, 40)), precision="dynamic_range")
    )
    weights = [made.tensors[layer.inputs[1]] for layer in made.layers]
    assert [(w.shape, w.dtype) for w in weights] == [
        ((32, 32), "int8"), ((31, 32), "float32"), ((40, 31), "int8"), ((10, 40), "float32"),
    ]  # fmt: skip
    assert [layer.options["asymmetric_quantize_inputs"] for layer in made.layers] == [True, False, True, False]
    assert [layer.version for layer in made.layers] == [12, 1, 12, 1]
    assert (len(weights[0].quantization.scales), weights[0].quantization.axis) == (32, 0)
    assert set(weights[0].quantization.zero_points) == {0}
    mobile = graph("mobilenet", "dynamic_range")
    kinds = {(one.op, one.version, mobile.tensors[one.inputs[1]].dtype) for one in mobile.layers if one.op in HYBRID}
    assert {("CONV_2D", 5, "int8"), ("DEPTHWISE_CONV_2D", 6, "int8"), ("DEPTHWISE_CONV_2D", 1, "float32")} <= kinds
    assert kinds <= {(op, version, "int8") for op, version, _ in kinds if version > 1} | {
        (op, 1, "float32") for op in HYBRID
    }
    assert {mobile.tensors[one.inputs[2]].dtype for one in mobile.layers if one.op in HYBRID} == {"float32"}
    depthwise = next(one for one in mobile.layers if one.version == 6)
    quantization = mobile.tensors[depthwise.inputs[1]].quantization
    assert (quantization.axis, len(quantization.scales)) == (3, mobile.tensors[depthwise.inputs[1]].shape[3])


def test_a_table_that_is_only_read_is_made_float_behind_it() -> None:
    params = RnnParams(cell="rnn", layer=1, embed=32, length=4, vocab=40, embedding="gather")
    spec = ModelSpec(family="rnn", params=params, precision="dynamic_range")
    made, plain = build_graph(spec), build_graph(replace(spec, precision="float32"))
    place = next(i for i, layer in enumerate(made.layers) if layer.op == "GATHER")
    gather, after = made.layers[place : place + 2]
    table, codes = made.tensors[gather.inputs[0]], made.tensors[gather.outputs[0]]
    assert (gather.version, after.op, after.version) == (2, "DEQUANTIZE", 2)
    assert (table.dtype, codes.dtype) == ("int8", "int8")
    assert table.quantization == codes.quantization
    assert after.outputs == plain.layers[place].outputs
    tokens = np.array([[0, 39, 7, 7]], np.int32)
    results = [[invoke(bytes(write_model(one)), kind, tokens) for kind in KINDS[:2]] for one in (made, plain)]
    spread = np.std(results[1][0])
    assert all(np.abs(found - results[1][0]).max() < 0.1 * spread for found in results[0])


def test_float16_unpacks_every_constant_before_the_first_layer() -> None:
    made = graph("mobilenet", "float16")
    count = sum(tensor.dtype == "float16" for tensor in made.tensors)
    assert [layer.op for layer in made.layers[:count]] == ["DEQUANTIZE"] * count
    assert {layer.version for layer in made.layers[:count]} == {3}
    assert "DEQUANTIZE" not in {layer.op for layer in made.layers[count:]}
    assert not any(tensor.dtype == "float32" and tensor.weights for tensor in made.tensors)
    assert {tensor.dtype for tensor in made.tensors if tensor.weights} == {"float16", "int32"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_float16_fc_is_the_product_with_its_rounded_weights(kind: OpResolverType) -> None:
    made = graph("fc", "float16")
    x = input_of(made)
    constants = list(file_values(write_model(graph("fc", "float32"))).values())
    value = x.astype(np.float64)
    for weights, bias in zip(constants[::2], constants[1::2], strict=True):
        sums = value @ weights.astype(np.float16).astype(np.float64).T + bias.astype(np.float16)
        value = np.maximum(sums, 0)
    assert np.allclose(invoke(bytes(write_model(made)), kind, x), sums, rtol=1e-5, atol=1e-5 * np.std(sums))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["cnn", "mobilenet", "lstm"])
def test_float16_equals_float32_of_the_rounded_weights(name: str, kind: OpResolverType) -> None:
    """The weights are rounded by numpy, inside the float32 file's own bytes."""
    data = write_model(graph(name, "float32"))
    rounded = bytearray(data)
    for tensor in parse_graph(data, "the file").tensors:
        if isinstance(tensor.weights, FileWeights) and tensor.dtype == "float32":
            values = np.frombuffer(rounded, np.float32, tensor.elements, tensor.weights.offset)
            values[:] = values.astype(np.float16)
    x = input_of(graph(name, "float32"))
    expected = invoke(bytes(rounded), kind, x)
    found = invoke(bytes(write_model(graph(name, "float16"))), kind, x)
    assert np.abs(found - expected).max() <= 1e-5 * np.std(expected)
    assert np.abs(found - invoke(bytes(data), kind, x)).max() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_dynamic_range_stays_within_its_rounding(name: str) -> None:
    made = graph(name, "dynamic_range")
    data = bytes(write_model(made))
    constants = file_values(memoryview(data))
    whole = interpreter(data, KINDS[1], experimental_preserve_all_tensors=True)
    whole.set_tensor(made.inputs[0], input_of(made))
    whole.invoke()
    segments = cut_model(data, range(1, len(made.layers)))
    seen: dict[str, int] = {}
    for layer, segment in zip(made.layers, segments, strict=True):
        if layer.op in HYBRID and made.tensors[layer.inputs[1]].dtype == "int8" and seen.get(layer.op, 0) < 6:
            seen[layer.op] = seen.get(layer.op, 0) + 1
            x = whole.get_tensor(layer.inputs[0])
            weights, bias = (constants[made.tensors[i].name] for i in layer.inputs[1:])
            exact, weight = (sums(layer, *pair) for pair in ((x, weights), (np.ones_like(x), np.abs(weights))))
            step = (max(x.max(), 0) - min(x.min(), 0)) / 255
            exact = exact + bias
            if layer.options["fused_activation_function"] == "RELU6":
                exact = np.clip(exact, 0, 6)
            elif layer.options["fused_activation_function"] == "RELU":
                exact = np.maximum(exact, 0)
            for kind in KINDS:
                error = np.abs(invoke(bytes(segment.data), kind, x) - exact)
                assert (error <= weight * step / 2 * (1 + 1e-4) + 1e-6).all(), (layer.op, kind.name)
                assert error.max() > 0.01 * step * np.abs(weights).max(), (layer.op, kind.name)  # int8, not float
    assert seen


def sums(layer: Layer, x: Array, weights: Array) -> Array:
    """The op's sums without bias and activation, in float64."""
    x = x.astype(np.float64)
    if layer.op == "FULLY_CONNECTED":
        return x @ weights.T
    kernel, strides = weights.shape[1:3], (layer.options["stride_h"], layer.options["stride_w"])
    around = [(0, 0)]
    for size, length, step in zip(x.shape[1:3], kernel, strides, strict=True):
        total = max((-(-size // step) - 1) * step + length - size, 0) if layer.options["padding"] == "SAME" else 0
        around.append((total // 2, total - total // 2))
    view = np.lib.stride_tricks.sliding_window_view(np.pad(x, [*around, (0, 0)]), kernel, axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1]]
    if layer.op == "CONV_2D":
        return np.einsum("nhwcij,oijc->nhwo", view, weights, optimize=True)
    return np.einsum("nhwcij,ijc->nhwc", view, weights[0])


def test_what_is_quantized_is_drawn_once_for_all_precisions() -> None:
    """float16 and int8 of dynamic range take the float32 stream; int8 throughout has its own values."""
    one = ModelSpec(family="matmul", params=MatmulParams(n=700), seed=5)  # more than one chunk of each type
    plain, half, ranged = (
        next(iter(file_values(write_model(build_graph(replace(one, precision=precision)))).values()))
        for precision in ("float32", "float16", "dynamic_range")
    )
    assert np.array_equal(half, plain.astype(np.float16))
    assert np.abs(ranged - plain).max() <= np.abs(plain).max() / 254 * (1 + 1e-4)


def test_no_edge_tpu_takes_them_and_says_so() -> None:
    driver = SimulatedDriver()
    target = driver.targets("sim-edgetpu-usb3", [], [])[0]
    for precision in ("float16", "dynamic_range"):
        assert "needs an int8 model" in (driver.why_not(graph("fc", precision), target) or "")


def test_only_weights_with_a_step_are_rounded_floats() -> None:
    steps = {
        precision: {t.weights.step for t in graph("cnn", precision).tensors if isinstance(t.weights, SeededWeights)}
        for precision in ("int8", "float32", "float16", "dynamic_range")
    }
    assert steps["int8"] == steps["float32"] == steps["float16"] == {None}
    assert None in steps["dynamic_range"]
    assert len(steps["dynamic_range"]) > 1
