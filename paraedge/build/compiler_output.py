"""What edgetpu_compiler prints, as values. Any text gives a report; what it doesn't say is None.

Known of its shape: a line a fact, `name: value`, sizes as `6.35MiB`; one group of lines for each model or segment;
with --show_operations a table of operator, count and status. Version 2.0 says `available` where 16.0 says `remaining`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from paraedge.build.compiler_failures import OpStatus, op_status

UNIT_BYTES: Mapping[str, int] = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, kw_only=True)
class PrintedSize:
    """A size as it was printed, rounded: the true one is within half a `step_bytes` of `size_bytes`."""

    text: str
    size_bytes: float
    step_bytes: float


@dataclass(frozen=True, kw_only=True)
class OperatorCount:
    """A line of the table: so many of an op with one status; `text` is the status as printed."""

    op: str
    count: int
    status: OpStatus
    text: str


@dataclass(frozen=True, kw_only=True)
class PrintedModel:
    """What is said of one compiled model or segment. Sizes: files; parameters on chip, room left there, off chip."""

    input_name: str | None = None
    input_size: PrintedSize | None = None
    output_name: str | None = None
    output_size: PrintedSize | None = None
    on_chip: PrintedSize | None = None
    remaining: PrintedSize | None = None
    off_chip: PrintedSize | None = None
    subgraphs: int | None = None
    operations: int | None = None
    on_device: int | None = None
    on_cpu: int | None = None
    operators: tuple[OperatorCount, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompilerReport:
    """All of it: the compiler's version, how long compiling took, and each model or segment."""

    version: str | None
    compile_ms: int | None
    models: tuple[PrintedModel, ...]

    @property
    def operators(self) -> tuple[OperatorCount, ...]:
        """The tables of all models, one after the other."""
        return tuple(line for model in self.models for line in model.operators)


NAMES: tuple[tuple[str, str], ...] = (
    ("input_name", r"input(?: model)?"),
    ("output_name", r"output(?: model)?"),
)
SIZES: tuple[tuple[str, str], ...] = (
    ("input_size", r"input size"),
    ("output_size", r"output size"),
    ("on_chip", r"on-chip memory used for caching model parameters"),
    ("remaining", r"on-chip memory (?:remaining|available) for caching model parameters"),
    ("off_chip", r"off-chip memory used for streaming uncached model parameters"),
)
COUNTS: tuple[tuple[str, str], ...] = (
    ("subgraphs", r"number of edge tpu subgraphs"),
    ("operations", r"total number of operations"),
    ("on_device", r"number of operations that will run on edge tpu"),
    ("on_cpu", r"number of operations that will run on cpu"),
)
FACTS = tuple(
    (field, re.compile(rf"\s*{name}\s*:\s*{value}\s*$", re.IGNORECASE))
    for names, value in (
        (NAMES, r"(\S.*)"),
        (SIZES, r"(\d{1,15}(?:\.\d{1,15})?)\s*(?:([KMG])i)?B"),
        (COUNTS, r"(\d{1,15})"),
    )
    for field, name in names
)
VERSION = re.compile(r"edge tpu compiler version (\d{1,9}(?:\.\d{1,12})*)", re.IGNORECASE)
COMPILE_MS = re.compile(r"compiled successfully in (\d{1,15}) ms", re.IGNORECASE)
TABLE_HEAD = re.compile(r"\s*operator\s+count\s+status\s*$", re.IGNORECASE)
COUNT = re.compile(r"\d{1,15}")
LINE_CHARACTERS = 8192
"""Longer lines say nothing: the longest that the compiler prints has a path in it, of 4096 characters at most."""


def parse_report(text: str) -> CompilerReport:
    """The report in a compiler's text."""
    version, milliseconds = VERSION.search(text), COMPILE_MS.search(text)
    return CompilerReport(
        version=version[1] if version else None,
        compile_ms=int(milliseconds[1]) if milliseconds else None,
        models=tuple(_models(text.splitlines())),
    )


def with_table(text: str, log: str) -> str:
    """`text`, and the table of the compiler's log file behind it where the text itself has none."""
    if any(TABLE_HEAD.match(line) for line in text.splitlines()):
        return text
    lines = log.splitlines()
    heads = [number for number, line in enumerate(lines) if TABLE_HEAD.match(line)]
    return "\n".join([text, *lines[heads[0] :]]) if heads else text


def _models(lines: Iterable[str]) -> list[PrintedModel]:
    """One for each group of facts; a fact that the group already has begins the next."""
    groups: list[dict[str, Any]] = []
    in_table = False
    for line in lines:
        if not line.strip() or len(line) > LINE_CHARACTERS:
            continue
        row = _operator(line) if in_table else None
        if row:
            groups[-1]["operators"].append(row)
            continue
        field, value = _fact(line)
        in_table = field == "operators"
        if field:
            if not groups or field in groups[-1]:
                groups.append({})
            groups[-1][field] = value
    return [PrintedModel(**{**group, "operators": tuple(group.get("operators", ()))}) for group in groups]


def _fact(line: str) -> tuple[str | None, object]:
    """The field of PrintedModel that a line gives, and its value; the table's head gives an empty table."""
    if TABLE_HEAD.match(line):
        return "operators", []
    for field, pattern in FACTS:
        match = pattern.match(line)
        if match:
            return field, _value(field, match)
    return None, None


def _operator(line: str) -> OperatorCount | None:
    """A line of the table, if it is one."""
    cells = line.split(None, 2)
    if len(cells) < 3 or not COUNT.fullmatch(cells[1]):
        return None
    text = cells[2].rstrip()
    return OperatorCount(op=cells[0], count=int(cells[1]), status=op_status(text), text=text)


def _value(field: str, match: re.Match[str]) -> object:
    if field.endswith("_name"):
        return match[1].strip()
    if match.re.groups == 1:
        return int(match[1])
    prefix = (match[2] or "").upper()
    unit_bytes = UNIT_BYTES[prefix]
    decimals = len(match[1].partition(".")[2])
    return PrintedSize(
        text=f"{match[1]}{prefix}{'i' if prefix else ''}B",
        size_bytes=float(match[1]) * unit_bytes,
        step_bytes=unit_bytes / 10**decimals,
    )
