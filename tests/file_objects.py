"""TFLite files as objects of the schema's own Python, among them one with all that converters seldom write."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def objects(data: bytes | memoryview) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(data)))


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def vector(*values: int, dtype: Any = np.int32) -> np.ndarray:
    return np.asarray(values, dtype)


def tensor(shape: tuple[int, ...], buffer: int = 0, **fields: Any) -> Any:
    made = schema.TensorT()
    made.shape, made.buffer, made.name, made.hasRank = vector(*shape), buffer, b"t", True
    for name, value in fields.items():
        assert name in vars(made)
        setattr(made, name, value)
    return made


def quantization(**fields: Any) -> Any:
    made = schema.QuantizationParametersT()
    for name, value in fields.items():
        assert name in vars(made)
        setattr(made, name, value)
    return made


def blockwise(scales: int, zero_points: int) -> Any:
    details = schema.BlockwiseQuantizationT()
    details.scales, details.zeroPoints, details.blockSize = scales, zero_points, 2
    return quantization(detailsType=schema.QuantizationDetails.BlockwiseQuantization, details=details)


def sparsity() -> Any:
    dense, sparse = schema.DimensionMetadataT(), schema.DimensionMetadataT()
    dense.denseSize = 2
    sparse.format = schema.DimensionType.SPARSE_CSR
    for field, kind, values in (("Segments", "Uint8Vector", (0, 1, 2)), ("Indices", "Uint16Vector", (0, 1))):
        content = getattr(schema, f"{kind}T")()
        content.values = vector(*values, dtype=np.uint8 if kind == "Uint8Vector" else np.uint16)
        setattr(sparse, f"array{field}Type", getattr(schema.SparseIndexVector, kind))
        setattr(sparse, f"array{field}", content)
    made = schema.SparsityParametersT()
    made.traversalOrder, made.blockMap, made.dimMetadata = vector(0, 1), vector(), [dense, sparse]
    return made


def buffer(data: bytes | None = None) -> Any:
    made = schema.BufferT()
    made.data = None if data is None else np.frombuffer(data, np.uint8)
    return made


def operator(code: int, inputs: tuple[int, ...], outputs: tuple[int, ...], **fields: Any) -> Any:
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, vector(*inputs), vector(*outputs)
    for name, value in fields.items():
        assert name in vars(made)
        setattr(made, name, value)
    return made


def custom_code(name: bytes, version: int) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = made.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    made.customCode, made.version = name, version
    return made


def named(name: bytes, buffer_number: int) -> Any:
    made = schema.MetadataT()
    made.name, made.buffer = name, buffer_number
    return made


def strange_model() -> Any:
    """Two custom ops, one after another."""
    variant = schema.VariantSubTypeT()
    variant.shape, variant.type, variant.hasRank = vector(2), schema.TensorType.INT8, True
    custom = schema.CustomQuantizationT()
    custom.custom = vector(9, 8, 7, dtype=np.uint8)
    floats = {name: np.asarray([1.5, np.nan], np.float32) for name in ("min", "max")}
    per_axis = quantization(
        scale=np.asarray([0.5, 0.25], np.float32),
        zeroPoint=vector(1, -1, dtype=np.int64),
        quantizedDimension=1,
        **floats,
    )
    described = quantization(detailsType=schema.QuantizationDetails.CustomQuantization, details=custom)
    main = schema.SubGraphT()
    main.tensors = [
        tensor((1, 4), type=schema.TensorType.INT8, shapeSignature=vector(-1, 4)),
        tensor((2, 2), 1, type=schema.TensorType.INT8, quantization=per_axis),
        tensor((1, 2), type=schema.TensorType.INT8, quantization=described),
        tensor((1, 4), 2, type=schema.TensorType.INT8, sparsity=sparsity()),
        tensor((1, 4), 3, type=schema.TensorType.INT8, quantization=blockwise(5, -1)),
        tensor((2,), 4, type=schema.TensorType.FLOAT16),
        tensor((1, 2), isVariable=True, variantTensors=[variant]),
        tensor((1,), type=schema.TensorType.INT16, name=b"not \xff UTF-8"),
        tensor((), type=schema.TensorType.INT8),
    ]
    main.inputs, main.outputs, main.name = vector(0), vector(8), b"its name"
    first = operator(1, (0, 1, -1, 3), (2,), customOptions=vector(*range(200), dtype=np.uint8))
    second = operator(
        0, (2, 4, 6, -1), (8,), intermediates=vector(7), mutatingVariableInputs=np.asarray([0, 0, 1, 0], bool)
    )
    main.operators = [first, second]
    model = schema.ModelT()
    model.version, model.description, model.subgraphs = 3, b"its own", [main]
    model.operatorCodes = [custom_code(b"second", 7), custom_code(b"first", 2)]
    model.buffers = [
        buffer(),
        buffer(b"abcd"),
        buffer(b"xy"),
        buffer(b"wxyz"),
        buffer(b"1234"),
        buffer(b"1.2.3"),
        buffer(b"fp16"),
    ]
    names = (b"min_runtime_version", b"TFLITE_METADATA", b"reduced_precision_support", b"model_control_dependencies")
    model.metadata = [named(name, number) for name, number in zip(names, (5, 1, 6, 1), strict=True)]
    return model
