"""A metric over two hyperparameters, with the reason of every hole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from paraedge.analyze.plain import plain_dict
from paraedge.analyze.table import good, numbers, require_columns
from paraedge.core.errors import BadInput, short

NOT_IN_GRID = "not in the grid"
NO_NUMBER = "no number"


@dataclass(frozen=True, kw_only=True)
class HeatmapResult:
    """Rows follow `y_values`, columns `x_values`, both ascending.

    matrix: median of the metric over the good points of a cell, None for a hole. reasons: why a cell is a hole (the
    error of its failed points, or that the grid has none), None for a filled one. counts: good points of a cell.
    failed: failed points of a cell, filled ones included. origins: measured, simulated, or both.
    """

    x: str
    y: str
    metric: str
    x_values: tuple[float | str, ...]
    y_values: tuple[float | str, ...]
    matrix: tuple[tuple[float | None, ...], ...]
    reasons: tuple[tuple[str | None, ...], ...]
    counts: tuple[tuple[int, ...], ...]
    failed: tuple[tuple[int, ...], ...]
    origins: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """For JSON; holes are None."""
        return plain_dict(self)


def heatmap(table: pd.DataFrame, x: str, y: str, metric: str, *, source: str = "the table") -> HeatmapResult:
    """The median of `metric` over each pair of values of the columns `x` and `y`.

    Rows without an x or y (of other families) are left out. Raises BadInput for a missing column, a metric that holds
    text, x and y the same, or where no row has both.
    """
    if x == y:
        raise BadInput(f"x and y of a heat map are both {x!r}; choose two columns")
    require_columns(table, (x, y, metric), source)
    require_columns(good(table), [metric], source, numeric=True)
    rows = table[table[x].notna() & table[y].notna()]
    if rows.empty:
        raise BadInput(f"no row of {source} has both {x!r} and {y!r}")
    xs, ys = _ascending(rows[x]), _ascending(rows[y])
    fine = good(rows)
    cells = pd.DataFrame({"x": fine[x], "y": fine[y], "value": numbers(fine, metric)})
    filled = cells.dropna(subset="value").groupby(["y", "x"])["value"].agg(["median", "count"])
    values: dict[Any, float] = filled["median"].to_dict()
    counts: dict[Any, int] = filled["count"].to_dict()
    failed, reasons = _holes(rows, x, y)
    empty = dict.fromkeys(zip(cells["y"], cells["x"], strict=True), NO_NUMBER)
    why: Mapping[tuple[object, object], str] = empty | reasons
    pairs = [[(row, column) for column in xs] for row in ys]
    several = int((filled["count"] > 1).sum())
    notes = [f"{several} cells hold the median of several points"] if several else []
    if len(rows) < len(table):
        notes.append(f"{len(table) - len(rows)} rows have no {x} or no {y} and are left out")
    return HeatmapResult(
        x=x, y=y, metric=metric, x_values=tuple(xs), y_values=tuple(ys),
        matrix=tuple(tuple(values.get(pair) for pair in line) for line in pairs),
        reasons=tuple(tuple(None if p in values else why.get(p, NOT_IN_GRID) for p in line) for line in pairs),
        counts=tuple(tuple(int(counts.get(pair, 0)) for pair in line) for line in pairs),
        failed=tuple(tuple(failed.get(pair, 0) for pair in line) for line in pairs),
        origins=tuple(sorted(map(str, fine["origin"].dropna().unique()))) if "origin" in fine.columns else (),
        notes=tuple(notes),
    )  # fmt: skip


def _ascending(column: pd.Series[float]) -> list[float | str]:
    """The different values, numbers by size and texts by alphabet, as Python's own types."""
    values = [value.item() if isinstance(value, np.generic) else value for value in column.unique()]
    if all(isinstance(value, (int, float)) for value in values):
        return sorted(values)
    return sorted(values, key=str)


def _holes(
    rows: pd.DataFrame, x: str, y: str
) -> tuple[dict[tuple[object, object], int], dict[tuple[object, object], str]]:
    """How many points of each cell failed, and the errors, each once."""
    if "status" not in rows.columns:
        return {}, {}
    bad = rows[rows["status"] != "ok"]
    errors = bad["error"] if "error" in bad.columns else pd.Series(None, index=bad.index, dtype=object)
    texts: dict[tuple[object, object], dict[str, None]] = {}
    failed: dict[tuple[object, object], int] = {}
    for row, column, error in zip(bad[y], bad[x], errors, strict=True):
        cell = (row, column)
        failed[cell] = failed.get(cell, 0) + 1
        texts.setdefault(cell, {})[str(error) if isinstance(error, str) else "no reason was kept"] = None
    return failed, {cell: f"failed: {short('; '.join(found), 300)}" for cell, found in texts.items()}
