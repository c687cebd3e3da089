"""Section: a part of the page, and what sections share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, Series
from paraedge.report.tables import Table

MOST_SERIES = 8
"""Most devices that get a panel of their own in a section; of more, the first ones."""

MOST_MODELS = 40
"""Most real models that get a row of their own in a figure; of more, they are drawn as a family is."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page. `short` stands in the contents; `holes` say what is missing and why."""

    id: str
    short: str
    title: str
    texts: tuple[str, ...]
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    holes: tuple[str, ...] = ()


def fastest_base(data: ReportData) -> Series | None:
    """What others are compared with: the first measured series that has a good point, else the first that has one."""
    return next((s for s in (*data.measured, *data.simulated) if len(data.of(s))), None)


def examples(data: ReportData) -> tuple[Series, ...]:
    """The first measured and the first simulated series: enough for figures that all devices would make alike."""
    return (*data.measured[:1], *data.simulated[:1])


def there(panels: Iterable[Panel | None]) -> tuple[Panel, ...]:
    """The panels that could be drawn."""
    return tuple(panel for panel in panels if panel is not None)


def none(panels: Iterable[Panel | None], reason: str) -> tuple[str, ...]:
    """The reason as a hole, if no panel could be drawn."""
    return () if there(panels) else (reason,)
