"""The reader against independent readers (the schema's object API, LiteRT itself), and files that are no models."""

from __future__ import annotations

import dataclasses
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from paraedge.core.errors import BadModelFile
from paraedge.core.graph import ConstantWeights, FileWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.tflite import parse_graph, read_graph, write_model
from paraedge.tflite.schema import snake_case


def model_files(folder: Path) -> list[Path]:
    files = sorted((folder / "models").rglob("*.tflite"))
    assert len(files) >= 20
    return files


def enum_name(enum: type, number: int) -> str:
    return next(name for name, value in vars(enum).items() if value == number)


def check_tensor(data: bytes, tensor: Tensor, other: Any, buffers: list[Any]) -> None:
    assert tensor.name == (other.name.decode() if other.name else tensor.name)
    assert tensor.shape == tuple([] if other.shape is None else other.shape)
    assert tensor.dtype.upper() == enum_name(schema.TensorType, other.type)
    theirs = buffers[other.buffer].data if buffers else None
    if tensor.weights is None:
        assert theirs is None or not len(theirs)
    elif isinstance(tensor.weights, FileWeights):
        first = tensor.weights.offset
        assert np.array_equal(np.frombuffer(data, np.uint8, tensor.weights.size_bytes, first), theirs)
    else:
        assert np.asarray(tensor.weights.values, dtype=tensor.dtype).tobytes() == theirs.tobytes()
    if tensor.quantization is not None:
        assert np.allclose(tensor.quantization.scales, other.quantization.scale)
        assert np.array_equal(tensor.quantization.zero_points, other.quantization.zeroPoint)


def check_layer(layer: Layer, other: Any, codes: list[Any]) -> None:
    code = codes[other.opcodeIndex]
    assert layer.op == enum_name(schema.BuiltinOperator, max(code.builtinCode, code.deprecatedBuiltinCode))
    assert layer.version == code.version
    assert layer.custom_code == (code.customCode.decode() if code.customCode else None)
    assert layer.inputs == tuple([] if other.inputs is None else other.inputs)
    assert layer.outputs == tuple(other.outputs)
    theirs = {snake_case(name): value for name, value in vars(other.builtinOptions or schema.AddOptionsT()).items()}
    for field, value in layer.options.items():
        if isinstance(value, tuple):
            assert value == tuple([] if theirs[field] is None else theirs[field])
        elif isinstance(value, str):  # an enumeration by name
            assert theirs[field] in {vars(enum).get(value) for enum in vars(schema).values() if isinstance(enum, type)}
        else:
            assert value == theirs[field]


def test_published_files_read_as_the_object_api_reads_them(edgetpu_data: Path) -> None:
    for path in model_files(edgetpu_data):
        data = path.read_bytes()
        graph = read_graph(path)
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
        main = model.subgraphs[0]
        assert graph.name == path.stem
        assert graph.inputs == tuple(main.inputs)
        assert graph.outputs == tuple(main.outputs)
        for tensor, other in zip(graph.tensors, main.tensors, strict=True):
            check_tensor(data, tensor, other, model.buffers)
        for layer, other in zip(graph.layers, main.operators, strict=True):
            check_layer(layer, other, model.operatorCodes)


