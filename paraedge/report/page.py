"""The page: one file with everything in it, and the figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import matplotlib
import pandas as pd

import paraedge
from paraedge.analyze.published import published_speedups
from paraedge.archive import Campaign
from paraedge.core.device import Origin
from paraedge.core.errors import BadInput
from paraedge.core.words import plural
from paraedge.report import style
from paraedge.report.canvas import Panel, Picture, save
from paraedge.report.data import ReportData, campaign_name, gather, joined
from paraedge.report.findings import details, headlines
from paraedge.report.sections import Section, sections
from paraedge.report.setup import Setup, environment_facts, section, setup, words
from paraedge.report.tables import Table

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class ShownSection:
    """A section with its panels saved."""

    id: str
    short: str
    title: str
    texts: tuple[str, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    holes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the template shows."""

    title: str
    lead: str
    version: str
    findings: tuple[str, ...]
    details: tuple[str, ...]
    no_findings: str
    warnings: tuple[str, ...]
    setups: tuple[Setup, ...]
    sections: tuple[ShownSection, ...]


def write_report(campaigns: Sequence[Campaign], out: Path, *, published: Path | None = None) -> Path:
    """Write `out`/report.html and `out`/figures/, and return the page's path.

    A campaign without rows, or with nothing but failures, gets a page that says so. published: the file, or its folder,
    whose multi-device rows are drawn beside pipelines (`analyze.published`). Raises BadInput for no campaign, for an
    `out` that can't be a folder, and for published rows that can't be read.
    """
    if not campaigns:
        raise BadInput("a report needs at least one campaign; give its folder")
    beside = None if published is None else published_speedups(published)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{out} can't be a folder for the report: {error.strerror}") from None
    with matplotlib.rc_context(style.settings()):
        data = gather(campaigns, beside)
        shown = _save(sections(data), out)
    page = Page(
        title=_title(data),
        lead=_lead(data),
        version=paraedge.__version__,
        findings=tuple(headlines(data)),
        details=tuple(details(data)),
        no_findings="No point has a result, so there is nothing to find. The reasons are under Failures.",
        warnings=tuple(_warnings(data)),
        setups=tuple(setup(data, place) for place in range(len(campaigns))),
        sections=shown,
    )
    path = out / PAGE
    path.write_text(render(page), encoding="utf-8")
    return path


def render(page: Page) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("paraedge.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("report.html.j2").render(page=page)


def _save(made: Sequence[Section], out: Path) -> tuple[ShownSection, ...]:
    """Every panel as files; a name that comes twice gets a number."""
    taken: dict[str, int] = {}
    shown = []
    for one in made:
        pictures = []
        for panel in one.panels:
            name = re.sub(r"[^a-z0-9]+", "-", panel.name.lower()).strip("-")
            taken[name] = taken.get(name, 0) + 1
            name += f"-{taken[name]}" if taken[name] > 1 else ""
            pictures.append(save(Panel(name=name, text=panel.text, figure=panel.figure), out))
        shown.append(
            ShownSection(
                id=one.id, short=one.short, title=one.title, texts=one.texts, pictures=tuple(pictures),
                tables=one.tables,
                holes=one.holes,
            )
        )  # fmt: skip
    return tuple(shown)


def _title(data: ReportData) -> str:
    names = [campaign_name(data.campaigns, place) for place in range(len(data.campaigns))]
    return joined(names)


def _lead(data: ReportData) -> str:
    models = pd.concat([data.points["spec_id"], data.pipelines["spec_id"]]).nunique()
    families = list(dict.fromkeys([*data.families, *map(str, data.pipelines["family"].unique())]))
    parts = [f"{plural(models, 'model')} of {joined(families)}"] if models else ["No points yet"]
    for kind, series in (("measured", data.measured), ("simulated", data.simulated)):
        if series:
            parts.append(f"{kind} on {joined([one.label for one in series])}")
    for origin, runs in data.pipelines.groupby("origin", sort=False):
        most, names = int(runs["segments"].max()), joined([str(name) for name in runs["device"].unique()])
        parts.append(f"{origin} over up to {most} devices ({names})")
    machine = dict(environment_facts(section(data.campaigns[0].meta, "environment"))).get("Processor")
    text = ", ".join(parts)
    if machine and data.measured:
        text += f". Host: {words(machine)}"
    return text + "."


def _warnings(data: ReportData) -> list[str]:
    found = []
    origins = {*data.points["origin"].dropna(), *data.pipelines["origin"].dropna()}
    if len(origins) > 1:
        found.append(
            "Simulated figures come from a performance model with its own errors, not from a device. "
            "Their marks are hollow, and they are named simulated wherever they appear."
        )
    elif origins == {Origin.SIMULATED.value}:
        found.append("Nothing here was measured: every figure comes from a performance model.")
    return found
