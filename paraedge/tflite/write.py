"""LayerGraph -> .tflite, directly: no TensorFlow, no converter. Weights are drawn straight into the file's bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from paraedge.core.errors import BadInput, TooLarge
from paraedge.core.graph import ConstantWeights, FileWeights, Layer, LayerGraph, SeededWeights, Tensor, Weights
from paraedge.tflite.estimate import BUFFER_ALIGNMENT_BYTES, FILE_BYTES_LIMIT, model_bytes_estimate, same_data
from paraedge.tflite.options import pack_options
from paraedge.tflite.schema import IDENTIFIER, dtype_numbers, numbers, options_name
from paraedge.tflite.weights import fill

SCHEMA_VERSION = 3
"""`Model.version` of every TFLite file."""

DESCRIPTION = "paraedge"

Code: TypeAlias = "tuple[str, int, str | None]"


def write_model(graph: LayerGraph, *, source: bytes | memoryview | None = None) -> memoryview:
    """The bytes of a .tflite file with `graph` as its only subgraph.

    Weights are inline and aligned to 16 bytes; tensors with the same seeded weights share one buffer. `source`: the
    file that the graph's FileWeights lie in. Raises TooLarge, before allocating, for a file of 2 GiB or more, and
    BadInput for an operator, option or type that TFLite doesn't know.
    """
    file_bytes = model_bytes_estimate(graph)
    if file_bytes > FILE_BYTES_LIMIT:
        raise TooLarge(f"{graph.name} needs a file of {file_bytes / 2**30:.2f} GiB; a FlatBuffer ends at 2 GiB")
    # growing a builder copies it: reserve somewhat more than will be needed
    spare = 4096 + 256 * (len(graph.tensors) + len(graph.layers))
    builder: Any = flatbuffers.Builder(min(file_bytes + spare, flatbuffers.Builder.MAX_BUFFER_SIZE))
    buffers, buffer_of = _buffers(builder, graph.tensors, source)
    tensors = [_tensor(builder, tensor, buffer) for tensor, buffer in zip(graph.tensors, buffer_of, strict=True)]
    codes = {code: index for index, code in enumerate(dict.fromkeys(_code(layer) for layer in graph.layers))}
    operators = [_operator(builder, layer, codes[_code(layer)]) for layer in graph.layers]
    subgraph = _subgraph(builder, graph, tensors, operators)
    code_tables = [_operator_code(builder, code) for code in codes]
    _model(builder, code_tables, [subgraph], buffers)
    return memoryview(builder.Bytes)[builder.Head() :].toreadonly()


def _model(builder: Any, codes: Sequence[int], subgraphs: Sequence[int], buffers: Sequence[int]) -> None:
    code_vector = tables(builder, codes)
    subgraph_vector = tables(builder, subgraphs)
    buffer_vector = tables(builder, buffers)
    description = builder.CreateString(DESCRIPTION)
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, SCHEMA_VERSION)
    schema.ModelAddOperatorCodes(builder, code_vector)
    schema.ModelAddSubgraphs(builder, subgraph_vector)
    schema.ModelAddDescription(builder, description)
    schema.ModelAddBuffers(builder, buffer_vector)
    builder.Finish(schema.ModelEnd(builder), file_identifier=IDENTIFIER)


def _subgraph(builder: Any, graph: LayerGraph, tensors: Sequence[int], operators: Sequence[int]) -> int:
    tensor_vector = tables(builder, tensors)
    operator_vector = tables(builder, operators)
    inputs, outputs = integers(builder, graph.inputs), integers(builder, graph.outputs)
    name = builder.CreateString("main")
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensor_vector)
    schema.SubGraphAddInputs(builder, inputs)
    schema.SubGraphAddOutputs(builder, outputs)
    schema.SubGraphAddOperators(builder, operator_vector)
    schema.SubGraphAddName(builder, name)
    return int(schema.SubGraphEnd(builder))


def _buffers(builder: Any, tensors: Sequence[Tensor], source: bytes | memoryview | None) -> tuple[list[int], list[int]]:
    """Offsets of the Buffer tables, the first of which is empty, and each tensor's index among them."""
    schema.BufferStart(builder)
    offsets, indices = [int(schema.BufferEnd(builder))], []
    known: dict[tuple[Weights, str, int], int] = {}
    for tensor in tensors:
        if tensor.weights is None:
            indices.append(0)
            continue
        key = same_data(tensor.weights, tensor)
        if key not in known:
            known[key] = len(offsets)
            offsets.append(_buffer(builder, tensor, tensor.weights, source))
        indices.append(known[key])
    return offsets, indices


def _buffer(builder: Any, tensor: Tensor, weights: Weights, source: bytes | memoryview | None) -> int:
    size_bytes = weights.size_bytes if isinstance(weights, FileWeights) else tensor.size_bytes
    if size_bytes is None:
        raise BadInput(f"tensor {tensor.name}: constants of type {tensor.dtype} can't be written")
    return buffer(builder, size_bytes, lambda out: _fill(tensor, weights, out, source))


