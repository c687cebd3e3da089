"""The zoo's quantization, its files, and its values in LiteRT."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge.core.graph import FileWeights, Layer, LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import ZooParams, build_graph
from paraedge.tflite import parse_graph, write_model

V1, V2, INCEPTION = "mobilenet_v1", "mobilenet_v2", "inception_v3"

WHOLE = [
    ZooParams(model=V1, width=25, image=128),
    ZooParams(model=V1, width=50, image=160),
    ZooParams(model=V1, width=75, image=192),
    ZooParams(model=V1),
    ZooParams(model=V2),
    ZooParams(model=INCEPTION),
    ZooParams(model="efficientnet_lite0"),
    ZooParams(model="squeezenet_1_0"),
    ZooParams(model="alexnet"),
    ZooParams(model="vgg16"),
    ZooParams(model="vgg19"),
    ZooParams(model="resnet50_v1"),
    ZooParams(model="resnet50_v2"),
    ZooParams(model="resnet152_v2"),
    ZooParams(model="densenet121"),
    ZooParams(model="block_cnn_3_1"),
    ZooParams(model="block_cnn_2_2"),
]
SLOW = ("vgg16", "vgg19", "resnet152_v2")
"""In float32 these take seconds each."""
SMALL = [
    ZooParams(model=V1, width=25, image=32, output=10),
    ZooParams(model=V2, width=35, image=33, output=10),
    ZooParams(model=INCEPTION, width=25, image=75, output=10),
    ZooParams(model="efficientnet_lite0", image=33, output=10),
    ZooParams(model="squeezenet_1_0", image=64, output=100),
    ZooParams(model="resnet50_v1", image=65, output=10),
    ZooParams(model="resnet50_v2", image=65, output=10),
    ZooParams(model="densenet121", image=65, output=10),
    ZooParams(model="block_cnn_3_1", width=50, image=20, output=10),
    ZooParams(model="block_cnn_2_2", width=50, image=20, output=10),
]


def label(params: ZooParams) -> str:
    return f"{params.model}-{params.width}-{params.side}"


def graph(params: ZooParams, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


@pytest.mark.parametrize("params", SMALL, ids=label)
def test_quantization_is_the_specifications(params: ZooParams) -> None:
    """TFLite's quantization specification: which ops keep their scale, and the axis of the weights' channels."""
    made = graph(params)
    for layer in made.layers:
        tensors = [made.tensors[i] for i in (*layer.inputs, *layer.outputs)]
        x, result = tensors[0].quantization, tensors[-1].quantization
        assert x is not None
        assert result is not None
        if layer.op in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "CONCATENATION", "RESHAPE", "PAD", "MEAN"):
            kept = [t.quantization for t in tensors if t.weights is None]
            assert kept == [result] * len(kept)
        elif layer.op == "SOFTMAX":
            assert (result.scales, result.zero_points) == ((1 / 256,), (-128,))
        elif layer.op in ("ADD", "MUL"):
            constants = [t.quantization for t in tensors[:2] if t.weights is not None]
            assert all(each is not None and each.zero_points == (0,) for each in constants)
        elif layer.op == "FULLY_CONNECTED":
            weights, bias = tensors[1].quantization, tensors[2].quantization
            assert weights is not None
            assert bias is not None
            assert bias.scales == pytest.approx([x.scales[0] * scale for scale in weights.scales])
            assert len(bias.scales) == 1
        else:
            axis = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}[layer.op]
            weights, bias = tensors[1].quantization, tensors[2].quantization
            assert weights is not None
            assert bias is not None
            assert (weights.axis, bias.axis) == (axis, 0)
            assert len(weights.scales) == len(bias.scales) == tensors[1].shape[axis] == tensors[2].shape[0]
            assert bias.scales == pytest.approx([x.scales[0] * scale for scale in weights.scales])


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("params", SMALL, ids=label)
def test_written_graphs_read_back_equal(params: ZooParams, precision: Precision) -> None:
    made = graph(params, precision, batch=2)
    again = parse_graph(write_model(made), made.name)
    assert (again.inputs, again.outputs) == (made.inputs, made.outputs)
    for ours, theirs in zip(made.layers, again.layers, strict=True):
        assert (theirs.op, theirs.inputs, theirs.outputs) == (ours.op, ours.inputs, ours.outputs)
        assert theirs.version == ours.version
        assert {name: theirs.options[name] for name in ours.options} == ours.options
    for mine, read in zip(made.tensors, again.tensors, strict=True):
        assert (read.name, read.shape, read.dtype) == (mine.name, mine.shape, mine.dtype)
        if mine.quantization is not None and read.quantization is not None:
            assert read.quantization.scales == pytest.approx(mine.quantization.scales)
            assert read.quantization.zero_points == mine.quantization.zero_points
            assert (read.quantization.axis or 0) == (mine.quantization.axis or 0)
        else:
            assert mine.quantization is read.quantization is None


def activations(made: LayerGraph, resolver: OpResolverType) -> Iterator[tuple[Layer, np.ndarray]]:
    """Every layer with its values in LiteRT, on a random input."""
    interpreter = Interpreter(
        model_content=bytes(write_model(made)),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=resolver,
    )
    interpreter.allocate_tensors()
    generator, shape = np.random.default_rng(0), made.tensors[0].shape
    if made.tensors[0].dtype == "int8":
        interpreter.set_tensor(0, generator.integers(-128, 128, shape, np.int8))
    else:
        interpreter.set_tensor(0, generator.uniform(-1.7, 1.7, shape).astype(np.float32))
    interpreter.invoke()
    for layer in made.layers:
        yield layer, interpreter.get_tensor(layer.outputs[0])


@pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors.:UserWarning")
@pytest.mark.parametrize("params", [*WHOLE, *SMALL], ids=label)
def test_every_activation_keeps_its_spread(params: ZooParams) -> None:
    """Codes neither die nor saturate at any depth; probabilities, most of them below 1/256, still differ."""
    for layer, values in activations(graph(params), OpResolverType.BUILTIN):
        if layer.op == "SOFTMAX":  # of logits as wide as wanted, the one or the other draw has a sure winner
            assert len(np.unique(values)) >= min(5, values.size / 4)
        else:
            assert values.std() > 8, layer
            assert np.mean(values == 127) < 0.2, layer
            assert len(np.unique(values)) >= min(8, values.size / 4), layer


@pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors.:UserWarning")
@pytest.mark.parametrize(
    "params",
    [pytest.param(params, marks=pytest.mark.slow if params.model in SLOW else ()) for params in WHOLE],
    ids=label,
)
def test_floats_keep_their_size(params: ZooParams) -> None:
    """Values neither vanish nor explode, though nothing clips them; the probabilities add up to one."""
    for layer, values in activations(graph(params, "float32"), OpResolverType.BUILTIN):
        if layer.op == "SOFTMAX":
            assert values.sum() == pytest.approx(1)
        else:
            assert 0.01 < np.mean(values.astype(float) ** 2) < 100, layer


@pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors.:UserWarning")
@pytest.mark.parametrize("model", ["resnet50_v2", "densenet121"])
def test_batch_normalisation_is_a_gain_and_a_bias_a_channel(model: str) -> None:
    made = graph(ZooParams(model=model, image=65, output=10), "float32")
    file = parse_graph(write_model(made), made.name)
    assert len(file.layers) == len(made.layers)
    data = bytes(write_model(made))
    known: dict[int, np.ndarray] = {}
    pairs = 0
    for layer, values in activations(made, OpResolverType.BUILTIN):
        known[layer.outputs[0]] = values
        for tensor_id in layer.inputs[1:]:
            weights = file.tensors[tensor_id].weights
            if isinstance(weights, FileWeights) and layer.op in ("MUL", "ADD"):
                end = weights.offset + weights.size_bytes
                known[tensor_id] = np.frombuffer(data[weights.offset : end], np.float32)
        if layer.op == "MUL":
            x, gain = (known[tensor_id] for tensor_id in layer.inputs)
            product = x * gain
        elif layer.op == "ADD" and layer.options["fused_activation_function"] == "RELU":
            pairs += 1
            expected = np.maximum(product + known[layer.inputs[1]], 0)
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    assert pairs == {"resnet50_v2": 17, "densenet121": 62}[model]


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("params", [WHOLE[0], *SMALL], ids=label)
def test_both_kernels_take_the_file(params: ZooParams, precision: Precision) -> None:
    """Probabilities differ under the default kernels (XNNPACK) and the builtin ones; in float32 the two agree."""
    made = graph(params, precision)
    found = {}
    for resolver in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        interpreter = Interpreter(model_content=bytes(write_model(made)), experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        codes = np.random.default_rng(1).integers(-128, 128, made.tensors[0].shape, np.int8)
        interpreter.set_tensor(0, codes if precision == "int8" else (codes / 74).astype(np.float32))
        interpreter.invoke()
        found[resolver] = interpreter.get_tensor(made.outputs[0])[0]
    xnnpack, builtin = found[OpResolverType.AUTO], found[OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES]
    for probabilities in (xnnpack, builtin):
        assert len(np.unique(probabilities)) >= min(8, probabilities.size / 4)
    if precision == "float32":
        np.testing.assert_allclose(xnnpack, builtin, rtol=1e-3, atol=1e-6)
