"""Where the time goes, by kind of op: families and real models beside each other, and along a hyperparameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from paraedge.analyze.ops import Breakdown, breakdown
from paraedge.analyze.points import target_labels
from paraedge.archive.ops import read_ops
from paraedge.core.device import Origin
from paraedge.core.words import plural
from paraedge.report.canvas import Panel
from paraedge.report.data import REAL, ReportData, Series, campaign_name, kind_of, like, only_like
from paraedge.report.figures import op_breakdown as figure
from paraedge.report.sections.section import MOST_MODELS, MOST_SERIES, Section
from paraedge.report.tables import Column, Table, cell

ID, SHORT, TITLE = "ops", "Ops", "Where the time goes, by kind of op"
MOST_VALUES = 12
"""Most values of a hyperparameter that get a bar; of more, every so-manieth."""
MOST_SAID = 4
"""Bars that a panel's words tell of."""
DULL = 0.02
"""A hyperparameter that moves no share by more gets no panel."""
TEXT = (
    "What part of its time a model spends in which kind of op. Measured: each op was timed alone, as a model of its "
    "own, those with the same options, shapes and types once, and what an invoke costs whatever it does is taken off "
    "each. Simulated: each op has its part of the prediction's arithmetic; parameters that are streamed, transfers of "
    "inputs, outputs and instructions, and overhead have parts of their own. A bar is the mean over models, each "
    "counting the same."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Device:
    """A device with the models that were taken apart on it; `only`: which of them are comparable, if not all."""

    series: Series
    found: Breakdown
    only: str


def op_breakdown_section(data: ReportData) -> Section:
    """From the tables of ops beside the campaigns; a hole where there are none."""
    devices = list(_devices(data))
    if not any(len(device.found.models) for device in devices):
        hole = "No op was timed: paraedge profile SWEEP -o DIR, with the campaign's folder, does that."
        return Section(id=ID, short=SHORT, title=TITLE, texts=(), holes=(hole,))
    colours = figure.colours_of(pd.concat([device.found.shares for device in devices]).fillna(0.0))
    panels = [_by_group(device, colours) for device in devices[:MOST_SERIES]]
    for device in _first_of_each_origin(devices):
        panels += _by_parameter(data, device, colours)
    holes = tuple(_lacking(device) for device in devices if device.found.incomplete)
    return Section(
        id=ID, short=SHORT, title=TITLE, texts=(TEXT + _only_text(devices),), panels=tuple(panels),
        tables=(_sums_table(devices), _shares_table(devices)), holes=holes,
    )  # fmt: skip


def _devices(data: ReportData) -> Iterator[Device]:
    """Each device that models were taken apart on, measured ones first."""
    known = {series.key: series for series in data.series}
    found: list[Device] = []
    for place, campaign in enumerate(data.campaigns):
        lines = read_ops(campaign.folder)
        for target, mine in lines.groupby(target_labels(lines), sort=False) if len(lines) else ():
            name = str(target) if len(data.campaigns) == 1 else f"{campaign_name(data.campaigns, place)}: {target}"
            made = Series(
                key=f"{place} {target}", label=name, campaign=campaign.name, target=str(target),
                simulated=mine["origin"].iloc[0] == Origin.SIMULATED.value, place=len(found), roofs=(),
            )  # fmt: skip
            all_models = breakdown(mine)
            found.append(
                Device(
                    series=known.get(made.key, made),
                    found=_comparable(all_models),
                    only=only_like(all_models.models),
                )
            )
    return iter(sorted(found, key=lambda device: device.series.simulated))


def _only_text(devices: Sequence[Device]) -> str:
    only = sorted({device.only for device in devices if device.only})
    return f" Of the models that were taken apart{' or'.join(only)} are shown." if only else ""


def _lacking(device: Device) -> str:
    count, simulated = device.found.incomplete, device.series.simulated
    why = "the prediction leaves out ops with MACs" if simulated else "an op can't run alone"
    return f"{plural(count, 'model')} on {device.series.title} {'is' if count == 1 else 'are'} left out: {why}."


def _comparable(found: Breakdown) -> Breakdown:
    """Models that can be set beside each other: of the smallest batch and the main precision."""
    if found.models.empty:
        return found
    kept = found.of(found.models.index.to_series().isin(like(found.models).index))
    return Breakdown(models=kept.models, shares=kept.shares, incomplete=found.incomplete)


def _first_of_each_origin(devices: Sequence[Device]) -> list[Device]:
    firsts = {device.series.simulated: device for device in reversed(devices) if len(device.found.models)}
    return [firsts[simulated] for simulated in sorted(firsts)]


def _groups(device: Device) -> list[tuple[str, Breakdown]]:
    """Families by their sorts, then real models, in the order of the table."""
    models = device.found.models
    names = models.apply(kind_of, axis="columns")
    real = models["family"].isin(REAL)
    if names[real].nunique() > MOST_MODELS:
        names = names.where(~real, models["family"])
    order = [*names[~real].unique(), *names[real].unique()]
    return [(str(name), device.found.of(names == name)) for name in order]


def _by_group(device: Device, colours: dict[str, str]) -> Panel:
    groups = _groups(device)
    rows = [(f"{name} ({len(part.models)})" if len(part.models) > 1 else name, part.mean()) for name, part in groups]
    largest = "; ".join(f"{name} {_words(part)}" for name, part in groups[:MOST_SAID])
    more = f"; {plural(len(groups) - MOST_SAID, 'row')} more in the table" if len(groups) > MOST_SAID else ""
    return figure.draw(
        device.series.title, "", rows, colours, name=f"ops-{device.series.stem}",
        text=f"{device.series.title}: {largest}{more}.",
    )  # fmt: skip


def _words(part: Breakdown) -> str:
    mean = part.mean()
    return ", ".join(f"{kind} {100 * share:.0f} %" for kind, share in list(mean.items())[:2])


def _by_parameter(data: ReportData, device: Device, colours: dict[str, str]) -> Iterator[Panel]:
    """For each family that is generated, the shares along the number that moves them most."""
    models = device.found.models
    for family in dict.fromkeys(map(str, models["family"])):
        mine = device.found.of(models["family"] == family)
        name = _strongest(mine, data.parameters(mine.models)) if family not in REAL else None
        if name is None:
            continue
        values = sorted(mine.models[name].unique())
        step = -(-len(values) // MOST_VALUES)
        rows = [(cell(value), mine.of(mine.models[name] == value).mean()) for value in values[::step]]
        first, last = (mine.of(mine.models[name] == value) for value in (values[0], values[-1]))
        yield figure.draw(
            f"{family}: {device.series.title}", name, rows, colours, name=f"ops-{family}-{name}-{device.series.stem}",
            text=f"{family} on {device.series.title}, means over all else by {name}: at {cell(values[0])} "
            f"{_words(first)}; at {cell(values[-1])} {_words(last)}.",
        )  # fmt: skip


def _strongest(mine: Breakdown, names: Sequence[str]) -> str | None:
    """The number whose values' mean shares lie furthest apart; None where none moves any."""
    best, most = None, DULL
    for name in names:
        values = mine.models[name]
        if not pd.api.types.is_numeric_dtype(values) or values.isna().any() or values.nunique() < 3:
            continue
        means = mine.shares.groupby(values).mean()
        apart = float((means.max() - means.min()).max())
        if apart > most:
            best, most = name, apart
    return best


def _sums_table(devices: Sequence[Device]) -> Table:
    """How the sum of the ops compares with the whole."""
    rows = []
    for device in devices:
        models = device.found.models
        ratio, to_least = models["ratio"], models["added_ms"] / models["least_ms"]
        figures = (ratio.median(), ratio.min(), ratio.max(), to_least.median())
        cells = (cell(round(100 * one, 2), 3) for one in figures)
        rows.append((device.series.label, device.series.origin, cell(len(ratio)), *cells))
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="models", number=True),
        *(Column(title=name, unit="% of the whole", number=True) for name in ("median", "least", "most")),
        Column(title="median", unit="% of its fastest block", number=True),
    )  # fmt: skip
    note = (
        "Ops alone add up to more than the whole where each pays for an invoke of its own; to less where in the whole "
        "they compete for the caches or, if not less than its fastest block, where the machine was not at rest. "
        "A prediction is the sum of its parts."
    )
    return Table(title="The ops together against the whole model", columns=columns, rows=tuple(rows), note=note)


def _shares_table(devices: Sequence[Device]) -> Table:
    """The mean share of every kind in every group."""
    rows = tuple(
        (device.series.label, device.series.origin, name, cell(len(part.models)), str(kind), cell(100 * share, 3))
        for device in devices
        for name, part in (_groups(device) if len(device.found.models) else ())
        for kind, share in part.mean().items()
    )
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="models"),
        Column(title="how many", number=True), Column(title="op"), Column(title="share", unit="%", number=True),
    )  # fmt: skip
    return Table(title="Mean share of each kind of op", columns=columns, rows=rows, collapsed=True)
