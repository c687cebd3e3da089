"""Tables of runs over several devices: the best of each model, the proven gaps, and data parallel against pipelines."""

from __future__ import annotations

import pandas as pd

from paraedge.analyze.pipelines import count_of
from paraedge.analyze.points import parameter_columns
from paraedge.report.data import joined
from paraedge.report.tables import Column, Table, cell, cut, parameter_text

MIB = 2**20
WINNERS = {"one": "one device", "data": "whole models side by side", "pipeline": "a pipeline", "even": "even"}


def data_table(both: pd.DataFrame) -> Table:
    """Which was the fastest, of all models and numbers of devices; both: of `analyze.pipelines.data_or_pipeline`."""
    rows = []
    for (family, device, inputs), mine in both.groupby(["family", "device", "inputs"], sort=False):
        cells = []
        for name in WINNERS:
            won = mine[mine["winner"] == name]["weight_bytes"].astype(float) / MIB
            share = f"{100 * len(won) / len(mine):.0f}"
            cells.append(f"{share} ({cell(won.min(), 3)} to {cell(won.max(), 3)} MiB)" if len(won) else "0")
        rows.append((str(family), str(device), cell(inputs), cell(len(mine)), *cells))
    columns = (
        Column(title="family"), Column(title="device"), Column(title="inputs", number=True),
        Column(title="comparisons", number=True),
        *(Column(title=f"{what} the fastest", unit="%", number=True) for what in WINNERS.values()),
    )  # fmt: skip
    note = "A comparison is a model over a number of devices; in brackets the weights of the models."
    return Table(title="Data parallel or pipeline", columns=columns, rows=tuple(rows), note=note)


def best_table(table: pd.DataFrame) -> Table:
    """The best strategy of every model and number of devices, at the most inputs that its device had."""
    most = table[table["inputs"] == table.groupby("device")["inputs"].transform("max")]
    best = most.sort_values("latency_median_ms", kind="stable").drop_duplicates(["spec_id", "device", "segments"])
    best = best.sort_values(["device", "family", "weight_bytes", "segments"], kind="stable")
    names = [name for name in (*parameter_columns(best), "precision") if best[name].nunique() > 1]
    rows = [
        (
            str(row["device"]), str(row["origin"]), f"{row['family']} {parameter_text(row, names)}",
            cell(row["weight_bytes"] / MIB, 3), cell(row["segments"]), cell(row["strategy"]), cell(row.get("cuts")),
            cell(row["latency_median_ms"]), cell(row["bottleneck_ms"]), cell(row["throughput_per_s"], 3),
            cell(row["speedup"], 3),
            ("yes, by memory" if row["by_memory"] else "yes") if row["is_superlinear"] else "",
        )
        for _, row in best.iterrows()
    ]  # fmt: skip
    shown, note = cut(rows)
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="model"),
        Column(title="weights", unit="MiB", number=True), Column(title="devices", number=True),
        Column(title="best strategy"), Column(title="cuts"), Column(title="time", unit="ms an input", number=True),
        Column(title="bottleneck by the cost model", unit="ms an input", number=True),
        Column(title="throughput", unit="inputs/s", number=True), Column(title="speed-up", unit="times", number=True),
        Column(title="super-linear"),
    )  # fmt: skip
    title = f"The best of each model, {joined([inputs_text(count) for count in sorted(most['inputs'].unique())])}"
    said = "The bottleneck is what the cuts were judged by: a time far above it was not foreseen."
    return Table(title=title, columns=columns, rows=shown, note=f"{said} {note}".strip(), collapsed=len(shown) > 40)


def gap_table(table: pd.DataFrame) -> Table:
    """How far each strategy is from the proven bound, over all models."""
    several = table[table["strategy"].notna() & table["gap"].notna()]
    rows = []
    for (device, strategy, segments), mine in several.groupby(["device", "strategy", "segments"], sort=False):
        gap = 100 * mine.drop_duplicates("spec_id")["gap"].astype(float)
        rows.append(
            (
                str(device), str(strategy), cell(segments), cell(len(gap)), f"{gap.median():.1f}",
                f"{gap.quantile(0.9):.1f}", f"{gap.max():.1f}", f"{100 * float((gap < 1e-6).mean()):.0f}",
            )
        )  # fmt: skip
    columns = (
        Column(title="device"), Column(title="strategy"), Column(title="devices", number=True),
        Column(title="models", number=True), Column(title="gap, median", unit="%", number=True),
        Column(title="90th percentile", unit="%", number=True), Column(title="most", unit="%", number=True),
        Column(title="optimal", unit="% of models", number=True),
    )  # fmt: skip
    note = "Of the bottleneck, above the best contiguous split over at most as many devices under the same cost model."
    return Table(title="Distance from the proven bound", columns=columns, rows=tuple(rows), note=note)


def inputs_text(count: object) -> str:
    """`50 inputs`."""
    number = count_of(count)
    return f"{number} input{'' if number == 1 else 's'}"
