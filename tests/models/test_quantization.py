"""Versions, quantization and the activations' spread: against published models, the specification, and LiteRT."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from strategies import any_spec

from paraedge.core.graph import SeededWeights, Tensor
from paraedge.core.spec import ModelSpec, Params
from paraedge.models import CnnParams, ConvStackParams, FcParams, MatmulParams, build_graph
from paraedge.models.scales import kernel_rows
from paraedge.models.versions import LOWEST_VERSION
from paraedge.tflite import write_model

OPTIONS = {
    "ADD": schema.AddOptionsT,
    "CONV_2D": schema.Conv2DOptionsT,
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "MAX_POOL_2D": schema.Pool2DOptionsT,
    "MEAN": schema.ReducerOptionsT,
}


def published_versions(folder: Path) -> Iterator[tuple[str, int]]:
    """(op, version) of every op on int8 in the models that were compiled for an Edge TPU."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    for path in sorted((folder / "models").rglob("*.tflite")):
        if not path.stem.endswith("_edgetpu"):
            model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
            for graph in model.subgraphs:
                for op in graph.operators:
                    code = model.operatorCodes[op.opcodeIndex]
                    if graph.tensors[op.inputs[0]].type == schema.TensorType.INT8:
                        yield names[max(code.builtinCode, code.deprecatedBuiltinCode)], code.version


def test_versions_are_those_of_models_that_the_compiler_took(edgetpu_data: Path) -> None:
    found: dict[str, set[int]] = {}
    for op, version in published_versions(edgetpu_data):
        found.setdefault(op, set()).add(version)
    seen = {op: versions for op, versions in found.items() if op in LOWEST_VERSION}
    assert {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "PAD"} <= set(seen)
    for op, versions in seen.items():
        assert LOWEST_VERSION[op]["int8"] in versions
        assert LOWEST_VERSION[op]["int8"] <= max(versions)


@settings(max_examples=60, deadline=None)
@given(any_spec)
def test_layers_have_the_lowest_versions_and_only_options_of_the_schema(spec: ModelSpec) -> None:
    for layer in build_graph(spec).layers:
        assert layer.version == LOWEST_VERSION[layer.op][spec.precision]
        fields = {"".join(("_" + c.lower()) if c.isupper() else c for c in name) for name in vars(OPTIONS[layer.op]())}
        assert set(layer.options) <= fields


@settings(max_examples=60, deadline=None)
@given(any_spec)
def test_quantization_is_the_specifications(spec: ModelSpec) -> None:
    """TFLite's quantization specification: symmetric weights, int32 biases at the input's scale times the weights'."""
    graph = build_graph(spec)
    if spec.precision == "float32":
        assert all(tensor.quantization is None for tensor in graph.tensors)
        assert {tensor.dtype for tensor in graph.tensors} <= {"float32", "int32"}
        return
    assert {graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)} == {"int8"}
    for layer in graph.layers:
        if layer.op in ("MAX_POOL_2D", "MEAN"):
            assert graph.tensors[layer.inputs[0]].quantization == graph.tensors[layer.outputs[0]].quantization
        if layer.op in ("CONV_2D", "FULLY_CONNECTED"):
            x, weights, bias = (graph.tensors[i] for i in layer.inputs)
            check_weights(x, weights, bias, per_channel=layer.op == "CONV_2D")


def check_weights(x: Tensor, weights: Tensor, bias: Tensor, *, per_channel: bool) -> None:
    assert x.quantization is not None
    assert weights.quantization is not None
    assert bias.quantization is not None
    assert (weights.dtype, bias.dtype) == ("int8", "int32")
    number = weights.shape[0] if per_channel else 1
    assert len(weights.quantization.scales) == len(bias.quantization.scales) == number
    assert weights.quantization.axis == bias.quantization.axis == (0 if per_channel else None)
    assert not any((*weights.quantization.zero_points, *bias.quantization.zero_points))
    products = [x.quantization.scales[0] * scale for scale in weights.quantization.scales]
    assert bias.quantization.scales == pytest.approx(products)
    assert isinstance(weights.weights, SeededWeights)
    assert weights.weights.bound == 127


@settings(max_examples=100, deadline=None)
@given(any_spec)
def test_float_weights_are_bound_by_fan_in(spec: ModelSpec) -> None:
    graph = build_graph(spec)
    for layer in graph.layers:
        if layer.op == "FULLY_CONNECTED" and spec.precision == "float32" and spec.family == "fc":
            weights = graph.tensors[layer.inputs[1]]
            assert isinstance(weights.weights, SeededWeights)
            # He et al.: variance 2 / fan_in after a ReLU; of a uniform distribution bound^2 / 3
            gain = 1 if layer.inputs[0] == graph.inputs[0] else 2
            assert weights.weights.bound == pytest.approx(math.sqrt(3 * gain / weights.shape[1]))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("kernel", [1, 2, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_kernel_rows_are_those_that_lie_on_the_image(size: int, kernel: int, stride: int) -> None:
    out = -(-size // stride)
    padding = max((out - 1) * stride + kernel - size, 0)
    image = np.pad(np.ones(size), (padding // 2, padding - padding // 2))
    sums = [image[start * stride : start * stride + kernel].sum() for start in range(out)]
    assert kernel_rows(size, kernel, stride) == pytest.approx(np.mean(sums))


SPREAD = [
    ("fc", FcParams(layer=4, node=512)),
    ("fc", FcParams(layer=128, node=32)),
    ("fc", FcParams(layer=64, node=256)),
    ("fc", FcParams(input=2000, widths=(512, 16, 700), output=200)),
    ("matmul", MatmulParams(n=64)),
    ("conv_stack", ConvStackParams(layer=5, image=16, filter=32)),
    ("conv_stack", ConvStackParams(layer=20, image=2, filter=64)),
    ("cnn", CnnParams(kind="residual", block=1, filter=16, image=64, output=100)),
    ("cnn", CnnParams(kind="residual", block=8, filter=16, image=64, output=100)),
    ("cnn", CnnParams(kind="bottleneck", blocks=(3, 4, 6, 3), filter=16, image=96, output=100)),
    ("cnn", CnnParams(kind="bottleneck", block=1, filter=16, image=20, output=100)),
]


@pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors.:UserWarning")
@pytest.mark.parametrize(("family", "params"), SPREAD)
def test_every_activation_keeps_its_spread(family: str, params: Params) -> None:
    """Codes neither die nor saturate at any depth, in LiteRT, on uniform random inputs."""
    graph = build_graph(ModelSpec(family=family, params=params))
    interpreter = Interpreter(
        model_content=bytes(write_model(graph)),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN,
    )
    interpreter.allocate_tensors()
    codes = np.random.default_rng(0).integers(-128, 128, graph.tensors[graph.inputs[0]].shape, np.int8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
    interpreter.invoke()
    for layer in graph.layers:
        values = interpreter.get_tensor(layer.outputs[0])
        assert values.std() > 8, layer
        assert np.mean(values == 127) < 0.2, layer
        assert len(np.unique(values)) >= min(8, values.size / 4), layer
