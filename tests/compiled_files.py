"""Compiled Edge TPU models made by hand, with FlatBuffers' own builders: independent of paraedge's reader.

The shape is that of google-coral/libedgetpu's executable/executable.fbs. They hold zeros of the right length, so no
device would run them, but every size that a compiler would write is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from math import prod

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

CUSTOM_CODE = "edgetpu-custom-op"
STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY = range(3)
OUTPUT, INPUT, PARAMETER, SCRATCH = range(4)

Fill = Callable[[flatbuffers.Builder], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What one executable is to hold; `inputs` and `outputs` are (name, bytes, (y, x, z))."""

    kind: int = EXECUTION_ONLY
    parameter_bytes: int = 0
    instruction_bytes: tuple[int, ...] = (1024,)
    inputs: tuple[tuple[str, int, tuple[int, int, int]], ...] = ()
    outputs: tuple[tuple[str, int, tuple[int, int, int]], ...] = ()
    scratch_bytes: int = 0
    narrow_bytes: int = 0
    cycles: int = 0
    token: int = 1
    fences: int = 0


def compiled_model(
    name: str = "model",
    *,
    input_shape: Sequence[int] = (1, 8, 8, 3),
    output_shape: Sequence[int] = (1, 10),
    cached_bytes: int = 0,
    streamed_bytes: int = 0,
    instruction_bytes: int = 1024,
    scratch_bytes: int = 0,
    narrow_bytes: int = 832,
    cycles: int = 0,
    token: int = 1,
    compiler: str = "cl/343520747",
    minimum_runtime: int = 13,
    compiled_ops: int = 1,
    cpu_ops: Sequence[str] = (),
) -> bytes:
    """A .tflite file: input, `compiled_ops` edgetpu-custom-ops in a row, then `cpu_ops`, then output, all int8.

    Each compiled op has an EXECUTION_ONLY executable and, where `cached_bytes` is not 0, a PARAMETER_CACHING one.
    `cpu_ops` are names of builtin operators without options that keep the shape (`ABS`, `NEG`).
    """
    packages = []
    for index in range(compiled_ops):
        shape = input_shape if index == 0 else output_shape
        main = Run(
            parameter_bytes=streamed_bytes,
            instruction_bytes=(instruction_bytes,),
            inputs=((f"t{index}", prod(shape), _yxz(shape)),),
            outputs=((f"t{index + 1}", prod(output_shape), _yxz(output_shape)),),
            scratch_bytes=scratch_bytes,
            narrow_bytes=narrow_bytes,
            cycles=cycles,
            token=token,
        )
        runs = [main]
        if cached_bytes:
            caching = Run(kind=PARAMETER_CACHING, parameter_bytes=cached_bytes, instruction_bytes=(1232,), token=token)
            runs.append(caching)
        packages.append(package(runs, compiler=compiler, minimum_runtime=minimum_runtime))
    return model_of(packages, name=name, input_shape=input_shape, output_shape=output_shape, cpu_ops=cpu_ops)


