"""What the writer makes: it runs in LiteRT, its weights are where and what they should be, and its size is foretold."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge import models
from paraedge.core.errors import BadInput, TooLarge
from paraedge.core.graph import ConstantWeights, FileWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.core.spec import ModelSpec
from paraedge.tflite import model_bytes_estimate, parse_graph, read_graph, write_model

RESOLVERS = [OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.AUTO]


def dense_graph(weights: Tensor, bias: Tensor, dtype: str = "float32", version: int = 1) -> LayerGraph:
    units, depth = weights.shape
    x = Tensor(name="x", shape=(1, depth), dtype=dtype)
    y = Tensor(name="y", shape=(1, units), dtype=dtype)
    layer = Layer(op="FULLY_CONNECTED", inputs=(0, 1, 2), outputs=(3,), options={}, version=version)
    return LayerGraph(name="dense", tensors=(x, weights, bias, y), layers=(layer,), inputs=(0,), outputs=(3,))


def seeded(name: str, shape: tuple[int, ...], dtype: str, stream: int, bound: float = 1.0) -> Tensor:
    return Tensor(name=name, shape=shape, dtype=dtype, weights=SeededWeights(seed=3, stream=stream, bound=bound))


def values_of(data: memoryview, tensor: Tensor) -> np.ndarray:
    assert isinstance(tensor.weights, FileWeights)
    dtype = np.dtype(tensor.dtype)
    return np.frombuffer(data, dtype, tensor.elements, tensor.weights.offset).reshape(tensor.shape)


def run(data: bytes, resolver: OpResolverType, seed: int = 0) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    generator = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        values = generator.integers(0, 256, detail["shape"]).astype(np.uint8)
        values = values / 255 if detail["dtype"] == np.float32 else values.view(detail["dtype"])
        interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


@pytest.mark.parametrize("resolver", RESOLVERS, ids=["reference", "builtin", "xnnpack"])
def test_every_family_runs_under_all_kernels(small_graph: LayerGraph, resolver: OpResolverType) -> None:
    (output,) = run(bytes(write_model(small_graph)), resolver)
    tensor = small_graph.tensors[small_graph.outputs[0]]
    assert output.shape == tensor.shape
    assert output.dtype == np.dtype(tensor.dtype)
    assert len(np.unique(output)) > 1


def test_kernels_agree_on_float_models(float_graph: LayerGraph) -> None:
    data = bytes(write_model(float_graph))
    first, *others = [run(data, resolver)[0] for resolver in RESOLVERS]
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-3, atol=1e-3)


def test_estimate_is_within_one_per_cent(small_graph: LayerGraph) -> None:
    actual = len(write_model(small_graph))
    assert abs(model_bytes_estimate(small_graph) - actual) <= max(0.01 * actual, 512)


@pytest.mark.parametrize("node", [32, 100, 512])
@pytest.mark.parametrize("layer", [1, 4, 32])
def test_estimate_of_larger_models(layer: int, node: int) -> None:
    params = models.FAMILIES["fc"].params(input=200, layer=layer, node=node, output=20)
    graph = models.build_graph(ModelSpec(family="fc", params=params))
    actual = len(write_model(graph))
    assert abs(model_bytes_estimate(graph) - actual) <= max(0.001 * actual, 512)


def test_weights_are_aligned_to_16_bytes_and_inside_the_file(small_graph: LayerGraph) -> None:
    data = write_model(small_graph)
    parsed = parse_graph(data, "parsed")
    in_file = [t.weights for t in parsed.tensors if isinstance(t.weights, FileWeights)]
    assert in_file
    assert all(weights.offset % 16 == 0 for weights in in_file)
    spans = sorted((weights.offset, weights.size_bytes) for weights in in_file)
    assert all(first + size <= following for (first, size), (following, _) in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("dtype", "bound"), [("int8", 127.0), ("int8", 20.0), ("int16", 3000.0), ("int32", 5000.0), ("float32", 0.25)]
)
def test_random_weights_are_uniform_within_their_bound(dtype: str, bound: float) -> None:
    graph = dense_graph(seeded("w", (500, 1001), dtype, 1, bound), seeded("b", (500,), "float32", 2))
    data = write_model(graph)
    values = values_of(data, parse_graph(data, "x").tensors[1]).astype(np.float64).ravel()
    assert values.min() == pytest.approx(-bound, rel=1e-3)
    assert values.max() == pytest.approx(bound, rel=1e-3)
    deviation = bound / np.sqrt(3)
    assert abs(values.mean()) < 4 * deviation / np.sqrt(values.size)
    # whole numbers up to 20 spread 2.5 % wider than a continuous range; 2 zeros of 256 codes are 0.4 % narrower
    assert values.std() == pytest.approx(deviation, rel=0.03 if bound == 20 else 0.01)
    below = [np.mean(values < bound * part) for part in (-0.6, -0.2, 0.2, 0.6)]
    assert below == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.03)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.01


def test_the_same_graph_gives_the_same_bytes_and_another_seed_others() -> None:
    def data(seed: int) -> bytes:
        params = models.FAMILIES["fc"].params(layer=2, node=32)
        return bytes(write_model(models.build_graph(ModelSpec(family="fc", params=params, seed=seed))))

    assert data(1) == data(1)
    assert data(1) != data(2)


def test_random_weights_stay_the_same_for_ever() -> None:
    """A golden hash: the same on every machine, Python and numpy. A change here changes every campaign's models."""
    tensors = [
        seeded("a", (300, 1000), "int8", 1, 127), seeded("b", (9, 9), "int8", 2, 30),
        seeded("c", (1001,), "int32", 3, 10_000), seeded("d", (77, 3), "float32", 4, 0.7),
    ]  # fmt: skip
    graph = LayerGraph(name="weights", tensors=tuple(tensors), layers=(), inputs=(), outputs=())
    data = write_model(graph)
    values = b"".join(values_of(data, tensor).tobytes() for tensor in parse_graph(data, "x").tensors)
    assert hashlib.sha256(values).hexdigest() == GOLDEN


