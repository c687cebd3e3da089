"""Noise between rounds, failures and the points themselves."""

from __future__ import annotations

from paraedge.analyze.points import target_labels
from paraedge.report import tables
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData
from paraedge.report.figures import rounds
from paraedge.report.sections.section import MOST_SERIES, Section, there


def rounds_section(data: ReportData) -> Section:
    """How far the rounds of measured points lie apart."""
    panels: list[Panel | None] = []
    holes: list[str] = []
    for series in data.measured[:MOST_SERIES]:
        place = int(data.of(series, only_good=False)["place"].iloc[0])
        runs = data.campaigns[place].runs
        panels.append(rounds.draw(data, series, runs[(target_labels(runs) == series.target).to_numpy()]))
        if panels[-1] is None:
            holes.append(
                f"{series.title} has no point with two good rounds: its noise is unknown, its intervals are empty."
            )
    if not data.measured:
        holes.append(
            "Nothing was measured: a simulated point says the same in every round, so there is no noise to show."
        )
    texts = (
        "Each round times a point in a fresh process. Rounds of one point differ by more than the interval within a "
        "round "
        "says; differences between devices or models smaller than this scatter mean nothing.",
    )
    return Section(
        id="rounds", short="Noise", title="Noise between rounds", texts=texts, panels=there(panels), holes=tuple(holes)
    )


def failures_section(data: ReportData) -> Section:
    """Every point without a result."""
    table = tables.failures_table(data)
    lost = tables.lost_rounds_table(data)
    count = len(data.points) + len(data.pipelines)
    if not table.rows:
        texts: tuple[str, ...] = ("Every point has a result.",) if count else ("There are no points.",)
    else:
        texts = (
            f"{len(table.rows)} of {count} points have no result. Each is a hole in the figures above; this is why:",
        )
    shown = tuple(one for one in (table, lost) if one.rows)
    return Section(id="failures", short="Failures", title="Points without a result", texts=texts, tables=shown)


def points_section(data: ReportData) -> Section:
    """The numbers behind it all, folded away."""
    found = tuple(tables.points_table(data, family) for family in data.families)
    texts = (
        "Median over rounds of the latency of a whole batch. The interval is that of the median between rounds (95 %), "
        "empty for a single round; a simulated point has none.",
    )
    return Section(
        id="points", short="All points", title="All points", texts=texts if found else (), tables=found,
        holes=() if found else ("The campaign has no rows yet.",),
    )  # fmt: skip
