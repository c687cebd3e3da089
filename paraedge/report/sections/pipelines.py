"""Pipelines and data parallel runs: speed-up over the fewest devices, how many pay, and which of both is better."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from paraedge.analyze.pipelines import count_of, data_or_pipeline, over_fewest
from paraedge.analyze.points import parameter_columns
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, joined
from paraedge.report.figures import pipelines as figures
from paraedge.report.sections import pipeline_tables as tables
from paraedge.report.sections.section import Section
from paraedge.report.tables import Column, Table, cell

MIB = 2**20
SMALL_BYTES = 8e6
"""Coral's page on pipelining: smaller models rather side by side."""
MOST_MODELS = 3
"""So many models of a group get a figure of their own against the number of devices."""
FEW_VALUES = 4
"""A parameter with at most so many values splits a family into groups; the one with the most is the size."""
FEWEST_SIZES = 5
"""Models that a figure against size needs."""
STREAMS = "parameters come on chip that fewer devices stream"
OTHERS = ("equal", "pipedream")
OTHERS_IN_WORDS = ("the optimal split's throughput over an equal-layers split's", "over pipedream's split's")

QUOTED = (
    "Quoted from EdgePipe (arXiv 2110.14895), not reproduced here: 10.59 and 11.88 times as fast on 16 devices, 3.93 "
    "times over 4 nodes, up to 4.16 times PipeDream's split. That paper doesn't give its layer times, memory, links or "
    "micro-batch, so the clusters here vary them."
)


def pipelines_section(data: ReportData) -> Section | None:
    """None where the campaigns have no pipeline."""
    if data.pipelines.empty:
        return None
    table = over_fewest(data.pipelines)
    failed = int((data.pipelines["status"] != "ok").sum())
    holes = (
        (f"{failed} of {len(data.pipelines)} runs have no result; the reasons are under Failures.",) if failed else ()
    )
    if table.empty:
        return _section((), (), (), ("No run over devices has a result.",))
    panels = [*_against_size(data, table), *_against_devices(table)]
    both = with_origin(data_or_pipeline(data.pipelines), table)
    panels += _data_panels(both)
    texts = [_reading(table), *_superlinear(table), *_data_text(both)]
    quoted, ranges = _clusters(table)
    return _section((*texts, *quoted), tuple(panels), (*ranges, *_tables(table, both)), holes)


def _section(
    texts: tuple[str, ...], panels: tuple[Panel, ...], tables: tuple[Table, ...], holes: tuple[str, ...]
) -> Section:
    return Section(
        id="pipelines", short="Several devices", title="Several devices", texts=texts, panels=panels, tables=tables,
        holes=holes,
    )  # fmt: skip


def _tables(table: pd.DataFrame, both: pd.DataFrame) -> tuple[Table, ...]:
    compared = () if both.empty else (tables.data_table(both),)
    return (tables.best_table(table), tables.gap_table(table), *compared)


def _reading(table: pd.DataFrame) -> str:
    simulated = (table["origin"] == "simulated").all()
    return (
        "The time of one input (wall time of a whole run by its inputs, filling and draining included) on one device, "
        "or on the fewest that have a result, by that on several."
        + (
            " All of it is simulated: a discrete-event model of the pipeline on predicted stage times."
            if simulated
            else ""
        )
    )


def _superlinear(table: pd.DataFrame) -> Iterator[str]:
    """Where more devices give more than as many times the speed; no Amdahl fraction is made of it."""
    over = table[table["is_superlinear"]]
    if len(over):
        best = over.iloc[int(over["share"].to_numpy(dtype=float).argmax())]
        cause = f"{int(over['by_memory'].sum())} of them by memory: {STREAMS}"
        yield (
            f"{len(over)} of {len(table)} runs are super-linear, faster than as many times as there are more devices; "
            f"{cause}. The most is {cell(best['speedup'], 3)} times on {int(best['segments'])} devices at "
            f"{cell(best['weight_bytes'] / MIB, 3)} MiB of weights. No serial share is derived from such runs"
            f"{': what they gain is memory, not parallel work' if best['by_memory'] else ''}."
        )


def _clusters(table: pd.DataFrame) -> tuple[list[str], list[Table]]:
    """What EdgePipe published, as a quotation, and the range of the same figures over the clusters here."""
    mine = table[table["device"].astype(str).str.startswith("cluster:")]
    if mine.empty:
        return [], []
    rows, ranges = [], []
    for (device, _), group in mine.groupby(["device", "spec_id"], sort=False):
        most = group[group["segments"] == group["segments"].max()]
        times = most.drop_duplicates("strategy").set_index("strategy")["bottleneck_ms"].astype(float)
        gains = [times[name] / times["optimal"] if {name, "optimal"} <= {*times.index} else None for name in OTHERS]
        first, speedup = most.iloc[0], float(most["speedup"].max())
        ranges.append((speedup, *gains))
        name = first["model"] if isinstance(first.get("model"), str) else f"{first['family']} {first['spec_id']}"
        rows.append(
            (
                str(device), f"{name}, batch {count_of(first['batch'])}", cell(first["base_segments"]),
                cell(first["segments"]), cell(speedup, 3), *(cell(gain, 3) for gain in gains),
            )
        )  # fmt: skip
    columns = (
        Column(title="cluster"), Column(title="model"), Column(title="fewest with a result", number=True),
        Column(title="devices", number=True), Column(title="speed-up over the fewest", unit="times", number=True),
        *(Column(title=f"optimal over {name}", unit="times", number=True) for name in OTHERS),
    )  # fmt: skip
    text = "Over the clusters and batches here: " + "; ".join(
        f"{what} {cell(min(known), 3)} to {cell(max(known), 3)} times"
        for what, values in zip(
            ("all devices over the fewest", *OTHERS_IN_WORDS), zip(*ranges, strict=True), strict=True
        )
        if (known := [value for value in values if value is not None])
    )
    quoted = [QUOTED] if "model" in mine and mine["model"].astype(str).str.startswith("vit").any() else []
    return [*quoted, f"{text}."], [Table(title="Clusters: the range", columns=columns, rows=tuple(rows))]


