"""What the Edge TPU's compiler put into a model: each `edgetpu-custom-op` holds a package of executables.

The custom options are a FlexBuffer map; its key "4" holds a FlatBuffer marked DWN1. Fields and their slots:
google-coral/libedgetpu, executable/executable.fbs. Any bytes give packages or BadModelFile; parameters and instructions
are measured, never copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from paraedge.core.errors import BadModelFile
from paraedge.core.graph import EDGETPU_OP
from paraedge.tflite.flatbuffer import Source, Table
from paraedge.tflite.flexbuffer import map_bytes
from paraedge.tflite.read import check_kind, map_file, operator_code

T = TypeVar("T")

IDENTIFIER: Final = b"DWN1"

ExecutableKind: TypeAlias = Literal["STAND_ALONE", "PARAMETER_CACHING", "EXECUTION_ONLY"]
HintKind: TypeAlias = Literal["output", "input", "parameter", "scratch", "instruction", "interrupt", "fence"]
Direction: TypeAlias = Literal["to device", "to host"]

KINDS: Final[tuple[ExecutableKind, ...]] = ("STAND_ALONE", "PARAMETER_CACHING", "EXECUTION_ONLY")
TRANSFERS: Final[tuple[HintKind, ...]] = ("output", "input", "parameter", "scratch")
DIRECTIONS: Final[tuple[Direction, ...]] = ("to device", "to host")


@dataclass(frozen=True, kw_only=True)
class DmaHint:
    """One step of an inference as the host sees it: a transfer, or an interrupt or fence to wait for."""

    kind: HintKind
    direction: Direction | None
    """None for what moves nothing: interrupts and fences."""
    size_bytes: int | None
    """Of an instruction hint: the bytes of the chunk that it names."""
    name: str | None
    """Of the layer, where the transfer belongs to one."""


@dataclass(frozen=True, kw_only=True)
class ExecutableLayer:
    """An input or output of an executable, as it is sent: the bytes hold padding that the shape doesn't."""

    name: str
    size_bytes: int
    shape: tuple[int, int, int]
    """Rows, columns, channels (y, x, z)."""


@dataclass(frozen=True, kw_only=True)
class Executable:
    """One program for the chip.

    PARAMETER_CACHING runs once and leaves its parameters on the chip; EXECUTION_ONLY runs at every inference, and its
    own parameters are streamed each time; STAND_ALONE is everything in one, at every inference.
    """

    kind: ExecutableKind
    name: str
    batch: int
    parameter_bytes: int
    instruction_bytes: int
    instruction_chunks: int
    input_bytes: int
    output_bytes: int
    scratch_bytes: int
    narrow_memory_bytes_per_tile: int
    estimated_cycles: int | None
    """The compiler's own estimate; newer compilers leave none."""
    parameter_caching_token: int | None
    """Executables with one token share the cache: the same for models that were compiled together."""
    chip: str | None
    fully_deterministic: bool
    """Whether the hints are all the transfers there are, in their order."""
    dma_hints: tuple[DmaHint, ...]
    inputs: tuple[ExecutableLayer, ...]
    outputs: tuple[ExecutableLayer, ...]


@dataclass(frozen=True, kw_only=True)
class Package:
    """The executables of one compiled op. `op_index` is the op's number in the graph."""

    op_index: int
    minimum_runtime: int
    compiler_version: str | None
    executables: tuple[Executable, ...]

    @property
    def cached_bytes(self) -> int:
        """Parameters sent once and kept on the chip."""
        return sum(e.parameter_bytes for e in self.executables if e.kind == "PARAMETER_CACHING")

    @property
    def streamed_bytes(self) -> int:
        """Parameters sent again at every inference."""
        return self._sum(lambda e: e.parameter_bytes)

    @property
    def instruction_bytes(self) -> int:
        """Instructions sent at every inference."""
        return self._sum(lambda e: e.instruction_bytes)

    @property
    def input_bytes(self) -> int:
        """Inputs sent at every inference."""
        return self._sum(lambda e: e.input_bytes)

    @property
    def output_bytes(self) -> int:
        """Outputs returned at every inference."""
        return self._sum(lambda e: e.output_bytes)

    @property
    def scratch_bytes(self) -> int:
        """Memory outside the chip that an inference keeps intermediate results in."""
        return self._sum(lambda e: e.scratch_bytes)

    @property
    def estimated_cycles(self) -> int | None:
        """The compiler's estimate of one inference's cycles; None where it left none."""
        cycles = [e.estimated_cycles for e in self._each_inference() if e.estimated_cycles is not None]
        return sum(cycles) if cycles else None

    def _each_inference(self) -> list[Executable]:
        return [e for e in self.executables if e.kind != "PARAMETER_CACHING"]

    def _sum(self, measure: Callable[[Executable], int]) -> int:
        return sum(measure(e) for e in self._each_inference())


def read_packages(model: str | Path | bytes) -> tuple[Package, ...]:
    """The packages of a model's compiled ops, in their order; empty for a model that is not compiled.

    `model` is a file's path, or its bytes. Raises BadModelFile for what is damaged or no TFLite model.
    """
    where = "the model" if isinstance(model, bytes) else str(model)
    data = memoryview(model) if isinstance(model, bytes) else map_file(model)
    check_kind(data, where)
    try:
        return tuple(_package(options, index) for index, options in _compiled_ops(Source(data)))
    except BadModelFile as error:
        raise BadModelFile(f"{where}: {error}") from None


