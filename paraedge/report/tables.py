"""Tables of the page: columns with units, cells as text, and every point that has no result with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from paraedge.analyze.points import parameter_columns
from paraedge.report.data import ReportData, Series

MOST_ROWS = 600
"""Longest table of the page; the rest is in runs.csv and the table says so."""
MOST_OPEN = 12
"""Rows of a list of holes or doubts above which it is folded away."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name, its unit, whether it holds numbers (right), long texts, or an origin."""

    title: str
    unit: str = ""
    number: bool = False
    wide: bool = False
    badge: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text, row by row; folded away where `collapsed`."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    collapsed: bool = False


def cell(value: object, digits: int = 4) -> str:
    """A value for people: significant digits, thousands apart; nothing for what is unknown."""
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        return str(value)
    number = float(value)
    if math.isnan(number):
        return ""
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    if number == int(number) and abs(number) < 1e15:
        return f"{int(number):,}".replace(",", "\u202f")
    places = max(0, digits - 1 - math.floor(math.log10(abs(number))))
    return f"{number:,.{min(places, 9)}f}".replace(",", "\u202f")


def parameter_text(row: pd.Series, names: Iterable[str]) -> str:
    """`layer=4 node=512`: the hyperparameters of a point that are known."""
    shown = [(name, row.get(name)) for name in names]
    return " ".join(f"{name}={cell(value).replace(chr(0x202F), '')}" for name, value in shown if cell(value))


def point_text(data: ReportData, row: pd.Series) -> str:
    """The hyperparameters of a point that vary in its family; all that are known where none does."""
    family = str(row["family"])
    names = data.varying(family) or parameter_columns(data.points)
    return parameter_text(row, [*names, *_precision(data.points[data.points["family"] == family])])


def _precision(table: pd.DataFrame) -> list[str]:
    """The column of the precision, where a reader needs it."""
    return ["precision"] if table["precision"].nunique() > 1 else []


def cut(rows: Sequence[tuple[str, ...]]) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The rows that the page shows, and a sentence where some are left out."""
    if len(rows) <= MOST_ROWS:
        return tuple(rows), ""
    return tuple(rows[:MOST_ROWS]), f"The first {MOST_ROWS} of {len(rows)}; all are in runs.csv."


def points_table(data: ReportData, family: str) -> Table:
    """Every point of a family on every device: what was set, what came out, and why not where nothing did."""
    table = data.points[data.points["family"] == family]
    parameters = [*data.parameters(table), *_precision(table)]
    labels = {series.key: series for series in data.series}
    rows = []
    for record in table.to_dict(orient="records"):
        series = labels[record["series"]]
        low, high = record.get("latency_low_ms"), record.get("latency_high_ms")
        interval = f"{cell(low)} to {cell(high)}" if cell(low) and cell(high) and not series.simulated else ""
        rows.append(
            (
                *(cell(record[name]) for name in parameters), series.label, series.origin,
                cell(record["latency_median_ms"]), interval, cell(record["gops_per_s"], 3),
                cell(record["examples_per_s"], 3),
                cell(record["macs"]), cell(record["parameters"]), cell(record["off_chip_bytes"]),
                reason(record["error"]) if record["status"] != "ok" else cell(record.get("warnings")),
            )
        )  # fmt: skip
    shown, note = cut(rows)
    columns = (
        *(Column(title=name, number=pd.api.types.is_numeric_dtype(table[name])) for name in parameters),
        Column(title="device"), Column(title="origin", badge=True),
        Column(title="latency", unit="ms a batch, median", number=True),
        Column(title="95 % interval", unit="ms", number=True),
        Column(title="rate", unit="1e9 op/s", number=True), Column(title="examples", unit="a second", number=True),
        Column(title="MACs", number=True), Column(title="parameters", number=True),
        Column(title="off chip", unit="bytes", number=True), Column(title="reason or warnings", wide=True),
    )  # fmt: skip
    return Table(title=f"All points of {family}", columns=columns, rows=shown, note=note, collapsed=True)


def reason(error: object) -> str:
    """Why a point has no result; says so where the row doesn't."""
    return cell(error) or "failed without a reason in its row"


def failures(data: ReportData) -> list[tuple[Series, pd.Series]]:
    """Every point without a result, with its series, in the order of the report."""
    bad = data.points[data.points["status"] != "ok"]
    return [(series, row) for series in data.series for _, row in bad[bad["series"] == series.key].iterrows()]


def failures_table(data: ReportData) -> Table:
    """Every point without a result, its reason in words; all of them, however many."""
    bad = data.pipelines[data.pipelines["status"] != "ok"]
    names = data.parameters(data.pipelines)
    rows = (
        *(
            (series.label, series.origin, str(row["family"]), point_text(data, row), reason(row["error"]))
            for series, row in failures(data)
        ),
        *(
            (
                str(row["target"]),
                str(row["origin"]),
                str(row["family"]),
                parameter_text(row, names),
                reason(row["error"]),
            )
            for _, row in bad.iterrows()
        ),
    )
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="family"), Column(title="point"),
        Column(title="reason", wide=True),
    )  # fmt: skip
    return Table(title="", columns=columns, rows=rows)


def lost_rounds_table(data: ReportData) -> Table:
    """Points that are good but lost some of their rounds."""
    if "n_failed" not in data.points.columns:
        return Table(title="", columns=(), rows=())
    partly = data.points[(data.points["status"] == "ok") & (data.points["n_failed"] > 0)]
    labels = {series.key: series for series in data.series}
    rows = [
        (
            labels[str(row["series"])].label,
            labels[str(row["series"])].origin,
            str(row["family"]),
            point_text(data, row),
            cell(row["n_rounds"]),
            cell(row["n_failed"]),
        )
        for _, row in partly.iterrows()
    ]
    shown, note = cut(rows)
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="family"), Column(title="point"),
        Column(title="good rounds", number=True), Column(title="failed rounds", number=True),
    )  # fmt: skip
    return Table(title="Good points that lost a round", columns=columns, rows=shown, note=note, collapsed=True)
