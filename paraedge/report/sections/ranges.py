"""How large the models of the report are."""

from __future__ import annotations

import pandas as pd

from paraedge.report.data import REAL, ReportData, kind_of
from paraedge.report.figures import ranges
from paraedge.report.sections.section import MOST_MODELS, Section, none, there


def ranges_section(data: ReportData) -> Section:
    """The range of parameters and of MACs of each family, and those of each real model."""
    models = data.points.drop_duplicates("spec_id")
    rows = _rows(data, models)
    panels = [
        ranges.draw("Parameters", "parameters", [(label, f, t["parameters"].dropna()) for label, f, t in rows]),
        ranges.draw("MACs", "MACs of one example", [(label, f, _macs(t)) for label, f, t in rows]),
    ]
    return Section(
        id="ranges", short="Sizes", title="What the models span",
        texts=(
            "A bar goes from the smallest to the largest model of a family, with a tick for each size that was run; a "
            "mark is a real network, at several widths or images a mark each.",
        ) if rows else (),
        panels=there(panels), holes=none(panels, "No point says how many parameters it has."),
    )  # fmt: skip


def _rows(data: ReportData, models: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Label, family and points of each row: families in order, then real models by size, or their families if many."""
    families: list[tuple[str, str, pd.DataFrame]] = []
    real: list[tuple[str, str, pd.DataFrame]] = []
    for family in data.families:
        mine = models[models["family"] == family]
        kinds = mine.apply(kind_of, axis="columns")
        split = [(str(kind), family, table) for kind, table in mine.groupby(kinds)]
        if family not in REAL:
            families += split
        else:
            real += split if len(split) <= MOST_MODELS else [(family, family, mine)]
    return [*families, *sorted(real, key=lambda row: float(row[2]["parameters"].fillna(0).max()))]


def _macs(table: pd.DataFrame) -> pd.Series:
    return (table["macs"].astype(float) / table["batch"].astype(float)).dropna()