def test_a_compiled_model_is_one_custom_op(edgetpu_data: Path) -> None:
    graph = read_graph(edgetpu_data / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    (layer,) = graph.layers
    assert (layer.op, layer.custom_code) == ("CUSTOM", "edgetpu-custom-op")
    assert graph.macs is None


def test_published_sizes_of_mobilenet(edgetpu_data: Path) -> None:
    """MobileNet's own table: https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.md."""
    published = {"0.25_128": (14, 0.47), "0.5_160": (77, 1.34), "0.75_192": (233, 2.59)}
    for name, (macs_millions, parameters_millions) in published.items():
        graph = read_graph(edgetpu_data / "models" / f"mobilenet_v1_{name}_quant.tflite")
        assert graph.macs is not None
        assert graph.macs / 1e6 == pytest.approx(macs_millions, rel=0.04)
        assert graph.parameters / 1e6 == pytest.approx(parameters_millions, rel=0.02)


def test_shapes_and_types_are_litert_s(small_graph: LayerGraph) -> None:
    data = bytes(write_model(small_graph))
    interpreter = Interpreter(model_content=data)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    for index, tensor in enumerate(parse_graph(data, "x").tensors):
        assert tensor.shape == tuple(details[index]["shape"])
        assert np.dtype(tensor.dtype) == details[index]["dtype"]
        assert tensor.name == details[index]["name"]


def test_weights_are_not_read(tmp_path: Path) -> None:
    weights = Tensor(name="w", shape=(4096, 8192), dtype="int8", weights=SeededWeights(seed=1, stream=1, bound=127))
    path = tmp_path / "large.tflite"
    path.write_bytes(write_model(LayerGraph(name="large", tensors=(weights,), layers=(), inputs=(), outputs=())))
    read_graph(path)  # imports and tables are made once
    tracemalloc.start()
    try:
        graph = read_graph(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert graph.tensors[0].size_bytes == 4096 * 8192
    assert peak < 1_000_000


NO_MODELS = {
    "empty": (b"", "is empty; expected a TensorFlow Lite model"),
    "short": (b"\x1c\x00\x00", "only 3 bytes long"),
    "text": (b"# A sweep\nname = 'quick'\n" * 9, "is text; expected"),
    "zip": (b"PK\x03\x04" + bytes(60), r"zip archive, such as a \.keras model"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5 file"),
    "random": (bytes(range(200, 256)), "no TFLite model: bytes 4 to 8 are not TFL3"),
    "another kind": (b"\x10\x00\x00\x00MNET" + bytes(60), r"FlatBuffer of another kind \(MNET\)"),
    "only a head": (b"\x1c\x00\x00\x00TFL3", "truncated or damaged"),
    "zeros after the head": (b"\x1c\x00\x00\x00TFL3" + bytes(100), "a model without a subgraph|damaged"),
}


@pytest.mark.parametrize(("data", "message"), NO_MODELS.values(), ids=NO_MODELS.keys())
def test_what_is_no_model_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(BadModelFile, match=message) as of_file:
        read_graph(path)
    with pytest.raises(BadModelFile, match=message):
        parse_graph(data, "model")
    assert str(path) in str(of_file.value)
    assert "\n" not in str(of_file.value)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(BadModelFile, match="No such file"):
        read_graph(tmp_path / "missing.tflite")
    with pytest.raises(BadModelFile, match="a directory"):
        read_graph(tmp_path)
    with pytest.raises(BadModelFile, match="/dev/null: no regular file"):
        read_graph("/dev/null")
    with pytest.raises(BadModelFile, match="is no path"):
        read_graph("a\0b")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadModelFile, match="no regular file"):
        read_graph(tmp_path / "pipe")


def test_a_truncated_file_is_called_truncated(small_files: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "half.tflite"
    data = small_files["fc-int8"]
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadModelFile, match=re.escape(str(path)) + ": truncated or damaged"):
        read_graph(path)


X, Y, Z = (Tensor(name=name, shape=(1, 4), dtype="float32") for name in "xyz")
CONSTANT = dataclasses.replace(X, name="c", weights=ConstantWeights(values=(1.0, 2.0, 3.0, 4.0)))


def relu(source: int, target: int) -> Layer:
    return Layer(op="RELU", inputs=(source,), outputs=(target,), options={})


def chain(tensors: tuple[Tensor, ...], *layers: Layer, inputs: tuple[int, ...] = (0,)) -> LayerGraph:
    return LayerGraph(name="g", tensors=tensors, layers=layers, inputs=inputs, outputs=(len(tensors) - 1,))


MALFORMED = {
    "input out of range": (chain((X, Y), relu(7, 1)), r"layer 0 \(RELU\) refers to tensor 7 of 2"),
    "negative output": (chain((X, Y), relu(0, -1)), r"layer 0 \(RELU\) refers to tensor -1"),
    "graph input out of range": (chain((X, Y), relu(0, 1), inputs=(5,)), "the graph refers to tensor 5 of 2"),
    "negative graph input": (chain((X, Y), relu(0, 1), inputs=(-1,)), "the graph refers to tensor -1"),
    "cycle": (chain((X, Y, Z), relu(2, 1), relu(1, 2)), r"layer 0 \(RELU\) reads tensor 2 before layer 1 makes it"),
    "reads itself": (chain((X, Y), relu(1, 1)), "reads tensor 1 before layer 0"),
    "made twice": (chain((X, Y), relu(0, 1), relu(0, 1)), "makes tensor 1, which is there already"),
    "overwrites an input": (chain((X, Y), relu(1, 0)), "makes tensor 0, which is there already"),
    "overwrites a constant": (chain((X, CONSTANT), relu(0, 1)), "makes tensor 1, which is there already"),
    "negative size": (
        chain((dataclasses.replace(X, shape=(-1, 4)), Y), relu(0, 1)),
        r"tensor 0 has the shape \(-1, 4\); sizes must be fixed",
    ),
    "scales along a missing axis": (
        chain((dataclasses.replace(X, quantization=Quantization(scales=(1.0, 2.0), zero_points=(0, 0), axis=3)), Y)),
        "2 scales along axis 3",
    ),
}


@pytest.mark.parametrize(("graph", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_graphs_that_make_no_sense_are_refused(graph: LayerGraph, message: str) -> None:
    with pytest.raises(BadModelFile, match=message):
        parse_graph(write_model(graph), "g")


def test_silly_sizes_and_scales_are_no_error() -> None:
    huge = dataclasses.replace(
        X, shape=(2**31 - 1,) * 8, quantization=Quantization(scales=(float("nan"),), zero_points=(0,))
    )
    graph = parse_graph(write_model(chain((huge, Y), relu(0, 1))), "silly")
    assert graph.macs == 0
    assert graph.input_bytes == 4 * (2**31 - 1) ** 8


def test_weights_of_another_size_than_the_shape_are_refused() -> None:
    short = dataclasses.replace(X, weights=FileWeights(offset=0, size_bytes=12))
    with pytest.raises(BadModelFile, match="tensor 0 has 12 bytes of data for the shape"):
        parse_graph(write_model(chain((short,)), source=bytes(12)), "g")


def test_weights_after_the_flatbuffer_are_found() -> None:
    """Files of more than 2 GiB keep their weights after the FlatBuffer, with `Buffer.offset` and `size`."""
    data = bytes(write_model(chain((CONSTANT, Y), relu(0, 1), inputs=())))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 4096, 16
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    head = bytes(builder.Output())
    whole = head + bytes(4096 - len(head)) + np.arange(4, dtype=np.float32).tobytes()
    assert parse_graph(whole, "g").tensors[0].weights == FileWeights(offset=4096, size_bytes=16)
    with pytest.raises(BadModelFile, match="truncated: weights end at byte 4112 of 4111"):
        parse_graph(whole[:-1], "g")
