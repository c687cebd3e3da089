"""What quantization gives: every precision against float32 of the same models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from paraedge.analyze.precision import BASE, Gain, PrecisionResult, precision_gains, sentences
from paraedge.report.canvas import Panel
from paraedge.report.data import ReportData, Series
from paraedge.report.figures import precision as precision_figure
from paraedge.report.sections.section import MOST_SERIES, Section, there
from paraedge.report.tables import Column, Table, cell

TEXT = (
    f"How many times as fast a model is in another precision as in {BASE}, on the same device with the same options. "
    "int8: weights and activations are int8. dynamic_range: weights are int8, activations float32; layers with 1,024 "
    "weights or more quantize their input at every invoke and multiply int8. float16: weights are stored in half the "
    "bytes and made float32 when the model is loaded, which makes the file smaller and the invoke no faster."
)


def precision_section(data: ReportData) -> Section | None:
    """None where no device has any model both in float32 and in another precision."""
    found = [(series, result) for series, result in _results(data) if len(result.pairs)]
    if not found:
        return None
    panels: list[Panel | None] = []
    for series, result in found[:MOST_SERIES]:
        finding = " ".join(sentences(result))
        panels.append(precision_figure.draw_families(series, result.gains, data.families, finding))
        panels.append(precision_figure.draw_sizes(series, result.pairs, data.families))
    return Section(
        id="precision", short="Precision", title="What quantization gives", texts=(TEXT,), panels=there(panels),
        tables=(_table(found),), holes=tuple(_holes(data)),
    )  # fmt: skip


def quantization_headline(data: ReportData) -> Iterator[str]:
    """What quantization gives on the first device, for the top of the page."""
    found = (sentence for _, result in _results(data) for sentence in sentences(result))
    yield from itertools.islice(found, 1)


def _results(data: ReportData) -> Iterator[tuple[Series, PrecisionResult]]:
    """Each device that has models in several precisions, with what came of matching them."""
    for series in data.series:
        points = data.of(series)
        if points["precision"].nunique() > 1:
            yield series, precision_gains(points)


def _holes(data: ReportData) -> Iterator[str]:
    for series, result in _results(data):
        for precision, count in result.unmatched.items():
            are = "is" if count == 1 else "are"
            yield f"{count} good {precision} points of {series.title} {are} left out: there is no good {BASE} one."


def _table(found: list[tuple[Series, PrecisionResult]]) -> Table:
    rows = tuple(row for series, result in found for gain in result.gains for row in _row(series, result, gain))
    columns = (
        Column(title="device"), Column(title="origin", badge=True), Column(title="precision"), Column(title="models"),
        Column(title="points", number=True), Column(title="geometric mean", unit="times", number=True),
        Column(title="95 % interval", unit="between rounds", number=True),
        Column(title="least", unit="times", number=True), Column(title="most", unit="times", number=True),
        Column(title="slower", unit="points", number=True),
        Column(title="weights", unit=f"% of {BASE}'s bytes", number=True),
    )  # fmt: skip
    return Table(title=f"Speed-up over {BASE}", columns=columns, rows=rows, collapsed=len(rows) > 16)


def _row(series: Series, result: PrecisionResult, gain: Gain) -> Iterator[tuple[str, ...]]:
    pairs = result.pairs[result.pairs["precision"] == gain.precision]
    if gain.kind != "all":
        pairs = pairs[pairs[gain.kind] == gain.name]
    low, high = cell(gain.mean.low, 3), cell(gain.mean.high, 3)
    name = f"{gain.name} (by MACs)" if gain.kind == "size" else gain.name
    yield (
        series.label, series.origin, gain.precision, name, cell(gain.count), cell(gain.mean.value, 3),
        f"{low} to {high}" if low and high else "", cell(gain.least, 3), cell(gain.most, 3), cell(gain.slower),
        cell(100 * pairs["bytes_share"].mean(), 3),
    )  # fmt: skip