def model_of(
    packages: Sequence[bytes],
    *,
    name: str = "model",
    input_shape: Sequence[int] = (1, 8, 8, 3),
    output_shape: Sequence[int] = (1, 10),
    cpu_ops: Sequence[str] = (),
) -> bytes:
    """A .tflite file whose compiled ops hold `packages`, in a row, with `cpu_ops` behind them."""
    model = schema.ModelT()
    model.version = 3
    model.description = name
    model.buffers = [schema.BufferT()]
    model.operatorCodes = [_code(schema.BuiltinOperator.CUSTOM, CUSTOM_CODE)]
    model.operatorCodes += [_code(getattr(schema.BuiltinOperator, op), None) for op in cpu_ops]
    graph = schema.SubGraphT()
    count = len(packages) + len(cpu_ops)
    graph.tensors = [_tensor(f"t{i}", output_shape if i else input_shape) for i in range(count + 1)]
    graph.inputs, graph.outputs = [0], [count]
    graph.operators = [_operator(0, i, options(content)) for i, content in enumerate(packages)]
    graph.operators += [_operator(1 + i, len(packages) + i, None) for i in range(len(cpu_ops))]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def options(content: bytes, key: str = "4") -> bytes:
    """The custom options of a compiled op: a FlexBuffer map with `content` as a string, which needn't be UTF-8."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("1")
        builder.Int(2)
        builder.Key(key)
        builder._WriteBlob(content, append_zero=True, type_=flexbuffers.Type.STRING)
        builder.Key("5")
        builder.Int(1)
    return bytes(builder.Finish())


def package(runs: Sequence[Run], *, compiler: str = "cl/343520747", minimum_runtime: int = 13) -> bytes:
    """A DWN1 FlatBuffer: Package -> MultiExecutable -> Executables."""
    inner = flatbuffers.Builder(1024)
    inner.Finish(
        table_of(inner, 1, {0: ("offset", offsets_of(inner, [inner.CreateString(executable(r)) for r in runs]))})
    )
    builder = flatbuffers.Builder(1024)
    content = builder.CreateByteVector(bytes(inner.Output()))
    version = builder.CreateString(compiler)
    fields = {0: ("Int32", minimum_runtime), 1: ("offset", content), 4: ("offset", version)}
    builder.Finish(table_of(builder, 8, fields), file_identifier=b"DWN1")
    return bytes(builder.Output())


def executable(run: Run) -> bytes:
    """An Executable's FlatBuffer. Its hints are in the order instructions, parameters, inputs, outputs, interrupt."""
    b = flatbuffers.Builder(1024)
    chunks = [table_of(b, 2, {0: ("offset", b.CreateByteVector(bytes(size)))}) for size in run.instruction_bytes]
    vectors = {
        1: b.CreateString("Unknown" if run.kind == PARAMETER_CACHING else "model"),
        5: offsets_of(b, chunks),
        6: b.CreateByteVector(bytes(run.parameter_bytes)),
        7: _hints(b, run),
        8: offsets_of(b, [_layer(b, *layer) for layer in run.inputs]),
        9: offsets_of(b, [_layer(b, *layer) for layer in run.outputs]),
        10: b.CreateString("beagle"),
    }
    fields: dict[int, tuple[str, int]] = {slot: ("offset", offset) for slot, offset in vectors.items()}
    fields |= {3: ("Int32", 1), 4: ("Int32", run.scratch_bytes), 12: ("Int32", run.narrow_bytes)}
    fields |= {13: ("Int16", run.kind), 14: ("Int64", run.token), 16: ("Int64", run.cycles)}
    b.Finish(table_of(b, 17, fields))
    return bytes(b.Output())


def _hints(b: flatbuffers.Builder, run: Run) -> int:
    hints = [any_hint(b, 2, {0: ("Int32", index)}, 0) for index in range(len(run.instruction_bytes))]
    if run.parameter_bytes:
        hints.append(_transfer(b, PARAMETER, "", run.parameter_bytes, 0))
    hints += [_transfer(b, INPUT, name, size, 0) for name, size, _ in run.inputs]
    hints += [_transfer(b, OUTPUT, name, size, 1) for name, size, _ in run.outputs]
    hints += [any_hint(b, 4, {}, 0) for _ in range(run.fences)]
    hints.append(any_hint(b, 3, {0: ("Int16", 0)}, 1))
    return table_of(b, 2, {0: ("offset", offsets_of(b, hints)), 1: ("Uint8", 1)})


def _transfer(b: flatbuffers.Builder, what: int, name: str, size: int, direction: int) -> int:
    meta = table_of(b, 4, {0: ("Int16", what), 2: ("offset", b.CreateString(name))})
    return any_hint(b, 1, {0: ("offset", meta), 2: ("Int32", size)}, direction)


def any_hint(b: flatbuffers.Builder, kind: int, fields: dict[int, tuple[str, int]], direction: int) -> int:
    content = table_of(b, 3, fields)
    return table_of(b, 3, {0: ("Uint8", kind), 1: ("offset", content), 2: ("Int16", direction)})


def _layer(b: flatbuffers.Builder, name: str, size: int, yxz: tuple[int, int, int]) -> int:
    sizes = {slot: ("Int32", value) for slot, value in enumerate((size, *yxz), start=1)}
    return table_of(b, 12, {0: ("offset", b.CreateString(name)), **sizes})


def table_of(b: flatbuffers.Builder, slots: int, fields: dict[int, tuple[str, int]]) -> int:
    b.StartObject(slots)
    for slot, (kind, value) in fields.items():
        if kind == "offset":
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
    offset: int = b.EndObject()
    return offset


def offsets_of(b: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    vector: int = b.EndVector()
    return vector


def _yxz(shape: Sequence[int]) -> tuple[int, int, int]:
    y, x, z = (1, 1, 1, *shape)[-3:]
    return y, x, z


def _code(number: int, custom_code: str | None) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
    code.customCode = custom_code
    return code


def _tensor(name: str, shape: Sequence[int]) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), schema.TensorType.INT8, 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [0.5], [0]
    return tensor


def _operator(code: int, index: int, custom_options: bytes | None) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [index], [index + 1]
    operator.customOptions = None if custom_options is None else np.frombuffer(custom_options, np.uint8)
    return operator