GOLDEN = "e5e9becd6ed5d44ef705656f90682aa6a9d73ec7390392db2774d97882b4d973"


def test_equal_weights_share_a_buffer_and_others_do_not() -> None:
    twins = [seeded("a", (64, 64), "int8", 1, 127), seeded("b", (64, 64), "int8", 1, 127)]
    other = seeded("c", (64, 64), "int8", 2, 127)
    graph = LayerGraph(name="shared", tensors=(*twins, other), layers=(), inputs=(), outputs=())
    data = write_model(graph)
    a, b, c = (tensor.weights for tensor in parse_graph(data, "x").tensors)
    assert a == b
    assert a != c
    assert 2 * 4096 < len(data) < 3 * 4096
    assert abs(model_bytes_estimate(graph) - len(data)) < 256


def test_constants_are_written_as_spelt() -> None:
    tensors = (
        Tensor(name="axes", shape=(2,), dtype="int32", weights=ConstantWeights(values=(1, -2))),
        Tensor(name="scalar", shape=(), dtype="int64", weights=ConstantWeights(values=(2**40,))),
        Tensor(name="real", shape=(3,), dtype="float32", weights=ConstantWeights(values=(0.5, -1.5, 2.0))),
    )
    data = write_model(LayerGraph(name="constants", tensors=tensors, layers=(), inputs=(), outputs=()))
    axes, scalar, real = parse_graph(data, "x").tensors
    assert (axes.weights, scalar.weights) == (tensors[0].weights, tensors[1].weights)
    assert values_of(data, real).tolist() == [0.5, -1.5, 2.0]


def test_operator_codes_have_both_old_and_new_field() -> None:
    x = Tensor(name="x", shape=(1, 4), dtype="float32")
    layers = (
        Layer(op="RELU", inputs=(0,), outputs=(1,), options={}),
        Layer(op="GELU", inputs=(1,), outputs=(2,), options={"approximate": True}),
        Layer(op="RELU", inputs=(2,), outputs=(3,), options={}),
    )
    tensors = tuple(dataclasses.replace(x, name=f"x{i}") for i in range(4))
    data = bytes(write_model(LayerGraph(name="codes", tensors=tensors, layers=layers, inputs=(0,), outputs=(3,))))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    codes = [(c.deprecatedBuiltinCode, c.builtinCode, c.version) for c in model.operatorCodes]
    assert codes == [(19, 19, 1), (127, 150, 1)]
    assert [operator.opcodeIndex for operator in model.subgraphs[0].operators] == [0, 1, 0]
    assert model.version == 3
    assert run(data, OpResolverType.BUILTIN_REF)[0].shape == (1, 4)


