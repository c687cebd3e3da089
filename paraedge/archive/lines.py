"""CSV lines and files: a row is one line, and a line is there when its line feed is."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from paraedge.archive.columns import Cell
from paraedge.core.errors import BadCampaign, short

_NOT_PLAIN = re.compile(r"[^ -!#-+\--~]")
"""Anything but printable ASCII, and in it the quote and the comma."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def csv_line(cells: Iterable[Cell]) -> str:
    """One line with its line feed; None and numbers that are not finite are empty, floats have 9 significant digits."""
    return ",".join([_cell(cell) for cell in cells]) + "\n"


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "%.9g" % value if value - value == 0 else ""  # noqa: UP031  a third faster than an f-string; inf - inf is nan
    if isinstance(value, str):
        return _text(value) if _NOT_PLAIN.search(value) else value
    return str(value)


def _text(value: str) -> str:
    # a line feed inside a cell would make a torn line look whole; no text of ours needs one
    clean = _CONTROL.sub(" ", value).encode("utf-8", "replace").decode()
    return '"' + clean.replace('"', '""') + '"' if '"' in clean or "," in clean else clean


def whole_lines(data: bytes) -> bytes:
    """`data` without a last line that lacks its line feed."""
    return data[: data.rfind(b"\n") + 1]


def parse(data: bytes, header: Sequence[str], path: Path) -> Iterator[list[str]]:
    """The rows below the header of whole lines; raises BadCampaign, naming the line, where one is not a row of ours."""
    text = _text_of(data, path)
    rows = csv.reader(text.split("\n")[:-1], strict=True)
    number = 1
    try:
        found = next(rows, None)
        if found != list(header):
            raise BadCampaign(f"{path}: line 1 is not the header of this sweep{_difference(found, header)}; {_MEND}")
        for row in rows:
            number += 1
            if len(row) != len(header) or rows.line_num != number:
                raise BadCampaign(f"{path}: line {number} has {len(row)} cells instead of {len(header)}; {_MEND}")
            yield row
    except csv.Error as error:
        raise BadCampaign(f"{path}: line {number + 1} can't be read ({short(error)}); {_MEND}") from None


def check(data: bytes, width: int, path: Path) -> None:
    """Raise as `parse` does for a line of whole lines that has not `width` cells; ten times as fast."""
    _text_of(data, path)
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        if line.count(b",") == width - 1 and b'"' not in line:
            continue
        try:
            cells = len(next(csv.reader([line.decode()], strict=True), []))
        except csv.Error as error:
            raise BadCampaign(f"{path}: line {number} can't be read ({short(error)}); {_MEND}") from None
        if cells != width:
            raise BadCampaign(f"{path}: line {number} has {cells} cells instead of {width}; {_MEND}")


def header_of(data: bytes) -> tuple[str, ...]:
    """The cells of the first line."""
    return tuple(next(csv.reader([data[: data.find(b"\n")].decode("utf-8-sig", "replace")]), ()))


def _text_of(data: bytes, path: Path) -> str:
    if b"\0" in data:
        raise BadCampaign(f"{path}: line {data[: data.index(0)].count(10) + 1} has a zero byte; {_MEND}")
    try:
        return data.decode("utf-8-sig")  # a spreadsheet may have put a byte order mark in front
    except UnicodeDecodeError as error:
        raise BadCampaign(f"{path}: line {data[: error.start].count(10) + 1} is not UTF-8; {_MEND}") from None


_MEND = "mend or remove that line, or choose another folder"


def _difference(found: Sequence[str] | None, header: Sequence[str]) -> str:
    missing = [name for name in header if name not in (found or ())]
    extra = [name for name in found or () if name not in header]
    parts = [f"{label} {', '.join(names[:5])}" for label, names in (("lacks", missing), ("has", extra)) if names]
    return f" ({short('; '.join(parts), 200)})" if parts else ""


def replace_file(path: Path, data: bytes) -> None:
    """Write the whole file or leave the old one: a kill at any moment finds one of the two."""
    temporary = temporary_path(path)
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def temporary_path(path: Path) -> Path:
    """Where the next version of `path` is written; one name is enough under the folder's lock."""
    return path.with_name(f".{path.name}.tmp")
