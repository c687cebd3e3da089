"""Latency against size: the memory cliff."""

from __future__ import annotations

from paraedge.report.data import REAL, ReportData
from paraedge.report.figures import latency, models
from paraedge.report.sections.section import MOST_MODELS, Section, none, there


def latency_section(data: ReportData) -> Section:
    """Latency against size: the memory cliff."""
    panels = [
        (models.draw(data, family, MOST_MODELS) if family in REAL else None) or latency.draw(data, family)
        for family in data.families
    ]
    holes = [
        f"No figure for {family}: fewer than two of its points have a result."
        for family, panel in zip(data.families, panels, strict=True)
        if panel is None
    ]
    return Section(
        id="latency", short="Latency and size", title="Latency against model size",
        texts=(
            "Each mark is a model. Where the marks of a device leave their line upwards, its weights have outgrown a "
            "memory: "
            "a cache of the CPU, or the on-chip memory of an Edge TPU, beyond which weights are sent again for every "
            "invoke. "
            "Bars are 95 % intervals between rounds, where there are several.",
        ),
        panels=there(panels), holes=tuple(holes) or none(panels, "No point has a latency."),
    )  # fmt: skip
