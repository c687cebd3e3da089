"""What a report is made of: the points of all campaigns in one table, with names fit for a legend."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pandas as pd

from paraedge.analyze.partial import without_parts
from paraedge.analyze.pipelines import pipeline_rows
from paraedge.analyze.points import parameter_columns, points, target_labels
from paraedge.analyze.table import good
from paraedge.archive import Campaign
from paraedge.core.device import Origin
from paraedge.report.style import KNOWN_FAMILIES


@dataclass(frozen=True, kw_only=True)
class Series:
    """A device with its options in one campaign: `key` joins, `label` is for people, `place` gives its colour."""

    key: str
    label: str
    campaign: str
    target: str
    simulated: bool
    place: int
    roofs: tuple[Mapping[str, Any], ...]

    @property
    def origin(self) -> str:
        """`measured` or `simulated`."""
        return Origin.SIMULATED.value if self.simulated else Origin.MEASURED.value

    @property
    def title(self) -> str:
        """The label, with the word where it is simulated."""
        return f"{self.label} (simulated)" if self.simulated else self.label

    @property
    def stem(self) -> str:
        """The label in letters that a file name may have."""
        return "".join(c if c.isalnum() else "-" for c in self.label).strip("-")


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """`points`: as `analyze.points` gives them, with the columns `campaign`, `target` and `series` (a Series' key).

    pipelines: the same of runs over devices, which are no `points`; `device` says with which options and of which
    campaign, where that makes a difference, and `alone` is one device's label. published: of `analyze.published`; empty
    without.
    """

    campaigns: tuple[Campaign, ...]
    points: pd.DataFrame
    pipelines: pd.DataFrame
    published: pd.DataFrame
    series: tuple[Series, ...]
    families: tuple[str, ...]

    def of(self, series: Series, *, only_good: bool = True) -> pd.DataFrame:
        """The points of a series."""
        chosen = self.points[self.points["series"] == series.key]
        return good(chosen) if only_good else chosen

    def good_of(self, family: str) -> pd.DataFrame:
        """The points of a family that can be drawn together: good, of the smallest batch and the main precision."""
        return like(good(self.points[self.points["family"] == family]))

    def only_of(self, family: str) -> str:
        """What of a family `good_of` takes, as `only_like` says it."""
        return only_like(good(self.points[self.points["family"] == family]))

    def parameters(self, table: pd.DataFrame) -> list[str]:
        """Hyperparameters (and batch) that take more than one value in `table`, in the order of the columns."""
        return [name for name in parameter_columns(table) if table[name].nunique(dropna=True) > 1]

    def varying(self, family: str) -> list[str]:
        """Hyperparameters (and batch) that take more than one value among the points of a family."""
        if family not in self._varying:
            self._varying[family] = self.parameters(self.points[self.points["family"] == family])
        return self._varying[family]

    @functools.cached_property
    def _varying(self) -> dict[str, list[str]]:
        return {}

    @property
    def measured(self) -> tuple[Series, ...]:
        """Series that were timed."""
        return tuple(series for series in self.series if not series.simulated)

    @property
    def simulated(self) -> tuple[Series, ...]:
        """Series that were computed."""
        return tuple(series for series in self.series if series.simulated)


def gather(campaigns: Sequence[Campaign], published: pd.DataFrame | None = None) -> ReportData:
    """The points of all campaigns, each with its series; campaigns without rows count nothing."""
    tables: list[pd.DataFrame] = []
    for place, campaign in enumerate(campaigns):
        if campaign.runs.empty:
            continue
        table = points(campaign.runs)
        target = target_labels(table)
        table = table.assign(campaign=campaign_name(campaigns, place), place=place, target=target)
        tables.append(table.assign(series=f"{place} " + target))
    # a column that one campaign leaves empty must not decide the type of the others'
    filled = [table.dropna(axis="columns", how="all") for table in tables]
    together = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(ESSENTIAL))
    columns = list(dict.fromkeys(name for table in tables for name in table.columns))
    together = together.reindex(columns=list(dict.fromkeys([*columns, *ESSENTIAL])))
    together = without_parts(together)
    over_devices = pipeline_rows(together)
    plain = together.drop(index=over_devices.index).reset_index(drop=True)
    return ReportData(
        campaigns=tuple(campaigns),
        points=plain,
        pipelines=_told_apart(over_devices.reset_index(drop=True)),
        published=pd.DataFrame() if published is None else published,
        series=_series(plain, campaigns),
        families=_families(plain),
    )


ESSENTIAL = (
    "spec_id", "family", "precision", "batch", "device", "origin", "status", "latency_median_ms", "between_spread",
    "gops_per_s", "examples_per_s", "macs", "parameters", "weight_bytes", "on_chip_bytes", "off_chip_bytes", "error",
    "campaign", "target", "series", "place",
)  # fmt: skip
"""Columns that a report reads without asking whether they are there."""


def campaign_name(campaigns: Sequence[Campaign], place: int) -> str:
    """The campaign's name, numbered where two have the same."""
    name = campaigns[place].name
    same = [i for i, campaign in enumerate(campaigns) if campaign.name == name]
    return name if len(same) == 1 else f"{name} {same.index(place) + 1}"


def _told_apart(table: pd.DataFrame) -> pd.DataFrame:
    """Runs over devices with a name of the device that no other options and no other campaign have too."""
    alone = target_labels(table.reindex(columns=["device", "threads", "kernels"]))
    ways = alone.groupby([table["place"], table["device"]]).transform("nunique")
    label = table["device"].astype(str).where(ways == 1, alone)
    campaigns = table["place"].groupby(label).transform("nunique")
    return table.assign(
        alone=alone, device=label.where(campaigns == 1, label + " (" + table["campaign"].astype(str) + ")")
    )


def _families(table: pd.DataFrame) -> tuple[str, ...]:
    there = [str(name) for name in table["family"].dropna().unique()]
    known = [name for name in KNOWN_FAMILIES if name in there]
    return (*known, *(name for name in there if name not in known))


def _series(table: pd.DataFrame, campaigns: Sequence[Campaign]) -> tuple[Series, ...]:
    firsts = table.drop_duplicates("series")
    simulated = firsts["origin"] == Origin.SIMULATED.value
    firsts = pd.concat([firsts[~simulated], firsts[simulated]])  # measured ones first
    several = firsts["place"].nunique() > 1
    labels = _short_labels(firsts)
    found = []
    for place, (_, row) in enumerate(firsts.iterrows()):
        target, campaign = str(row["target"]), str(row["campaign"])
        label = labels[row["series"]]
        meta_roofs = campaigns[int(row["place"])].meta.get("roofs")
        roofs: Any = meta_roofs.get(target) if isinstance(meta_roofs, dict) else None
        found.append(
            Series(
                key=str(row["series"]),
                label=f"{campaign}: {label}" if several else label,
                campaign=campaign,
                target=target,
                simulated=row["origin"] == Origin.SIMULATED.value,
                place=place,
                roofs=tuple(roof for roof in roofs or () if isinstance(roof, dict)),
            )
        )
    return tuple(found)


def _short_labels(firsts: pd.DataFrame) -> dict[str, str]:
    """By series: its device, with those options that tell it from the device's others in its campaign."""
    found: dict[str, str] = {}
    for _, mine in firsts.groupby(["place", "device"]):
        options = [name for name in OPTIONS if name in mine and mine[name].nunique(dropna=False) > 1]
        labels = target_labels(mine[["device", *options]])
        found |= dict(zip(mine["series"], labels, strict=True))
    return found


OPTIONS = ("threads", "kernels")


def like(table: pd.DataFrame) -> pd.DataFrame:
    """Only the rows of the smallest batch and of the main precision, so that like is set beside like."""
    return main_precision(table[table["batch"] == table["batch"].min()])


def only_like(table: pd.DataFrame) -> str:
    """`, only int8 and batch 1`: which rows of a table `like` chooses; nothing where it takes all."""
    if table.empty:
        return ""
    chosen = like(table).iloc[0]
    parts = {"precision": str(chosen["precision"]), "batch": f"batch {int(chosen['batch'])}"}
    several = [text for name, text in parts.items() if table[name].nunique() > 1]
    return f", only {joined(several)}" if several else ""


def main_precision(table: pd.DataFrame) -> pd.DataFrame:
    """Only the rows of the precision that most have, of int8 where several have as many."""
    counts = table["precision"].value_counts()
    best = counts[counts == counts.max()].index
    return table if len(counts) < 2 else table[table["precision"] == ("int8" if "int8" in best else best[0])]


def kind_of(row: pd.Series) -> str:
    """What a point is a sort of: `cnn bottleneck`, `rnn lstm`, `mobilenet_v1`; the family where it has no sorts."""
    family = str(row["family"])
    name = KIND_COLUMNS.get(family)
    value = None if name is None else row.get(name)
    if value is None or pd.isna(value):
        return family
    if family == "file":
        return PurePath(str(value)).stem
    return str(value) if family in REAL else sort_name(family, [value])


def sort_name(family: str, parts: Iterable[object]) -> str:
    """`cnn residual`; a part that is the family's own name is not said twice."""
    return " ".join([family, *(str(part) for part in parts if part != family)])


KIND_COLUMNS: Mapping[str, str] = {"cnn": "kind", "rnn": "cell", "zoo": "model", "file": "path"}
"""The hyperparameter that says which sort of network of a family it is."""

REAL = ("zoo", "file")
"""Families of real models, which are no grid."""


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)
