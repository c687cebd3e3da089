"""One value of a FlexBuffer map, bounds-checked; layout: https://flatbuffers.dev/internals, FlexBuffers.

A FlexBuffer is read from its end: the last byte is the width of the root value, the one before it the root's type.
Offsets point backwards and are as wide as the vector that holds them. A packed type is `type << 2 | log2(width)`.
"""

from __future__ import annotations

from typing import Final

from paraedge.core.errors import BadModelFile
from paraedge.tflite.flatbuffer import Source

MAP: Final = 9
STRING: Final = 5
BLOB: Final = 25
UNSIGNED = {1: "B", 2: "H", 4: "I", 8: "Q"}


def map_bytes(source: Source, key: str) -> Source | None:
    """The string or blob that the map in `source` holds under `key`; None where it holds none.

    Raises BadModelFile for bytes that are not a FlexBuffer with a map at its root.
    """
    width = int(source.number("B", source.size - 1))
    packed = int(source.number("B", source.size - 2))
    if packed >> 2 != MAP or width not in UNSIGNED:
        raise BadModelFile("damaged: options that are no FlexBuffer map")
    values, width = _follow(source, source.size - 2 - width, width), 1 << (packed & 3)
    count = _unsigned(source, values - width, width)
    source.charge(count)
    index = _index_of(source, values, width, count, key.encode() + b"\0")
    if index is None:
        return None
    packed = int(source.number("B", values + count * width + index))
    if packed >> 2 not in (STRING, BLOB):
        return None
    content = _follow(source, values + index * width, width)
    size_width = 1 << (packed & 3)
    return source.inside(content, _unsigned(source, content - size_width, size_width))


def _index_of(source: Source, values: int, width: int, count: int, key: bytes) -> int | None:
    """Which of the map's values has `key`. Before the values: offset of the vector of keys, its width, the count."""
    keys = _follow(source, values - 3 * width, width)
    key_width = _unsigned(source, values - 2 * width, width)
    for index in range(count):
        at = _follow(source, keys + index * key_width, key_width)
        if bytes(source.data[at : at + len(key)]) == key:
            return index
    return None


def _unsigned(source: Source, position: int, width: int) -> int:
    if width not in UNSIGNED:
        raise BadModelFile(f"damaged: FlexBuffer values {width} bytes wide")
    return int(source.number(UNSIGNED[width], position))


def _follow(source: Source, position: int, width: int) -> int:
    """Where the offset at `position` points back to."""
    target = position - _unsigned(source, position, width)
    if target < 0:
        raise BadModelFile(f"damaged: a FlexBuffer offset at byte {position} that leaves the file")
    return target
