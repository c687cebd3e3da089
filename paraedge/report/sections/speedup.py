"""Every other device against the first measured one."""

from __future__ import annotations

from collections.abc import Iterable

from paraedge.analyze.speedup import SpeedupResult, speedup
from paraedge.analyze.statistics import geometric_mean
from paraedge.core.errors import BadInput
from paraedge.report.canvas import Panel
from paraedge.report.data import REAL, ReportData, Series
from paraedge.report.figures import speedup as speedup_figure
from paraedge.report.sections.section import MOST_SERIES, Section, fastest_base, there
from paraedge.report.tables import Column, Table, cell


def speedup_section(data: ReportData) -> Section:
    """Every other device against the first measured one."""
    base = fastest_base(data)
    if base is None or len(data.series) < 2:
        reason = "a speed-up needs two devices, and there is only one" if base else "no point has a result"
        return Section(
            id="speedup", short="Speed-up", title="Speed-up", texts=(), holes=(f"Nothing to compare: {reason}.",)
        )
    found: list[tuple[Series, SpeedupResult]] = []
    holes: list[str] = []
    for new in data.series:
        if new is not base:
            try:
                found.append((new, _speedup(data, base, new)))
            except BadInput as error:
                holes.append(f"No speed-up of {new.title}: {error}.")
    panels: list[Panel | None] = [
        speedup_figure.draw_families(r, base, new, data.families) for new, r in found[:MOST_SERIES]
    ]
    if found:
        panels += _by_parameter(data, base, *found[0])
    texts = [
        f"How many times faster than {base.title} the other devices are, on the points that are good on both. "
        "Above the dashed line (1) the other device is faster, below it the base is."
    ]
    if not base.simulated and data.simulated:
        texts.append(
            "A simulated latency is divided by a measured one here: read it as what the performance model expects, "
            "not as something that was timed."
        )
    table = (_speedup_table(base, found), *_family_table(data, base, found)) if found else ()
    return Section(
        id="speedup", short="Speed-up", title=f"Speed-up over {base.label}", texts=tuple(texts), panels=there(panels),
        tables=table, holes=tuple(holes),
    )  # fmt: skip


def _speedup(data: ReportData, base: Series, new: Series) -> SpeedupResult:
    names = {"base_name": base.label, "new_name": new.label}
    return speedup(data.of(base), data.of(new), ["spec_id"], "latency_median_ms", **names)


def _by_parameter(data: ReportData, base: Series, new: Series, result: SpeedupResult) -> Iterable[Panel]:
    for family in (name for name in data.families if name not in REAL):
        mine = result.pairs[result.pairs["family"] == family]
        names = data.parameters(mine)
        best = speedup_figure.best_parameter(mine, names) if len(mine) > 3 else None
        if best:
            yield speedup_figure.draw_parameter(mine, base, new, family, best)


def _speedup_table(base: Series, found: list[tuple[Series, SpeedupResult]]) -> Table:
    rows = tuple(
        (
            new.label, speedup_figure.kinds(new, base), cell(r.count), cell(r.geometric_mean, 3), cell(r.median, 3),
            cell(r.mean, 3), cell(r.min, 3), cell(r.max, 3), f"{100 * r.share_above_1:.0f}",
            cell(r.unmatched_base + r.unmatched_new + r.excluded),
        )
        for new, r in found
    )  # fmt: skip
    numbers = ("geometric mean", "median", "mean", "least", "most")
    columns = (
        Column(title="device"), Column(title="what by what"), Column(title="points", number=True),
        *(Column(title=name, unit="times", number=True) for name in numbers),
        Column(title="faster", unit="% of points", number=True), Column(title="without a partner", number=True),
    )  # fmt: skip
    return Table(title=f"Speed-up over {base.title}", columns=columns, rows=rows)


def _family_table(data: ReportData, base: Series, found: list[tuple[Series, SpeedupResult]]) -> list[Table]:
    """Geometric mean of each device by family; none where there is one family only."""
    if len(data.families) < 2:
        return []
    rows = []
    for new, result in found:
        means = result.pairs.groupby("family")["speedup"].agg(lambda ratios: geometric_mean(ratios.to_numpy()))
        kinds = speedup_figure.kinds(new, base)
        rows.append((new.label, kinds, *(cell(means.get(family), 3) for family in data.families)))
    columns = (
        Column(title="device"), Column(title="what by what"),
        *(Column(title=family, unit="times", number=True) for family in data.families),
    )  # fmt: skip
    return [Table(title="By family, geometric means", columns=columns, rows=tuple(rows))]