def buffer(builder: Any, size_bytes: int, fill_in: Callable[[npt.NDArray[np.uint8]], object]) -> int:
    """Offset of a new Buffer table with `size_bytes` of data, which `fill_in` is given to write."""
    # the generated Pack ignores the schema's `force_align: 16` and copies; so reserve the vector and fill it in place
    builder.StartVector(1, size_bytes, BUFFER_ALIGNMENT_BYTES)
    builder.head -= size_bytes
    fill_in(np.frombuffer(builder.Bytes, np.uint8, size_bytes, builder.head))
    data = builder.EndVector()
    schema.BufferStart(builder)
    schema.BufferAddData(builder, data)
    return int(schema.BufferEnd(builder))


def _fill(tensor: Tensor, weights: Weights, out: npt.NDArray[np.uint8], source: bytes | memoryview | None) -> None:
    if isinstance(weights, SeededWeights):
        fill(weights, tensor.dtype, out)
    elif isinstance(weights, ConstantWeights):
        values = np.asarray(weights.values, dtype=np.dtype(tensor.dtype).newbyteorder("<"))
        if values.size != tensor.elements:
            raise BadInput(f"tensor {tensor.name} has {values.size} values for the shape {tensor.shape}")
        out[:] = values.view(np.uint8)
    elif source is None:
        raise BadInput(f"tensor {tensor.name} has its weights in a file; give that file's bytes as source")
    else:
        out[:] = np.frombuffer(source, np.uint8, weights.size_bytes, weights.offset)


def _tensor(builder: Any, tensor: Tensor, buffer: int) -> int:
    if tensor.dtype not in dtype_numbers():
        raise BadInput(f"tensor {tensor.name}: TFLite has no type {tensor.dtype}; it has {', '.join(dtype_numbers())}")
    name = builder.CreateString(tensor.name)
    shape = integers(builder, tensor.shape)
    quantization = _quantization(builder, tensor)
    schema.TensorStart(builder)
    schema.TensorAddShape(builder, shape)
    schema.TensorAddType(builder, dtype_numbers()[tensor.dtype])
    schema.TensorAddBuffer(builder, buffer)
    schema.TensorAddName(builder, name)
    if quantization is not None:
        schema.TensorAddQuantization(builder, quantization)
    schema.TensorAddHasRank(builder, True)
    return int(schema.TensorEnd(builder))


def _quantization(builder: Any, tensor: Tensor) -> int | None:
    if tensor.quantization is None:
        return None
    scales = builder.CreateNumpyVector(np.asarray(tensor.quantization.scales, dtype=np.float32))
    zero_points = builder.CreateNumpyVector(np.asarray(tensor.quantization.zero_points, dtype=np.int64))
    schema.QuantizationParametersStart(builder)
    schema.QuantizationParametersAddScale(builder, scales)
    schema.QuantizationParametersAddZeroPoint(builder, zero_points)
    schema.QuantizationParametersAddQuantizedDimension(builder, tensor.quantization.axis or 0)
    return int(schema.QuantizationParametersEnd(builder))


def _code(layer: Layer) -> Code:
    return (layer.op, layer.version, layer.custom_code)


def _operator_code(builder: Any, code: Code) -> int:
    op, version, custom_code = code
    number = numbers("BuiltinOperator").get(op)
    if number is None:
        raise BadInput(f"TFLite has no operator {op}; operators are named as in its schema, such as FULLY_CONNECTED")
    custom = None if custom_code is None else builder.CreateString(custom_code)
    schema.OperatorCodeStart(builder)
    schema.OperatorCodeAddDeprecatedBuiltinCode(builder, min(number, 127))  # a byte: higher codes are in the new field
    if custom is not None:
        schema.OperatorCodeAddCustomCode(builder, custom)
    schema.OperatorCodeAddVersion(builder, version)
    schema.OperatorCodeAddBuiltinCode(builder, number)
    return int(schema.OperatorCodeEnd(builder))


def _operator(builder: Any, layer: Layer, code_index: int) -> int:
    kind = options_name(layer.op)
    if kind is None and layer.options:
        raise BadInput(f"{layer.op} has no options in TFLite, but was given {', '.join(layer.options)}")
    options = None if kind is None else pack_options(builder, kind, layer.options)
    inputs, outputs = integers(builder, layer.inputs), integers(builder, layer.outputs)
    schema.OperatorStart(builder)
    schema.OperatorAddOpcodeIndex(builder, code_index)
    schema.OperatorAddInputs(builder, inputs)
    schema.OperatorAddOutputs(builder, outputs)
    if kind is not None and kind in numbers("BuiltinOptions"):
        schema.OperatorAddBuiltinOptionsType(builder, numbers("BuiltinOptions")[kind])
        schema.OperatorAddBuiltinOptions(builder, options)
    elif kind is not None:
        schema.OperatorAddBuiltinOptions2Type(builder, numbers("BuiltinOptions2")[kind])
        schema.OperatorAddBuiltinOptions2(builder, options)
    return int(schema.OperatorEnd(builder))


def integers(builder: Any, values: Iterable[int]) -> int:
    """Offset of a new vector of 32-bit integers."""
    return int(builder.CreateNumpyVector(np.asarray(tuple(values), dtype=np.int32)))


def tables(builder: Any, offsets: Sequence[int]) -> int:
    """Offset of a new vector of the tables that lie at these offsets."""
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
