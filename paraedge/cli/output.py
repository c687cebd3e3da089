"""What commands print: tables for people, JSON for machines, formatted apart."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from paraedge.core.words import quantity_bytes as quantity_bytes

WIDTH_SAMPLE = 1000
"""Rows that a table's column widths are taken from, so that a long one streams."""


def say(text: str = "") -> None:
    """A line of the result, on stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """A line that is not the result, on stderr."""
    typer.echo(text, err=True)


def emit_json(value: object) -> None:
    """One JSON document on stdout; unknown numbers (None, NaN) are null, never NaN, which is not JSON."""
    typer.echo(json.dumps(plain(value), indent=2, allow_nan=False))


def emit_json_list(values: Iterable[object]) -> None:
    """A JSON list, one element a line, written as it comes."""
    typer.echo("[", nl=False)
    for number, value in enumerate(values):
        typer.echo(("," if number else "") + "\n  " + json.dumps(plain(value), allow_nan=False), nl=False)
    typer.echo("\n]")


def plain(value: object) -> object:
    """`value` in JSON's own types: dataclasses as objects, paths as text, numpy's numbers as Python's."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    item = getattr(value, "item", None)
    number = item() if callable(item) and getattr(value, "ndim", None) == 0 else value
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return number if number is None or isinstance(number, (bool, int, float, str)) else str(number)


def table(rows: Iterable[Mapping[Any, object]], columns: Sequence[str] | None = None) -> None:
    """Rows as aligned text, numbers to the right, unknown as empty; nothing is cut or wrapped."""
    stream = iter(rows)
    head = list(itertools.islice(stream, WIDTH_SAMPLE))
    if not head:
        return
    names = list(columns) if columns is not None else list(dict.fromkeys(name for row in head for name in row))
    numeric = {name: all(_is_number(row.get(name)) for row in head) for name in names}
    widths = {name: max(len(name), *(len(cell(row.get(name))) for row in head)) for name in names}
    say(_line({name: name for name in names}, names, widths, numeric))
    for row in itertools.chain(head, stream):
        say(_line({name: cell(row.get(name)) for name in names}, names, widths, numeric))


def cell(value: object) -> str:
    """A value for people: four significant digits, no exponent below a billion, unknown as nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}".replace(",", "") if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"
    if isinstance(value, (tuple, list)):
        return "x".join(cell(item) for item in value)
    return str(value)


def duration(seconds: float) -> str:
    """Seconds for people: `8 s`, `2 min 05 s`, `3 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _line(
    cells: Mapping[str, str], names: Sequence[str], widths: Mapping[str, int], numeric: Mapping[str, bool]
) -> str:
    parts = [cells[name].rjust(widths[name]) if numeric[name] else cells[name].ljust(widths[name]) for name in names]
    return "  ".join(parts).rstrip()
