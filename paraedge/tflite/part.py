"""Parts of a .tflite file as files of their own: what is kept is copied table by table, under new numbers.

Copied through LiteRT's generated object API, so what its schema knows of a tensor or an operator stays: quantization in
detail, sparsity, state, intermediates, versions, custom options. Data that lies outside the FlatBuffer comes inside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from paraedge.core.errors import BadInput, BadModelFile, TooLarge
from paraedge.tflite.estimate import FILE_BYTES_LIMIT
from paraedge.tflite.flatbuffer import Table
from paraedge.tflite.model_file import ModelFile, names_subgraphs
from paraedge.tflite.read import damage_named
from paraedge.tflite.schema import IDENTIFIER
from paraedge.tflite.write import buffer, integers, tables

KEPT_METADATA = ("min_runtime_version", "reduced_precision_support")
"""What holds for any part of a model. Other entries number the whole model's ops, inputs or outputs. The second tells
XNNPACK to compute in half precision, so without it a part would not give what the whole gives."""

TABLE_BYTES = 256
"""Reserved for each table besides what the whole file takes, which needs no defaults and less padding."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Some operators of a subgraph, and the tensors, by number in that subgraph, that they are to have."""

    subgraph: int
    operators: Sequence[int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def write_part(file: ModelFile, piece: Piece) -> memoryview:
    """The bytes of a .tflite file with `piece` of the main subgraph as its own, and the subgraphs called from there.

    Raises BadModelFile for what the reading of the graph left unchecked and is damaged, TooLarge for 2 GiB or more.
    """
    with damage_named(file.name):
        try:
            return _Writer(file, piece).write()
        except flatbuffers.builder.BuilderSizeError:
            raise TooLarge(f"{file.name}: a segment needs more than 2 GiB; a FlatBuffer ends there") from None


class _Writer:
    """Numbers of the new file, by number in the whole one; then its bytes."""

    def __init__(self, file: ModelFile, piece: Piece) -> None:
        called = file.called(file.graph(0).layers[i] for i in piece.operators)
        self.file = file
        self.pieces = [piece, *(_whole(file, number) for number in called)]
        self.subgraph_of = {one.subgraph: number for number, one in enumerate(self.pieces)}
        operators = [file.tables(one.subgraph)[1][i] for one in self.pieces for i in one.operators]
        self.code_of = _numbered(table.integer(0, "I") for table in operators)
        self.tensors = [_tensors(file, one) for one in self.pieces]
        used = [
            file.tables(one.subgraph)[0][i] for one, ids in zip(self.pieces, self.tensors, strict=True) for i in ids
        ]
        self.metadata = [table for table in file.model.root.tables(6) if table.text(0) in KEPT_METADATA]
        numbers = [*(table.integer(2, "I") for table in used), *(table.integer(1, "I") for table in self.metadata)]
        self.spans = _numbered(span for span in map(self._span, numbers) if span[1])
        held = sum(size for _, size in self.spans)
        if held > len(file.data):
            raise BadModelFile("damaged: weights that overlap")
        if held > FILE_BYTES_LIMIT:
            raise TooLarge(f"{file.name}: a segment needs {held / 2**30:.2f} GiB; a FlatBuffer ends at 2 GiB")
        self.limit = held + 4 * len(file.data) + 2**20  # shared vectors are copied once for each that shares them
        structure = max(len(file.data) - sum(size for _, size in set(file.model.buffers)), 0)
        reserved = held + structure + TABLE_BYTES * (len(used) + len(operators) + 16)  # growing a builder copies it
        self.builder: Any = flatbuffers.Builder(min(reserved, flatbuffers.Builder.MAX_BUFFER_SIZE))

    def write(self) -> memoryview:
        builder = self.builder
        schema.BufferStart(builder)
        buffers = [int(schema.BufferEnd(builder)), *(self._buffer(*span) for span in self.spans)]
        subgraphs = [self._subgraph(piece, ids) for piece, ids in zip(self.pieces, self.tensors, strict=True)]
        codes = [self._code(self.file.model.codes[number]) for number in self.code_of]
        code_vector, subgraph_vector = tables(builder, codes), tables(builder, subgraphs)
        buffer_vector = tables(builder, buffers)
        metadata_vector = tables(builder, [self._metadata(table) for table in self.metadata])
        description = builder.CreateString(self.file.model.root.text(3))
        schema.ModelStart(builder)
        schema.ModelAddVersion(builder, self.file.model.root.integer(0, "I"))
        schema.ModelAddOperatorCodes(builder, code_vector)
        schema.ModelAddSubgraphs(builder, subgraph_vector)
        schema.ModelAddDescription(builder, description)
        schema.ModelAddBuffers(builder, buffer_vector)
        schema.ModelAddMetadata(builder, metadata_vector)
        builder.Finish(schema.ModelEnd(builder), file_identifier=IDENTIFIER)
        return memoryview(builder.Bytes)[builder.Head() :].toreadonly()

    def _span(self, number: int) -> tuple[int, int]:
        """Where the data of a buffer lies in the file; buffer 0 has none."""
        if number >= max(len(self.file.model.buffers), 1):
            raise BadModelFile(f"buffer {number} of {len(self.file.model.buffers)}")
        return self.file.model.buffers[number] if number else (0, 0)

    def _buffer_number(self, number: int) -> int:
        span = self._span(number)
        return self.spans[span] + 1 if span[1] else 0

    def _buffer(self, first: int, size: int) -> int:
        data = np.frombuffer(self.file.data, np.uint8, size, first)
        return buffer(self.builder, size, lambda out: np.copyto(out, data))

    def _code(self, table: Table) -> int:
        return int(_unpacked(schema.OperatorCode, table).Pack(self.builder))

    def _metadata(self, table: Table) -> int:
        entry = _unpacked(schema.Metadata, table)
        entry.buffer = self._buffer_number(entry.buffer)
        return int(entry.Pack(self.builder))

    def _subgraph(self, piece: Piece, ids: Sequence[int]) -> int:
        builder, (all_tensors, all_operators) = self.builder, self.file.tables(piece.subgraph)
        new = {old: number for number, old in enumerate(ids)} | {-1: -1}
        tensor_vector = tables(builder, [self._tensor(all_tensors[i], new) for i in ids])
        operator_vector = tables(builder, [self._operator(all_operators[i], new) for i in piece.operators])
        inputs = integers(builder, (new[i] for i in piece.inputs))
        outputs = integers(builder, (new[i] for i in piece.outputs))
        name = builder.CreateString(self.file.model.subgraphs[piece.subgraph].text(4))
        schema.SubGraphStart(builder)
        schema.SubGraphAddTensors(builder, tensor_vector)
        schema.SubGraphAddInputs(builder, inputs)
        schema.SubGraphAddOutputs(builder, outputs)
        schema.SubGraphAddOperators(builder, operator_vector)
        schema.SubGraphAddName(builder, name)
        return int(schema.SubGraphEnd(builder))

    def _tensor(self, table: Table, new: Mapping[int, int]) -> int:
        tensor = _unpacked(schema.Tensor, table)
        if getattr(tensor, "externalBuffer", 0):
            raise BadInput(f"{self.file.name} has its weights in other files (external buffers); only a model with "
                           "all weights in its own file can be cut")  # fmt: skip
        tensor.buffer = self._buffer_number(tensor.buffer)
        details = None if tensor.quantization is None else tensor.quantization.details
        for field in _details_fields(details):
            setattr(details, field, new[getattr(details, field)])
        return self._checked(tensor.Pack(self.builder))

    def _operator(self, table: Table, new: Mapping[int, int]) -> int:
        operator = _unpacked(schema.Operator, table)
        operator.opcodeIndex = self.code_of[operator.opcodeIndex]
        for field in ("inputs", "outputs", "intermediates"):
            ids = getattr(operator, field)
            if ids is not None:
                setattr(operator, field, np.asarray([new[i] for i in ids.tolist()], np.int32))
        for options in (operator.builtinOptions, operator.builtinOptions2):
            self._renumber_calls(options)
        if operator.largeCustomOptionsOffset > 1:  # 0 and 1 mean: inside
            first, size = operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize
            operator.customOptions = np.frombuffer(self.file.data, np.uint8, size, first)
            operator.largeCustomOptionsOffset = operator.largeCustomOptionsSize = 0
        operator.debugMetadataIndex = -1  # of metadata that is not kept
        return self._checked(operator.Pack(self.builder))

    def _renumber_calls(self, options: Any) -> None:
        for field, value in vars(options).items() if options is not None else ():
            if not names_subgraphs(field) or value is None:
                continue
            if isinstance(value, int):
                setattr(options, field, self.subgraph_of.get(value, value))
            else:
                setattr(options, field, np.asarray([self.subgraph_of.get(i, i) for i in value.tolist()], np.int32))

    def _checked(self, offset: int) -> int:
        if self.builder.Offset() > self.limit:
            raise BadModelFile("damaged: its tables are larger than the file")
        return int(offset)


def _whole(file: ModelFile, number: int) -> Piece:
    graph = file.graph(number)
    return Piece(subgraph=number, operators=range(len(graph.layers)), inputs=graph.inputs, outputs=graph.outputs)


def _tensors(file: ModelFile, piece: Piece) -> list[int]:
    """Numbers of the tensors that a piece needs, in ascending order."""
    all_tensors, operators = file.tables(piece.subgraph)
    needed = {*piece.inputs, *piece.outputs}
    for i in piece.operators:
        layer = file.graph(piece.subgraph).layers[i]
        needed.update(layer.inputs, layer.outputs, operators[i].integers(8, "i"))
    needed.discard(-1)
    for i in tuple(needed):
        if not 0 <= i < len(all_tensors):
            raise BadModelFile(f"an operator refers to tensor {i} of {len(all_tensors)}")
        needed.update(_scale_tensors(all_tensors[i], len(all_tensors)))
    return sorted(needed)


def _scale_tensors(table: Table, count: int) -> list[int]:
    """Numbers of the tensors that hold the scales and zero points of one that is quantized in blocks."""
    quantization = table.table(4)
    if quantization is None or quantization.table(5) is None:
        return []
    details = _unpacked(schema.QuantizationParameters, quantization).details
    ids = [getattr(details, field) for field in _details_fields(details)]
    if any(not -1 <= i < count for i in ids):
        raise BadModelFile(f"a tensor has its scales in tensor {max(ids)} of {count}")
    return [i for i in ids if i >= 0]


def _details_fields(details: Any) -> tuple[str, ...]:
    return tuple(field for field in ("scales", "zeroPoints") if hasattr(details, field))


def _unpacked(kind: Any, table: Table) -> Any:
    """A table as an object of the generated API, which believes lengths: so those of tables are checked first."""
    if kind is schema.Tensor:
        table.tables(9)
        sparsity = table.table(6)
        if sparsity is not None:
            sparsity.tables(2)
    reader = kind()
    reader.Init(table.source.data, table.position)
    return getattr(schema, f"{kind.__name__}T").InitFromObj(reader)


def _numbered(items: Iterable[Any]) -> dict[Any, int]:
    return {item: number for number, item in enumerate(dict.fromkeys(items))}
