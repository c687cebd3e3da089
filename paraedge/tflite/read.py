""".tflite -> LayerGraph. Any bytes give a graph or BadModelFile; weights aren't read. Slots: schema.fbs."""

from __future__ import annotations

import errno
import mmap
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from paraedge.core.errors import BadInput, BadModelFile, short
from paraedge.core.graph import (
    ITEM_BYTES,
    ConstantWeights,
    FileWeights,
    Layer,
    LayerGraph,
    Quantization,
    Tensor,
    Weights,
)
from paraedge.tflite.flatbuffer import Source, Table
from paraedge.tflite.options import read_options
from paraedge.tflite.schema import IDENTIFIER, dtypes, names

RANK_LIMIT = 32
"""Highest rank believed; LiteRT's kernels stop at 8."""

CONSTANT_ELEMENTS = 64
"""Integer constants of at most so many elements are spelt out: an op's work depends on axes, shapes and paddings."""

EXPECTED = "expected a TensorFlow Lite model (.tflite)"


def read_graph(path: str | Path) -> LayerGraph:
    """The main subgraph of a .tflite file. The file is mapped, so its weights are not read.

    Raises BadModelFile for a file that is missing, empty, truncated, damaged, or no TFLite model.
    """
    path = Path(path)
    return _parse(map_file(path), path.stem, str(path))


def map_file(path: str | Path, *, read_bytes: int = 0) -> memoryview:
    """The bytes of a file, mapped rather than read. Raises BadModelFile for what is no readable regular file.

    read_bytes: one of at most so many is read. Who maps a file that another program cuts short is killed (SIGBUS).
    """
    try:
        return memoryview(_mapped(Path(path), read_bytes))
    except OSError as error:
        raise BadModelFile(f"{path}: {error.strerror or error}; {EXPECTED}") from None
    except ValueError as error:  # a path with a zero byte in it
        raise BadModelFile(f"{str(path)!r} is no path ({error}); {EXPECTED}") from None


def _mapped(path: Path, read_bytes: int) -> bytes | mmap.mmap:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
        raise OSError(errno.EINVAL, "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file")
    if status.st_size <= read_bytes:
        return path.read_bytes()
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def parse_graph(data: bytes | bytearray | memoryview, name: str) -> LayerGraph:
    """The main subgraph of the .tflite file whose bytes are `data`; `name` is for the graph and for messages.

    Raises BadModelFile for bytes that are no TFLite model.
    """
    return _parse(memoryview(data).cast("B"), name, name)


def _parse(data: memoryview, name: str, where: str) -> LayerGraph:
    check_kind(data, where)
    with damage_named(where):
        return parse_subgraph(ModelTables(Source(data)), 0, name)


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """BadModelFile that begins with `where`, also for what LiteRT's generated reader raises on damaged bytes."""
    try:
        yield
    except BadModelFile as error:
        raise BadModelFile(f"{where}: {error}") from None
    except BadInput:
        raise
    except (struct.error, ValueError, IndexError, TypeError, OverflowError) as error:
        raise BadModelFile(f"{where}: damaged options of an operator, or a tensor ({short(error, 80)})") from None


def check_kind(data: memoryview, where: str) -> None:
    """Raise BadModelFile, saying what the bytes look like, unless they are marked as a TFLite model."""
    head = bytes(data[:512])
    if head[4:8] == IDENTIFIER:
        return
    if not head:
        raise BadModelFile(f"{where} is empty; {EXPECTED}")
    if len(head) < 8:
        kind = f"only {len(head)} bytes long"
    elif head.startswith(b"PK"):
        kind = "a zip archive, such as a .keras model"
    elif head.startswith(b"\x89HDF"):
        kind = "an HDF5 file, such as a Keras model"
    elif head[4:8].isalnum() and 8 <= struct.unpack_from("<I", head)[0] < len(data):
        kind = f"a FlatBuffer of another kind ({head[4:8].decode('ascii')})"
    elif not set(head) - _TEXT_BYTES:
        kind = "text"
    else:
        kind = f"no TFLite model: bytes 4 to 8 are not {IDENTIFIER.decode()}"
    raise BadModelFile(f"{where} is {kind}; {EXPECTED}")


_TEXT_BYTES = frozenset(range(32, 127)) | {9, 10, 13}


class ModelTables:
    """The tables of a model that its subgraphs share: operator codes, and where the data of each buffer lies."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root = source.root()
        self.codes, self.subgraphs = self.root.tables(1), self.root.tables(2)
        self.operators = [operator_code(table) for table in self.codes]
        self.buffers = [_span_of_buffer(source, table) for table in self.root.tables(4)]
        if not self.subgraphs:
            raise BadModelFile("a model without a subgraph")


def parse_subgraph(model: ModelTables, number: int, name: str) -> LayerGraph:
    """A subgraph of a model; the caller names the damage."""
    subgraph, source, buffers = model.subgraphs[number], model.source, model.buffers
    tables = subgraph.tables(0)
    tensors = tuple(_tensor(source, table, index, buffers) for index, table in enumerate(tables))
    operators = enumerate(subgraph.tables(3))
    layers = tuple(_layer(table, index, model.operators, len(tensors)) for index, table in operators)
    inputs, outputs = subgraph.integers(1, "i"), subgraph.integers(2, "i")
    _check_ids(inputs + outputs, 0, len(tensors), "the graph")
    _check_order(tensors, layers, inputs)
    return LayerGraph(name=name, tensors=tensors, layers=layers, inputs=inputs, outputs=outputs)


def operator_code(table: Table) -> tuple[str, int, str | None]:
    """(builtin name, version, custom code). Codes above 127 don't fit the old byte, which then holds 127."""
    number = max(table.integer(0, "b"), table.integer(3, "i"))
    op = names("BuiltinOperator").get(number)
    if op is None:
        raise BadModelFile(f"unknown builtin operator {number}: damaged, or made for a newer LiteRT")
    return op, table.integer(2, "i", 1), (table.text(1) if op == "CUSTOM" else None)