def test_per_channel_axis_and_optional_inputs_survive() -> None:
    weights = dataclasses.replace(
        seeded("w", (3, 8), "int8", 1, 127),
        quantization=Quantization(scales=(0.1, 0.2, 0.3), zero_points=(0, 0, 0), axis=0),
    )
    graph = dense_graph(weights, seeded("b", (3,), "float32", 2))
    layer = dataclasses.replace(graph.layers[0], inputs=(0, 1, -1))
    parsed = parse_graph(write_model(dataclasses.replace(graph, layers=(layer,))), "x")
    assert parsed.layers[0].inputs == (0, 1, -1)
    quantization = parsed.tensors[1].quantization
    assert quantization is not None
    assert quantization.axis == 0
    assert quantization.scales == pytest.approx((0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"op": "DENSE"}, "no operator DENSE"),
        ({"options": {"stride": 2}}, "no field 'stride'"),
        ({"options": {"fused_activation_function": "SWISH"}}, "one of NONE, RELU"),
        ({"op": "LOGISTIC", "options": {"beta": 1.0}}, "has no options"),
    ],
)
def test_unknown_names_are_bad_input(change: dict[str, object], message: str) -> None:
    graph = dense_graph(seeded("w", (4, 4), "float32", 1), seeded("b", (4,), "float32", 2))
    wrong = dataclasses.replace(graph, layers=(dataclasses.replace(graph.layers[0], **change),))
    with pytest.raises(BadInput, match=message):
        write_model(wrong)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor(name="t", shape=(2,), dtype="int9"), "no type int9"),
        (Tensor(name="t", shape=(2,), dtype="uint8", weights=SeededWeights(seed=0, stream=0, bound=1)), "no random"),
        (Tensor(name="t", shape=(2,), dtype="int32", weights=ConstantWeights(values=(1,))), "1 values"),
        (Tensor(name="t", shape=(2,), dtype="string", weights=ConstantWeights(values=(1, 2))), "type string"),
        (Tensor(name="t", shape=(4,), dtype="int8", weights=FileWeights(offset=0, size_bytes=4)), "as source"),
    ],
)
def test_tensors_that_can_not_be_written_are_bad_input(tensor: Tensor, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        write_model(LayerGraph(name="bad", tensors=(tensor,), layers=(), inputs=(), outputs=()))


def test_too_large_names_the_size_and_the_limit() -> None:
    graph = dense_graph(seeded("w", (2**16, 2**15), "int8", 1), seeded("b", (2**16,), "float32", 2))
    with pytest.raises(TooLarge, match=r"2\.00 GiB; a FlatBuffer ends at 2 GiB"):
        write_model(graph)


def test_too_large_is_decided_before_allocating() -> None:
    """In a child with 128 MiB of address space above what its imports took, ParaDnn's largest corner is refused."""
    code = textwrap.dedent("""
        import resource
        from paraedge import models
        from paraedge.core.errors import TooLarge
        from paraedge.core.spec import ModelSpec
        from paraedge.tflite import write_model
        params = models.FAMILIES["fc"].params(input=8000, layer=128, node=8192, output=1000)
        graph = models.build_graph(ModelSpec(family="fc", params=params))
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))
        try:
            write_model(graph)
        except TooLarge as error:
            print("refused", error)
    """)
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert child.stdout.startswith("refused")


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant.tflite", "split_concat.tflite"])
def test_a_published_model_written_again_computes_the_same(edgetpu_data: Path, name: str) -> None:
    source = (edgetpu_data / "models" / name).read_bytes()
    again = bytes(write_model(read_graph(edgetpu_data / "models" / name), source=source))
    for resolver in RESOLVERS:
        for expected, actual in zip(run(source, resolver), run(again, resolver), strict=True):
            np.testing.assert_array_equal(actual, expected)