def with_origin(both: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The comparisons with the origin of their device."""
    origin = table.drop_duplicates("device").set_index("device")["origin"]
    return both.assign(origin=both["device"].map(origin))


def _data_text(both: pd.DataFrame) -> Iterator[str]:
    """When whole models side by side are better, and when a cut."""
    if both.empty:
        return
    several = both[both["inputs"].astype(float) > 1]
    small = several["weight_bytes"].astype(float) <= SMALL_BYTES
    parts = [
        f"{what} in {100 * float((mine['winner'] == name).mean()):.0f} % of {len(mine)} comparisons {where} 8 MB"
        for name, what, where, mine in (
            ("data", "whole models were the fastest", "up to", several[small]),
            ("pipeline", "a pipeline", "above", several[~small]),
        )
        if len(mine)
    ]
    found = f" Here, with several inputs, {joined(parts)}." if parts else ""
    assumed = " Simulated copies pay the host's serial time for each input as pipelines do, which is an assumption."
    yield (
        f"Data parallel or pipeline? Coral's page advises whole models side by side below 8 MB.{found} The table has "
        f"all of them, one device alone included.{assumed if (both['origin'] == 'simulated').any() else ''}"
    )


def groups(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Runs of one family and device whose models differ in size, and in parameters of many values: title and rows."""
    several = table["device"].nunique() > 1
    for (family, device), mine in table.groupby(["family", "device"], sort=False):
        counts = {name: mine[name].nunique() for name in parameter_columns(mine) if mine[name].nunique() > 1}
        size = max(counts, key=lambda name: counts[name], default=None)
        splits = [name for name, count in counts.items() if name != size and count <= FEW_VALUES]
        splits += ["precision"] if mine["precision"].nunique() > 1 else []
        parts = mine.groupby(splits, sort=False) if splits else [((), mine)]
        for values, part in parts:
            named = " ".join(f"{name}={cell(value)}" for name, value in zip(splits, values, strict=True))
            yield " ".join(word for word in (str(family), named, f"on {device}" if several else "") if word), part


def _order(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table["strategy"].dropna().unique()]


def _against_size(data: ReportData, table: pd.DataFrame) -> Iterator[Panel]:
    """Every number of devices for most inputs; for fewer inputs those that published rows have."""
    strategies = _order(table)
    for title, group in groups(table):
        several = group[group["strategy"].notna()]
        if several["weight_bytes"].nunique() < FEWEST_SIZES:
            continue
        most = several["inputs"].max()
        for (segments, inputs), mine in several.groupby(["segments", "inputs"]):
            beside = published(data.published, mine)
            if inputs == most or len(beside):
                name = f"{count_of(segments)} devices, {tables.inputs_text(inputs)}"
                stem = f"pipelines-{title}-{name}-{mine['device'].iloc[0]}"
                yield figures.against_size(mine, f"{title}: {name}", stem, strategies, beside)


def published(rows: pd.DataFrame, mine: pd.DataFrame) -> pd.DataFrame:
    """Published rows, which are of Edge TPUs: of the same family, number of devices and inputs, each one example.

    On convolutions of the same input channels (8).
    """
    first = mine.iloc[0]
    other = "channel" in mine.columns and mine["channel"].notna().any() and (mine["channel"] != 8).any()
    if rows.empty or other or (mine["batch"] != 1).any() or not re.match(r"(sim-)?edgetpu", str(first["device"])):
        return rows.iloc[:0]
    same = (rows["family"] == first["family"]) & (rows["segments"] == first["segments"])
    found: pd.DataFrame = rows[same & (rows["inputs"] == first["inputs"])]
    return found


def _against_devices(table: pd.DataFrame) -> Iterator[Panel]:
    """A few models of each group, the smallest, a middle one and the largest, at most inputs."""
    strategies = _order(table)
    for title, group in groups(table):
        mine = group[group["inputs"] == group["inputs"].max()]
        if mine["segments"].nunique() < 3:
            continue
        order = mine.drop_duplicates("spec_id").sort_values("weight_bytes")
        chosen = sorted({0, len(order) // 2, len(order) - 1})[:MOST_MODELS]
        for _, model in order.iloc[chosen].iterrows():
            rows = mine[mine["spec_id"] == model["spec_id"]]
            if rows["strategy"].notna().any():
                name = str(model["model"]) if isinstance(model.get("model"), str) else title
                batch = f", batch {count_of(model['batch'])}" if model["batch"] != 1 else ""
                where = f" on {model['device']}" if table["device"].nunique() > 1 and name != title else ""
                whole = f"{name}{where}: {cell(model['weight_bytes'] / MIB, 3)} MiB{batch}"
                yield figures.against_devices(rows, whole, f"devices-{title}-{model['spec_id']}", strategies)


def _data_panels(both: pd.DataFrame) -> Iterator[Panel]:
    for (family, device), group in both.groupby(["family", "device"], sort=False):
        mine = group[group["inputs"] == group["inputs"].max()]
        if mine["weight_bytes"].nunique() >= FEWEST_SIZES:
            title = f"{family} on {device}, {tables.inputs_text(mine['inputs'].iloc[0])}"
            yield figures.data_against_pipeline(mine, title, f"data-or-pipeline-{family}-{device}")