def _span_of_buffer(source: Source, table: Table) -> tuple[int, int]:
    """(first byte, bytes) of a buffer: a vector inside the FlatBuffer, or a range of the file after it."""
    first, size = table.integer(1, "Q"), table.integer(2, "Q")
    if first > 1:  # 0 and 1 mean: inside
        if first + size > source.size:
            raise BadModelFile(f"truncated: weights end at byte {first + size} of {source.size}")
        return first, size
    return table.span(0, 1) or (0, 0)


def _tensor(source: Source, table: Table, index: int, buffers: Sequence[tuple[int, int]]) -> Tensor:
    shape = table.integers(0, "i")
    name = table.text(3) or f"tensor_{index}"
    if len(shape) > RANK_LIMIT or any(size < 0 for size in shape):
        raise BadModelFile(f"tensor {index} has the shape {short(shape, 80)}; sizes must be fixed and not negative")
    number = table.integer(1, "b")
    dtype = dtypes().get(number)
    if dtype is None:
        raise BadModelFile(f"tensor {index} has the unknown type {number}")
    buffer = table.integer(2, "I")
    if buffer >= max(len(buffers), 1):
        raise BadModelFile(f"tensor {index} has buffer {buffer} of {len(buffers)}")
    tensor = Tensor(name=name, shape=shape, dtype=dtype, quantization=_quantization(table.table(4), shape, index))
    first, size = buffers[buffer] if buffer else (0, 0)
    if not size:
        return tensor
    if tensor.size_bytes not in (None, size) and table.table(6) is None:  # sparse tensors store less
        raise BadModelFile(f"tensor {index} has {size} bytes of data for the shape {short(shape, 80)} of {dtype}")
    weights = _weights(source, tensor, first, size)
    return Tensor(name=name, shape=shape, dtype=dtype, quantization=tensor.quantization, weights=weights)


def _weights(source: Source, tensor: Tensor, first: int, size: int) -> Weights:
    kind = {"int32": "i", "int64": "q"}.get(tensor.dtype)
    if kind is not None and size <= CONSTANT_ELEMENTS * ITEM_BYTES[tensor.dtype]:
        return ConstantWeights(values=struct.unpack_from(f"<{tensor.elements}{kind}", source.data, first))
    return FileWeights(offset=first, size_bytes=size)


def _quantization(table: Table | None, shape: tuple[int, ...], index: int) -> Quantization | None:
    if table is None:
        return None
    scales, zero_points, axis = table.floats(2), table.integers(3, "q"), table.integer(6, "i")
    if not scales:
        return None
    if len(zero_points) in (0, 1):
        zero_points = (zero_points or (0,)) * len(scales)
    if len(zero_points) != len(scales):
        raise BadModelFile(f"tensor {index} has {len(scales)} scales and {len(zero_points)} zero points")
    if len(scales) == 1:
        return Quantization(scales=scales, zero_points=zero_points)
    if not 0 <= axis < len(shape) or shape[axis] != len(scales):
        raise BadModelFile(f"tensor {index} has {len(scales)} scales along axis {axis} of the shape {short(shape, 80)}")
    return Quantization(scales=scales, zero_points=zero_points, axis=axis)


def _layer(table: Table, index: int, codes: Sequence[tuple[str, int, str | None]], tensors: int) -> Layer:
    code = table.integer(0, "I")
    if code >= len(codes):
        raise BadModelFile(f"layer {index} has operator code {code} of {len(codes)}")
    op, version, custom_code = codes[code]
    inputs, outputs = table.integers(1, "i"), table.integers(2, "i")
    _check_ids(inputs, -1, tensors, f"layer {index} ({op})")
    _check_ids(outputs, 0, tensors, f"layer {index} ({op})")
    kind = names("BuiltinOptions").get(table.integer(3, "B"), "NONE")
    content = table.table(4)
    if content is None:  # operators since 2023 have their options in a second union
        kind = names("BuiltinOptions2").get(table.integer(11, "B"), "NONE")
        content = table.table(12)
    options = {} if content is None else read_options(content, kind)
    return Layer(op=op, inputs=inputs, outputs=outputs, options=options, version=version, custom_code=custom_code)


def _check_ids(ids: tuple[int, ...], low: int, high: int, where: str) -> None:
    wrong = [i for i in ids if not low <= i < high]
    if wrong:
        raise BadModelFile(f"{where} refers to tensor {wrong[0]} of {high}")


def _check_order(tensors: Sequence[Tensor], layers: Sequence[Layer], inputs: tuple[int, ...]) -> None:
    """Every tensor is made once, and before it is read. State tensors are neither inputs nor made by a layer."""
    maker: dict[int, int] = {}
    given = set(inputs)
    for index, layer in enumerate(layers):
        for tensor_id in layer.outputs:
            if tensor_id in maker or tensor_id in given or tensors[tensor_id].weights is not None:
                raise BadModelFile(f"layer {index} ({layer.op}) makes tensor {tensor_id}, which is there already")
            maker[tensor_id] = index
    for index, layer in enumerate(layers):
        late = [i for i in layer.inputs if maker.get(i, -1) >= index]
        if late:
            made = f"before layer {maker[late[0]]} makes it"
            raise BadModelFile(f"layer {index} ({layer.op}) reads tensor {late[0]} {made}")
