"""The lines of a CSV that a person made: cells by column, every error with its line and column."""

from __future__ import annotations

import csv
import io
import math
import os.path
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from paraedge.core.errors import BadInput, short

LARGEST_FILE_BYTES = 1 << 26
LARGEST_NUMBER = 1e12
SHORTEST_MS, LONGEST_MS = 1e-3, 1e6
"""Latencies beyond are another unit's, or no invoke's."""


@dataclass(frozen=True)
class Line:
    """A line of a table, its stripped cells by column."""

    path: Path
    number: int
    cells: Mapping[str, str]

    @property
    def source(self) -> str:
        """File and line, for people."""
        return f"{self.path.name}:{self.number}"

    def text(self, column: str) -> str:
        """The text of a cell; raises BadInput where there is no such column."""
        if column not in self.cells:
            raise BadInput(f"{self.path}: no column {column!r}; it has {short(', '.join(self.cells), 200)}")
        return self.cells[column]

    def error(self, what: str) -> BadInput:
        """To be raised: what is wrong with the line."""
        return BadInput(f"{self.path}:{self.number}: {what}")

    def bad(self, column: str, right: str) -> BadInput:
        """To be raised: what a cell must be."""
        return self.error(f"{column} is {short(self.text(column), 60)!r}; it must be {right}")

    def amount(self, column: str) -> float | None:
        """The number in a cell, 0 or more; None where it is empty or there is no such column. Raises BadInput."""
        text = self.cells.get(column, "")
        if not text:
            return None
        value = _number(text)
        if not 0 <= value < LARGEST_NUMBER:
            raise self.bad(column, f"a number from 0 to {LARGEST_NUMBER:g}, with a point for the decimals")
        return value

    def latency_ms(self, column: str) -> float:
        """The milliseconds in a cell; raises BadInput for none, and for what no invoke takes."""
        value = _number(self.text(column))
        if not SHORTEST_MS <= value <= LONGEST_MS:
            right = f"a number of milliseconds from {SHORTEST_MS:g} to {LONGEST_MS:.0f}, with a point for the decimals"
            raise self.bad(column, right)
        return value

    def whole(self, column: str) -> int:
        """The integer above 0 in a cell. Raises BadInput."""
        value = _number(self.text(column))
        if not 0 < value < LARGEST_NUMBER or value != int(value):
            raise self.bad(column, "a whole number above 0")
        return int(value)


def read_lines(path: Path, *, appended: Set[str] | None = None) -> tuple[list[str], list[Line]]:
    """Column names and the lines below that aren't blank. Commas, semicolons or tabs separate; raises BadInput.

    appended: columns of a table that is written line by line; of one that has them, a last line without its line feed
    is left out, as its cells may be cut short.
    """
    text = _text(path)
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    rows = _rows(reader, path)
    header = next(rows, (1, []))[1]
    if len(set(header)) != len(header):
        raise BadInput(f"{path}: the line of column names has one twice; each must have its own name")
    whole = text.count("\n") if appended is not None and appended <= set(header) else math.inf
    lines = []
    for number, cells in rows:
        if number > whole:
            break
        if len(cells) != len(header):
            raise BadInput(f"{path}:{number}: {len(cells)} cells; there must be {len(header)}, one for each column")
        lines.append(Line(path, number, dict(zip(header, cells, strict=True))))
    if not lines:
        raise BadInput(f"{path} has no rows; a CSV needs a line of column names and a line for each row")
    return header, lines


def _rows(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    number = 1
    try:
        for row in reader:
            number = reader.line_num  # type: ignore[attr-defined]
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise BadInput(f"{path}:{number + 1}: not a line of a CSV ({short(error, 100)})") from None


def _text(path: Path) -> str:
    right = f"give a campaign's folder or a CSV of at most {LARGEST_FILE_BYTES >> 20} MiB"
    if not os.path.isfile(path):  # opening a pipe would wait for its other end
        raise BadInput(f"no such file: {short(path, 200)}; {right}")
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise BadInput(f"{path}: {path.stat().st_size} bytes are too many; {right}")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not a CSV in UTF-8; {right}") from None
    if "\0" in text:
        raise BadInput(f"{path} is not a CSV, it holds binary data; {right}")
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
