"""ops.csv: the ops of the models of a campaign with their times, as `paraedge profile` finds them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from paraedge.archive.columns import OPS, POINT, Cell, Column, names, op_columns
from paraedge.archive.lines import csv_line, header_of, parse, replace_file, whole_lines
from paraedge.archive.read import table_of
from paraedge.archive.row import parameter_cell
from paraedge.core.device import Origin, Target
from paraedge.core.errors import BadCampaign, ParaedgeError
from paraedge.core.outcome import Failure
from paraedge.core.profile import Profile
from paraedge.core.spec import ModelSpec

if TYPE_CHECKING:
    import pandas as pd

OPS_FILE = "ops.csv"
KEY = ("spec_id", "device", "threads", "kernels")
"""Columns that say which model on which target: its lines follow each other, and `whole` is the last."""


class OpsTable:
    """The ops.csv of a campaign whose folder the caller has open for writing."""

    def __init__(self, folder: Path, parameters: Sequence[str]) -> None:
        """Begin the table, or go on with it: models whose lines are not all there, or failed, are taken out.

        Raises BadCampaign for a table of something else, ParaedgeError where it can't be written.
        """
        self.path = folder / OPS_FILE
        self._header = names(op_columns(parameters))
        try:
            kept = list(self._kept())
            replace_file(self.path, "".join(map(csv_line, [self._header, *kept])).encode())
        except OSError as error:
            raise ParaedgeError(f"can't write {self.path}: {error.strerror}") from None
        places = itemgetter(*(self._header.index(name) for name in KEY))
        self._done = set(map(places, kept))

    def has(self, spec: ModelSpec, target: Target) -> bool:
        """Whether the model's ops on this target are there."""
        cells = (spec.spec_id, *map(_target_cells(target).get, KEY[1:]))
        return tuple("" if cell is None else str(cell) for cell in cells) in self._done

    def append(self, spec: ModelSpec, target: Target, origin: Origin, found: Profile | Failure) -> None:
        """Write all lines of a model in one piece. Raises ParaedgeError where the disk refuses."""
        same = {**_spec_cells(spec), **_target_cells(target), "origin": origin.value}
        lines = [{**same, **cells} for cells in _lines(found)]
        data = "".join(csv_line(map(line.get, self._header)) for line in lines).encode()
        try:
            with self.path.open("ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ParaedgeError(f"can't write {self.path}: {error.strerror}; what was there is kept") from None

    def _kept(self) -> Iterator[list[str]]:
        """The lines of models that are whole and have a latency."""
        data = whole_lines(self.path.read_bytes()) if self.path.exists() else b""
        if not data:
            return
        rows = parse(data, self._header, self.path)
        part, latency = self._header.index("part"), self._header.index("latency_ms")
        for _, group in itertools.groupby(rows, key=itemgetter(*map(self._header.index, KEY))):
            lines = list(group)
            if lines[-1][part] == WHOLE and lines[-1][latency]:
                yield from lines


OP, TERM, WHOLE = "op", "term", "whole"
"""Of the column `part`."""


def read_ops(folder: Path) -> pd.DataFrame:
    """The lines of a campaign's ops.csv, of models that are all there; no lines where there is no such file.

    Types as in `read.Campaign`. Raises BadCampaign where a line is not one of ours.
    """
    path = folder / OPS_FILE
    try:
        data = whole_lines(path.read_bytes())
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise BadCampaign(f"can't read {path}: {error.strerror}") from None
    data = data or csv_line(names(op_columns(()))).encode()
    table = table_of(data, _columns(data, path), path)
    ends = table[table["part"] == WHOLE].drop_duplicates(list(KEY), keep="last")[list(KEY)]
    found: pd.DataFrame = table.merge(ends, on=list(KEY), how="inner")
    return found


def _columns(data: bytes, path: Path) -> tuple[Column, ...]:
    header = header_of(data)
    fixed = {column.name: column for column in (*POINT[1:], *OPS)}
    missing = [name for name in fixed if name not in header]
    if missing or len(set(header)) != len(header):
        what = f"lacks {', '.join(missing[:5])}" if missing else "names a column twice"
        raise BadCampaign(f"{path}: line 1 is not the header of a table of ops: it {what}")
    return tuple(fixed.get(name) or Column(name=name, kind="text", unit="", meaning="") for name in header)


def _spec_cells(spec: ModelSpec) -> dict[str, Cell]:
    parameters = {name: parameter_cell(value) for name, value in spec.params.columns().items()}
    common: dict[str, Cell] = {"precision": spec.precision, "batch": spec.batch}
    return {"spec_id": spec.spec_id, "family": spec.family, **parameters, **common}


def _target_cells(target: Target) -> dict[str, Cell]:
    return {"device": target.device, "threads": target.threads, "kernels": target.kernels}


def _lines(found: Profile | Failure) -> Iterable[Mapping[str, Cell]]:
    if isinstance(found, Failure):
        yield {"part": WHOLE, "error": found.text()}
        return
    for one in found.ops:
        yield {
            "part": OP,
            "op": one.op,
            "op_index": one.indices[0],
            "op_count": len(one.indices),
            "op_length": one.length,
            "macs": one.macs,
            "latency_ms": one.latency_ms,
            "latency_low_ms": one.low_ms,
            "latency_high_ms": one.high_ms,
            **one.terms,
            "error": one.error,
        }
    for name, value in found.other_ms.items():
        yield {"part": TERM, "op": name.removesuffix("_ms"), "op_count": 1, "latency_ms": value}
    interval = {"latency_low_ms": found.low_ms, "latency_high_ms": found.high_ms, "latency_min_ms": found.least_ms}
    yield {"part": WHOLE, "latency_ms": found.whole_ms, **interval}
