"""Options of an operator, generically: the schema's own field names in snake case, enumerations by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from paraedge.core.errors import BadInput, BadModelFile
from paraedge.core.graph import OptionValue
from paraedge.tflite.flatbuffer import Source, Table
from paraedge.tflite.schema import ENUM_OF_FIELD, names, numbers, option_fields

ELEMENTS_LIMIT = 4096
"""Longest vector of an option. Those there are (shapes, dimensions, boundaries) have at most some hundred elements."""


def read_options(table: Table, options: str) -> dict[str, OptionValue]:
    """Fields of the options `table` of type `options` (`Conv2DOptions`); empty for a type this LiteRT doesn't know.

    Nested tables are left out. Raises BadModelFile, or what LiteRT's generated reader raises for damaged bytes
    (struct.error, ValueError, IndexError, TypeError, OverflowError): the caller's boundary catches these.
    """
    fields = option_fields(options)
    if not fields:
        return {}
    table.source.charge(4 * len(fields))
    reader: Any = getattr(schema, options)()
    reader.Init(table.source.data, table.position)
    values = {field: _read_field(table.source, reader, _method(attribute)) for field, attribute in fields.items()}
    return {field: _enum_name(field, value) for field, value in values.items()}


def _method(attribute: str) -> str:
    return attribute[0].upper() + attribute[1:]


def _read_field(source: Source, reader: Any, method: str) -> OptionValue:
    length = getattr(reader, f"{method}Length", None)
    if length is not None:
        count = length()
        if count > ELEMENTS_LIMIT:
            raise BadModelFile(f"damaged: an option {method} of {count} elements")
        source.charge(count)
        return tuple(getattr(reader, f"{method}AsNumpy")().tolist()) if count else ()
    value = getattr(reader, method)()
    if isinstance(value, bytes):
        source.charge(len(value) // 8)
        return value[:ELEMENTS_LIMIT].decode("utf-8", errors="replace")
    return value if isinstance(value, int | float) else None


def _enum_name(field: str, value: OptionValue) -> OptionValue:
    enum = ENUM_OF_FIELD.get(field)
    return names(enum).get(value, value) if enum is not None and type(value) is int else value


def pack_options(builder: Any, options: str, values: Mapping[str, OptionValue]) -> int:
    """Write the options table of type `options` and return its offset; raises BadInput for an unknown field or name."""
    table: Any = getattr(schema, f"{options}T")()
    fields = option_fields(options)
    for field, value in values.items():
        if field not in fields:
            raise BadInput(f"{options} has no field {field!r}; it has {', '.join(fields)}")
        if value is not None:
            setattr(table, fields[field], _as_number(options, field, value))
    offset: int = table.Pack(builder)
    return offset


def _as_number(options: str, field: str, value: OptionValue) -> object:
    if isinstance(value, tuple):
        return np.asarray(value, dtype=np.int32)
    enum = ENUM_OF_FIELD.get(field)
    if enum is None or not isinstance(value, str):
        return value
    if value not in numbers(enum):
        raise BadInput(f"{options}.{field} can't be {value!r}; it is one of {', '.join(numbers(enum))}")
    return numbers(enum)[value]
