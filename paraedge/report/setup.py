"""What was run on what: the facts of a campaign, read from its meta data; what is not there is said to be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from paraedge.archive import Campaign
from paraedge.report.data import ReportData, Series, campaign_name
from paraedge.report.tables import Column, Table, cell


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A campaign's facts by name, its devices, its sweep file, and what its meta data lack."""

    name: str
    facts: tuple[tuple[str, str], ...]
    devices: Table
    sweep: str
    missing: str


def setup(data: ReportData, place: int) -> Setup:
    """The facts of the campaign at `place`."""
    campaign = data.campaigns[place]
    name = campaign_name(data.campaigns, place)
    environment = section(campaign.meta, "environment")
    mine = [series for series in data.series if series.campaign == name]
    facts = [
        ("Points", _points(data, name)),
        *environment_facts(environment),
        ("Time", _time(campaign)),
    ]
    sections = {
        "environment": environment,
        **({"roofs": campaign.meta.get("roofs")} if mine else {}),
        "devices": campaign.meta.get("devices"),
    }
    lacks = [name for name, found in sections.items() if not found]
    missing = (
        f"meta.json has nothing under {', '.join(lacks)}: the report can't tell what it would have said."
        if lacks
        else ""
    )
    sweep = campaign.meta.get("sweep")
    text = sweep.get("text") if isinstance(sweep, dict) else sweep
    return Setup(
        name=name,
        facts=tuple((title, value) for title, value in facts if value),
        devices=_devices(data, campaign, name, mine),
        sweep=text if isinstance(text, str) else "",
        missing=missing,
    )


def section(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A section of the meta data, empty where it is missing or of another form."""
    found = meta.get(name)
    return found if isinstance(found, dict) else {}


FACTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Processor", ("cpu", "model"), ""),
    ("Cores", ("cpu", "usable_cores"), ""),
    ("Governor", ("cpu", "governor"), ""),
    ("Clock", ("cpu", "clock_mhz"), "MHz"),
    ("Highest clock", ("cpu", "max_clock_mhz"), "MHz"),
    ("Load at the start", ("cpu", "load_average"), ""),
    ("Caches", ("cpu", "caches_bytes"), "bytes"),
    ("Temperatures", ("cpu", "temperatures_c"), "°C"),
    ("Memory", ("memory", "total_bytes"), "bytes"),
    ("System", ("system",), ""),
    ("Versions", ("versions",), ""),
    ("Revision", ("git_revision",), ""),
    ("Command", ("command",), ""),
    ("Date", ("time_utc",), ""),
)
"""What a reader wants to know of the machine: its name here, where `run.environment` put it, and its unit."""


def environment_facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each fact that is known."""
    found = []
    for title, path, unit in FACTS:
        value: Any = environment
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        value = str(value).replace("T", " ").replace("+00:00", " UTC") if title == "Date" and value else value
        text = in_units(value, unit, joiner=" " if title == "Command" else ", ")
        if text:
            found.append((title, text))
    return found


def in_units(value: object, unit: str, *, joiner: str = ", ") -> str:
    """`words` with the unit; bytes as KiB, MiB or GiB."""
    if isinstance(value, Mapping) and unit == "bytes":
        return joiner.join(f"{name} {in_units(item, unit)}" for name, item in value.items() if item)
    if unit == "bytes" and isinstance(value, (int, float)):
        power = 1 if value < 2**20 else 2 if value < 2**30 else 3
        return f"{cell(value / 2 ** (10 * power), 3)} {('KiB', 'MiB', 'GiB')[power - 1]}"
    text = words(value, joiner=joiner)
    return f"{text} {unit}".strip() if text else ""


def words(value: object, *, joiner: str = ", ") -> str:
    """A value of the meta data in one line: lists and mappings without their brackets, empty ones left out."""
    if isinstance(value, Mapping):
        parts = [
            ("" if name in PLAIN_NAMES else str(name).replace("_", " "), words(item)) for name, item in value.items()
        ]
        return joiner.join(f"{name} {text}".strip() for name, text in parts if text)
    if isinstance(value, (list, tuple)):
        return joiner.join(text for text in map(words, value) if text)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else cell(value)


PLAIN_NAMES = ("summary", "platform", "machine")
"""Values that speak for themselves."""


def _points(data: ReportData, name: str) -> str:
    together = pd.concat([data.points, data.pipelines])[["campaign", "spec_id", "family"]]
    table = together[together["campaign"] == name].drop_duplicates("spec_id")
    counts = table.groupby("family", sort=False).size()
    order = [*data.families, *(family for family in counts.index if family not in data.families)]
    families = ", ".join(f"{family} {count}" for family, count in counts.reindex(order).dropna().astype(int).items())
    models = "model" if int(counts.sum()) == 1 else "models"
    return f"{int(counts.sum())} {models} ({families})" if len(counts) else "none"


def _time(campaign: Campaign) -> str:
    """Wall time and the share of it that was inside timed blocks, over all invocations that added rows.

    A profile of the same folder adds none.
    """
    calls = campaign.meta.get("invocations")
    known = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    known = [call for call in known if call.get("rows", 1)]
    wall = sum(float(call.get("wall_s") or 0) for call in known)
    timed = sum(float(call.get("timed_s") or 0) for call in known)
    if wall <= 0:
        return ""
    return f"{wall:.0f} s, {100 * timed / wall:.0f} % of it inside timed blocks"


def _devices(data: ReportData, campaign: Campaign, name: str, series: list[Series]) -> Table:
    infos = section(campaign.meta, "devices")
    rows = []
    for one in series:
        table = data.of(one, only_good=False)
        info = infos.get(one.target) or infos.get(str(table["device"].iloc[0])) or {}
        rounds = table["n_rounds"].max() if "n_rounds" in table.columns else None
        rows.append(
            (
                one.target,
                one.origin,
                _describe(info if isinstance(info, dict) else {}),
                cell(int((table["status"] == "ok").sum())),
                cell(int((table["status"] != "ok").sum())),
                cell(rounds) if not pd.isna(rounds) else "",
            )
        )
    over_devices = data.pipelines[data.pipelines["campaign"] == name]
    for (device, origin), table in over_devices.groupby(["device", "origin"], sort=False):
        info = infos.get(str(table["alone"].iloc[0])) or {}
        rows.append(
            (
                f"{device}, {int(table['segments'].min())} to {int(table['segments'].max())} of them",
                str(origin),
                _describe(info if isinstance(info, dict) else {}),
                cell(int((table["status"] == "ok").sum())),
                cell(int((table["status"] != "ok").sum())),
                cell(table["n_rounds"].max()),
            )
        )
    columns = (
        Column(title="Device"), Column(title="Origin", badge=True), Column(title="What it is", wide=True),
        Column(title="Good points", number=True), Column(title="Failed", number=True),
        Column(title="Rounds", number=True),
    )  # fmt: skip
    return Table(title="", columns=columns, rows=tuple(rows))


def _describe(info: Mapping[str, Any]) -> str:
    """`details` first, then runtime, link and clock, as far as they are known."""
    runtime = " ".join(str(info[name]) for name in ("runtime", "runtime_version") if info.get(name))
    parts = [words(info.get("details")), runtime, words(info.get("link"))]
    units = (("link_mbit_per_s", "Mbit/s"), ("clock_mhz", "MHz"))
    parts += [f"{cell(info[name])} {unit}" for name, unit in units if info.get(name)]
    return ", ".join(part for part in parts if part)
