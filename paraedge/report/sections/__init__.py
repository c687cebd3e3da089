"""The page's sections: which figures and tables a reader gets, and a sentence for each that can't be had."""

from __future__ import annotations

from collections.abc import Callable

from paraedge.report.data import ReportData
from paraedge.report.sections.heatmaps import heatmap_section
from paraedge.report.sections.latency import latency_section
from paraedge.report.sections.listings import failures_section, points_section, rounds_section
from paraedge.report.sections.op_breakdown import op_breakdown_section
from paraedge.report.sections.pipelines import pipelines_section
from paraedge.report.sections.precision import precision_section, quantization_headline
from paraedge.report.sections.ranges import ranges_section
from paraedge.report.sections.roofline import roofline_section, under_roofs
from paraedge.report.sections.section import Section, fastest_base
from paraedge.report.sections.speedup import speedup_section
from paraedge.report.sections.weights import regression_fits, sort_of, weights_section

__all__ = ["Section", "fastest_base", "quantization_headline", "regression_fits", "sections", "sort_of", "under_roofs"]


def sections(data: ReportData) -> list[Section]:
    """All sections in order; each is there in every report of single devices, if only to say what it lacks.

    Runs over several devices have one of their own; a report of nothing else leaves out what they can't fill. The one
    on precisions is there where models come in several of them.
    """
    makers: tuple[Callable[[ReportData], Section | None], ...] = (
        ranges_section, latency_section, speedup_section, precision_section, roofline_section, op_breakdown_section,
        heatmap_section, weights_section, rounds_section,
    )  # fmt: skip
    several = pipelines_section(data)
    made = [make(data) for make in makers] if several is None or len(data.points) else []
    single = [section for section in made if section is not None]
    found = [*([several] if several else []), *single, failures_section(data)]
    return [*found, points_section(data)] if single else found