def _compiled_ops(source: Source) -> list[tuple[int, Source]]:
    """(number of the op, its custom options) of each compiled op of the main graph."""
    model = source.root()
    codes = [operator_code(table) for table in model.tables(1)]
    compiled = {number for number, (_, _, custom_code) in enumerate(codes) if custom_code == EDGETPU_OP}
    graphs = model.tables(2)
    ops = graphs[0].tables(3) if graphs and compiled else []
    return [(index, _options(op)) for index, op in enumerate(ops) if op.integer(0, "I") in compiled]


def _options(op: Table) -> Source:
    """Custom options, inside the FlatBuffer or, where they are large, in a range of the file after it."""
    first, size = op.span(5, 1) or (0, 0)
    return op.source.inside(first, size) if size else op.source.inside(op.integer(9, "Q"), op.integer(10, "Q"))


def _package(options: Source, index: int) -> Package:
    try:
        content = map_bytes(options, "4") if options.size else None
        if content is None or bytes(content.data[4:8]) != IDENTIFIER:
            raise BadModelFile(f"its options hold no {IDENTIFIER.decode()} package")
        table = content.root()
        return Package(
            op_index=index,
            minimum_runtime=table.integer(0, "i"),
            compiler_version=_text(table, 4),
            executables=_executables(table),
        )
    except BadModelFile as error:
        raise BadModelFile(f"op {index} ({EDGETPU_OP}): {error}") from None


def _executables(package: Table) -> tuple[Executable, ...]:
    vector = package.span(1, 1)
    if vector is None:
        raise BadModelFile("a package without executables for a single chip")
    multiple = package.source.inside(*vector)
    first, count = multiple.root().span(0, 4) or (0, 0)
    if not count:
        raise BadModelFile("a package without executables")
    strings = (multiple.span(multiple.offset(first + 4 * i), 1) for i in range(count))
    return tuple(_executable(multiple.inside(*string).root()) for string in strings)


def _executable(table: Table) -> Executable:
    chunks = [_length(chunk, 0) for chunk in table.tables(5)]
    inputs, outputs = (tuple(map(_layer, table.tables(slot))) for slot in (8, 9))
    hints = table.table(7)
    return Executable(
        kind=_named(KINDS, table.integer(13, "h"), "kind of executable"),
        name=_text(table, 1) or "",
        batch=_count(table, 3),
        parameter_bytes=_length(table, 6),
        instruction_bytes=sum(chunks),
        instruction_chunks=len(chunks),
        input_bytes=sum(layer.size_bytes for layer in inputs),
        output_bytes=sum(layer.size_bytes for layer in outputs),
        scratch_bytes=_count(table, 4),
        narrow_memory_bytes_per_tile=_count(table, 12),
        estimated_cycles=_count(table, 16, "q") or _count(table, 11) or None,  # the older field has 32 bits
        parameter_caching_token=table.integer(14, "q") or None,
        chip=_text(table, 10),
        fully_deterministic=hints is not None and bool(hints.integer(1, "B")),
        dma_hints=() if hints is None else tuple(_hint(hint, chunks) for hint in hints.tables(0)),
        inputs=inputs,
        outputs=outputs,
    )


def _layer(table: Table) -> ExecutableLayer:
    shape = (_count(table, 2), _count(table, 3), _count(table, 4))
    return ExecutableLayer(name=_text(table, 0) or "", size_bytes=_count(table, 1), shape=shape)


def _hint(table: Table, chunks: list[int]) -> DmaHint:
    """A union (1 transfer, 2 instructions, 3 interrupt, 4 fence) and a direction."""
    number, content = table.integer(0, "B"), table.table(1)
    if content is None or not 1 <= number <= 4:
        raise BadModelFile(f"damaged: a DMA hint of kind {number}")
    if number > 2:
        return DmaHint(kind="interrupt" if number == 3 else "fence", direction=None, size_bytes=None, name=None)
    direction = _named(DIRECTIONS, table.integer(2, "h"), "direction of a DMA hint")
    if number == 2:
        size = _named(chunks, content.integer(0, "i"), "chunk of instructions")
        return DmaHint(kind="instruction", direction=direction, size_bytes=size, name=None)
    meta = content.table(0)
    if meta is None:
        raise BadModelFile("damaged: a DMA hint that doesn't say what it moves")
    kind = _named(TRANSFERS, meta.integer(0, "h"), "kind of transfer")
    return DmaHint(kind=kind, direction=direction, size_bytes=_count(content, 2), name=_text(meta, 2))


def _text(table: Table, slot: int) -> str | None:
    """A string; charged in full, as each character can become six in JSON."""
    text = table.text(slot)
    table.source.charge(len(text))
    return text or None


def _length(table: Table, slot: int) -> int:
    """Bytes of a vector that isn't read."""
    return (table.span(slot, 1) or (0, 0))[1]


def _count(table: Table, slot: int, kind: str = "i") -> int:
    value = table.integer(slot, kind)
    if value < 0:
        raise BadModelFile(f"damaged: a size of {value}")
    return value


def _named(names: Sequence[T], number: int, what: str) -> T:
    if not 0 <= number < len(names):
        raise BadModelFile(f"damaged, or made for a newer runtime: {what} {number}")
    return names[number]
