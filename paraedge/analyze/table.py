"""Load a campaign's runs or any CSV as a table, check its columns, keep what is good."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from paraedge.analyze.partial import without_parts
from paraedge.analyze.points import last_attempts, points
from paraedge.core.errors import BadCampaign, BadInput, short

__all__ = ["good", "is_campaign", "last_attempts", "load_points", "load_table", "points", "require_columns"]

RUNS_FILE = "runs.csv"
CAMPAIGN_COLUMNS = ("run_id", "spec_id", "device", "round", "status", "latency_median_ms")
TEXT_COLUMNS = ("run_id", "spec_id", "family", "device", "kernels", "strategy", "cuts", "widths", "error", "warnings")
"""Read as text always: sixteen hexadecimal digits may look like a number."""


def load_table(path: Path) -> pd.DataFrame:
    """The rows of a campaign's folder, of its `runs.csv`, or of any CSV with a line of column names.

    Of a campaign, the last attempt of each point and round is kept. Columns may be separated by commas, semicolons
    or tabs. Raises BadInput, in one line, for what can't be read, and BadCampaign for a folder without `runs.csv`.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / RUNS_FILE).is_file():
            raise BadCampaign(f"{path} is not a campaign: it holds no {RUNS_FILE}; give a campaign's folder or a CSV")
        path = path / RUNS_FILE
    table = _read_csv(path, _separator(path))
    if is_campaign(table):
        torn = not path.read_bytes().endswith(b"\n")  # by a kill, or still being written: its numbers may be cut short
        table = table.iloc[:-1] if torn else table
        whole = table["status"].isin(["ok", "failed"])
        return last_attempts(table[whole].reset_index(drop=True))
    return table


def load_points(path: Path) -> pd.DataFrame:
    """As `load_table`, with the rounds of a campaign collapsed into points (see `points`), partial ones failed."""
    table = load_table(path)
    return without_parts(points(table)) if is_campaign(table) else table


def is_campaign(table: pd.DataFrame) -> bool:
    """Whether these are a campaign's runs: rounds of points, to be collapsed by `points`."""
    return set(CAMPAIGN_COLUMNS) <= set(table.columns)


def good(table: pd.DataFrame) -> pd.DataFrame:
    """Rows whose `status` is ok; all rows of a table without that column."""
    return table[table["status"] == "ok"] if "status" in table.columns else table


def require_columns(table: pd.DataFrame, names: Sequence[str], source: str, *, numeric: bool = False) -> None:
    """Check that `table` has these columns, and that they hold numbers where `numeric`.

    Raises BadInput that names the missing column, the nearest one there is, and those that are there; or the first
    text of a column that should hold numbers.
    """
    for name in names:
        if name not in table.columns:
            raise BadInput(f"{source} has no column {name!r}{_nearest(name, table)}")
    for name in names if numeric else ():
        column = table[name]
        numbers = pd.to_numeric(column, errors="coerce")
        text = column[column.notna() & numbers.isna()]
        if len(text):
            raise BadInput(f"column {name!r} of {source} must hold numbers, but has {short(text.iloc[0], 40)!r}")


def numbers(table: pd.DataFrame, name: str) -> pd.Series[float]:
    """A column as floats; empty and infinite cells are NaN. A column that is not there is all NaN."""
    if name not in table.columns:
        return pd.Series(np.nan, index=table.index, dtype=float)
    column = pd.to_numeric(table[name], errors="coerce").astype(float)
    return column.where(np.isfinite(column))


def _nearest(name: str, table: pd.DataFrame) -> str:
    there = [str(column) for column in table.columns]
    lower = {column.lower(): column for column in there}
    near = difflib.get_close_matches(name.lower(), lower, n=1)
    question = f"; did you mean {lower[near[0]]!r}?" if near else ""
    return f"{question} (there are: {short(', '.join(there), 300)})" if not near else question


def _separator(path: Path) -> str:
    """The separator of the header line; raises BadInput for what is no text, empty or not there."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except FileNotFoundError:
        raise BadInput(f"no such file: {path}; give a campaign's folder or a CSV") from None
    except OSError as error:
        raise BadInput(f"can't read {path}: {short(error.strerror or error)}") from None
    if not head.strip():
        raise BadInput(f"{path} is empty; a CSV needs a line of column names and at least one row")
    if b"\0" in head:
        raise BadInput(f"{path} is not a CSV: it holds binary data")
    header = head.lstrip().split(b"\n")[0]
    counts = {separator: header.count(separator.encode()) for separator in (",", ";", "\t")}
    return max(counts, key=lambda separator: counts[separator]) if any(counts.values()) else ","


def _read_csv(path: Path, separator: str) -> pd.DataFrame:
    kinds = dict.fromkeys(TEXT_COLUMNS, str)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                path, sep=separator, encoding="utf-8-sig", dtype=kinds, index_col=False,
                low_memory=False, skipinitialspace=True,
            )  # fmt: skip
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not a CSV in UTF-8") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, ValueError) as error:
        raise BadInput(f"{path} is not a CSV that can be read: {short(error, 200)}") from None
    table.columns = [str(column).strip() for column in table.columns]
    if table.columns.has_duplicates:
        twice = table.columns[table.columns.duplicated()][0]
        raise BadInput(f"{path} has the column {twice!r} twice")
    if table.empty:
        raise BadInput(f"{path} has column names but no rows")
    return table
