"""A bounds-checked view of a FlatBuffer: any bytes give values or BadModelFile, with bounded time and memory.

Layout: https://flatbuffers.dev/internals. FlatBuffers' own Python reader trusts the file: a vector may claim 2^31
elements, and thousands of tables may share one large vector. So bounds and the sum of what is read are checked here.
"""

from __future__ import annotations

import struct
from typing import Final

from paraedge.core.errors import BadModelFile

ITEMS_LIMIT: Final = 4_000_000
"""Most items (vector elements, 16 for a table) read from one file: some 300 MB as Python objects. ResNet-50: 60,000."""

SLOTS: Final = 17
"""Fields kept of a table's layout, which may claim 32,000; our highest is `Executable.estimated_cycles_64bit`, 16."""

BYTES_PER_ITEM = {"b": 1, "B": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


class Source:
    """The bytes of a file, or of a FlatBuffer inside one, and how many more items may be read from the file."""

    __slots__ = ("budget", "data", "size")

    def __init__(self, data: memoryview, outer: Source | None = None) -> None:
        self.data = data
        self.size = len(data)
        self.budget: list[int] = [ITEMS_LIMIT] if outer is None else outer.budget

    def charge(self, items: int) -> None:
        """Account for `items` about to be read; raises BadModelFile when the file has had its share."""
        self.budget[0] -= items
        if self.budget[0] < 0:
            raise BadModelFile(f"damaged: it claims more than {ITEMS_LIMIT} items")

    def inside(self, first: int, size: int) -> Source:
        """The FlatBuffer held by the `size` bytes from `first` on: its offsets can't leave them. Nothing is copied."""
        if not 0 <= first <= first + size <= self.size:
            raise BadModelFile(f"truncated or damaged: {size} bytes at byte {first} of {self.size}")
        return Source(self.data[first : first + size], self)

    def number(self, kind: str, position: int) -> int | float:
        """The little-endian number of struct type `kind` at `position`."""
        if not 0 <= position <= self.size - BYTES_PER_ITEM[kind]:
            raise BadModelFile(f"truncated or damaged: it points to byte {position} of {self.size}")
        value: int | float = struct.unpack_from("<" + kind, self.data, position)[0]
        return value

    def offset(self, position: int) -> int:
        """Where the unsigned 32-bit offset at `position` points to."""
        return position + int(self.number("I", position))

    def span(self, position: int, item_bytes: int) -> tuple[int, int]:
        """(first byte, number of elements) of the vector at `position`, inside the file."""
        count = int(self.number("I", position))
        if count * item_bytes > self.size - position - 4:
            raise BadModelFile(f"truncated or damaged: {count} elements at byte {position} of {self.size}")
        return position + 4, count

    def root(self) -> Table:
        """The root table."""
        return Table(self, self.offset(0))


class Table:
    """A table of the file. A field that is absent gives its default: 0, an empty vector, or None."""

    __slots__ = ("fields", "position", "source")

    def __init__(self, source: Source, position: int) -> None:
        source.charge(16)
        self.source = source
        self.position = position
        vtable = position - int(source.number("i", position))
        vtable_bytes = int(source.number("H", vtable))
        if vtable_bytes < 4 or vtable_bytes % 2 or vtable + vtable_bytes > source.size:
            raise BadModelFile(f"truncated or damaged: a table layout of {vtable_bytes} bytes at byte {vtable}")
        count = min(vtable_bytes // 2 - 2, SLOTS)
        fields: tuple[int, ...] = struct.unpack_from(f"<{count}H", source.data, vtable + 4)
        self.fields = fields

    def _field(self, slot: int) -> int | None:
        offset = self.fields[slot] if slot < len(self.fields) else 0
        return self.position + offset if offset else None

    def integer(self, slot: int, kind: str, default: int = 0) -> int:
        """The integer in field `slot`."""
        at = self._field(slot)
        return default if at is None else int(self.source.number(kind, at))

    def table(self, slot: int) -> Table | None:
        """The table in field `slot`."""
        at = self._field(slot)
        return None if at is None else Table(self.source, self.source.offset(at))

    def span(self, slot: int, item_bytes: int) -> tuple[int, int] | None:
        """(first byte, number of elements) of the vector in field `slot`, without reading it."""
        at = self._field(slot)
        return None if at is None else self.source.span(self.source.offset(at), item_bytes)

    def integers(self, slot: int, kind: str) -> tuple[int, ...]:
        """The vector of integers in field `slot`."""
        return tuple(self._numbers(slot, kind))

    def floats(self, slot: int) -> tuple[float, ...]:
        """The vector of 32-bit floats in field `slot`."""
        return tuple(self._numbers(slot, "f"))

    def _numbers(self, slot: int, kind: str) -> tuple[int, ...]:
        span = self.span(slot, BYTES_PER_ITEM[kind])
        if span is None:
            return ()
        first, count = span
        self.source.charge(count)
        values: tuple[int, ...] = struct.unpack_from(f"<{count}{kind}", self.source.data, first)
        return values

    def tables(self, slot: int) -> list[Table]:
        """The vector of tables in field `slot`."""
        span = self.span(slot, 4)
        if span is None:
            return []
        first, count = span
        self.source.charge(count)
        return [Table(self.source, self.source.offset(first + 4 * i)) for i in range(count)]

    def text(self, slot: int) -> str:
        """The string in field `slot`; bytes that are not UTF-8 are replaced."""
        span = self.span(slot, 1)
        if span is None:
            return ""
        first, count = span
        self.source.charge(count // 8)
        return bytes(self.source.data[first : first + count]).decode("utf-8", errors="replace")
