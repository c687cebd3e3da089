"""Campaign: a folder as tables, also while it is being written; nothing is changed on disk."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paraedge.archive.columns import ADDED, POINT, RESULT, SAMPLES, STAGES, Column, names, parameter_column
from paraedge.archive.lines import check, csv_line, header_of, parse, whole_lines
from paraedge.archive.meta import META, read_meta
from paraedge.archive.repair import RUNS, SAMPLES_FILE, STAGES_FILE
from paraedge.core.errors import BadCampaign, short

if TYPE_CHECKING:
    import pandas as pd

KEY = ("spec_id", "device", "threads", "kernels", "segments", "strategy", "inputs", "round")
"""Columns of a point's key."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Campaign:
    """A campaign as read.

    attempts: a row for each line of runs.csv, in order. runs: the last attempt of each key. Integer columns are int64
    where a cell is never empty and Int64 elsewhere, numbers float64, texts have NaN for empty cells; a parameter is
    Int64 where all its cells are integers. meta: the sections of meta.json.
    """

    name: str
    folder: Path
    runs: pd.DataFrame
    attempts: pd.DataFrame
    meta: dict[str, Any]

    def samples(self) -> pd.DataFrame:
        """Read samples.csv: run_id, block, invokes, block_ns for each timed block of each attempt that has its row."""
        path = self.folder / SAMPLES_FILE
        if not path.is_file():
            raise BadCampaign(f"{path} is not there: the summaries are in {RUNS}, the samples are gone")
        return self._detail(path, SAMPLES)

    def stages(self) -> pd.DataFrame:
        """Read stages.csv: the columns of STAGES for each device of each pipeline that has its row; else no rows."""
        path = self.folder / STAGES_FILE
        if path.is_file():
            return self._detail(path, STAGES)
        return table_of(csv_line(names(STAGES)).encode(), STAGES, path)

    def _detail(self, path: Path, columns: Sequence[Column]) -> pd.DataFrame:
        data = _read(path)
        if header_of(data) != names(columns):
            raise BadCampaign(f"{path}: line 1 is not {','.join(names(columns))}")
        table = table_of(data, columns, path)
        known = table["run_id"].isin(self.attempts["run_id"])
        found: pd.DataFrame = table.loc[known].reset_index(drop=True)
        return found


def read_campaign(folder: Path) -> Campaign:
    """Read a campaign's folder; raises BadCampaign where it is none, or where a line in it is not a row."""
    missing = [name for name in (META, RUNS) if not (folder / name).is_file()]
    if missing:
        raise BadCampaign(f"{folder} is not a campaign: it has no {missing[0]}; make one with `paraedge run`")
    meta = read_meta(folder)
    data = _read(folder / RUNS)
    if not data:
        raise BadCampaign(f"{folder / RUNS} is empty: no run has been written yet; `paraedge run` goes on with it")
    attempts = table_of(data, _columns(data, folder / RUNS), folder / RUNS)
    attempts = attempts.assign(**dict.fromkeys(sorted(ADDED - {*attempts.columns})))
    runs = attempts.drop_duplicates(subset=list(KEY), keep="last").reset_index(drop=True)
    return Campaign(name=str(meta["name"]), folder=folder, runs=runs, attempts=attempts, meta=meta)


def _read(path: Path) -> bytes:
    try:
        return whole_lines(path.read_bytes())
    except OSError as error:
        raise BadCampaign(f"can't read {path}: {error.strerror}") from None


def _columns(data: bytes, path: Path) -> tuple[Column, ...]:
    """The columns by the file's header: ours in their order, and between them the parameters of its sweep."""
    header = header_of(data)
    fixed = {column.name: column for column in (*POINT, *RESULT)}
    missing = [name for name in fixed if name not in header and name not in ADDED]
    if missing or len(set(header)) != len(header):
        what = f"lacks {', '.join(missing[:5])}" if missing else "names a column twice"
        raise BadCampaign(f"{path}: line 1 is not the header of a campaign: it {what}")
    return tuple(fixed.get(name) or Column(name=name, kind="text", unit="", meaning="") for name in header)


def table_of(data: bytes, columns: Sequence[Column], path: Path) -> pd.DataFrame:
    """Whole lines as a table, each column in its type; raises BadCampaign for a cell that has another."""
    import pandas as pd  # heavy: only those who read tables pay for it

    check(data, len(columns), path)
    types: Any = {column.name: _DTYPES[column.kind, column.filled] for column in columns}
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=types, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except (ValueError, TypeError, OverflowError) as error:
        raise BadCampaign(f"{path}: {_culprit(data, columns, path) or short(error)}; mend that cell") from None
    for name in (column.name for column in columns if not column.meaning):  # parameters
        table[name] = _parameter(table[name])
    return table


_DTYPES: Mapping[tuple[str, bool], str | type] = {
    ("text", True): str,
    ("text", False): str,
    ("integer", True): "int64",
    ("integer", False): "Int64",
    ("number", False): "float64",
}


def _parameter(column: pd.Series) -> pd.Series:
    """Integers where every cell that is not empty is one; nothing but empty cells take the parameter's own type."""
    import pandas as pd

    filled = column.dropna()
    integers = filled.str.fullmatch(r"-?\d{1,15}").all() if len(filled) else _is_integer(str(column.name))
    return pd.to_numeric(column).astype("Int64") if integers else column


def _is_integer(name: str) -> bool:
    return parameter_column(name).kind == "integer"


def _culprit(data: bytes, columns: Sequence[Column], path: Path) -> str | None:
    """The first cell that is not of its column's type."""
    for line, row in enumerate(parse(data, names(columns), path), start=2):
        for column, cell in zip(columns, row, strict=True):
            convert = {"integer": int, "number": float, "text": str}[column.kind]
            try:
                if cell or column.filled:
                    convert(cell)
            except ValueError:
                return f"line {line}: {column.name} is {short(cell, 40)!r}, not {_KINDS[column.kind]}"
    return None


_KINDS = {"integer": "an integer", "number": "a number", "text": "a text"}
