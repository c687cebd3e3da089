"""`report` and `compare`: what a person wants to read of campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paraedge.cli.options import JsonOption, campaign_folder
from paraedge.cli.output import cell, emit_json, say, table

if TYPE_CHECKING:
    from paraedge.analyze.compare import CompareResult

SHOWN_CHANGES = 20
CHANGE_COLUMNS = (
    "family", "spec_id", "device", "threads", "kernels", "segments", "strategy", "inputs", "base_ms", "new_ms",
    "speedup", "low", "high", "verdict",
)  # fmt: skip


def report(
    campaigns: Annotated[list[str], typer.Argument(metavar="CAMPAIGN...", help="Folders of campaigns.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Where to write. Default: the first campaign's folder."),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(
            "--published", metavar="FILE", help="synthetic_sweeps.csv: its multi-device rows beside our pipelines."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write report.html and its figures.

    One self-contained page; figures/ beside it holds them as SVG and PNG.
    """
    from paraedge.archive import read_campaign

    folders = [campaign_folder(name) for name in campaigns]
    read = [read_campaign(folder) for folder in folders]
    from paraedge.report import write_report

    page = write_report(read, out if out is not None else folders[0], published=published)
    if json:
        figures = sorted(path for path in (page.parent / "figures").glob("*") if path.suffix in {".svg", ".png"})
        emit_json({"report": page, "campaigns": folders, "figures": figures})
    else:
        say(str(page))


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="A campaign's folder: what to compare with.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A campaign's folder: what may have changed.")],
    floor: Annotated[
        float, typer.Option("--floor", metavar="SHARE", help="Noise floor: smaller changes are called the same.")
    ] = 0.03,
    json: JsonOption = False,
) -> None:
    """Judge each point: faster, slower, same or undecided.

    Corrected for the number of points, with intervals and a noise floor.
    """
    from paraedge.analyze.compare import compare as judge
    from paraedge.analyze.table import load_points

    tables = [load_points(campaign_folder(name)) for name in (base, new)]
    result = judge(tables[0], tables[1], floor=floor, base_name=base, new_name=new)
    if json:
        emit_json(result.as_dict())
    else:
        _print_comparison(result)


def _print_comparison(result: CompareResult) -> None:
    say(
        f"{result.new_name} against {result.base_name}: "
        + ", ".join(f"{n} {verdict}" for verdict, n in result.counts.items())
    )
    say(f"noise floor {100 * result.floor:g} %, {result.correction} correction over {result.tested} tested points")
    mean = result.geometric_mean
    if mean is not None:
        interval = f" ({cell(mean.low)} to {cell(mean.high)})" if mean.low is not None else ""
        say(f"geometric mean of the speed-ups, points good in both: {cell(mean.value)}{interval}: {result.overall}")
    changed = result.points[result.points["verdict"].isin(["faster", "slower"])]
    columns = [name for name in CHANGE_COLUMNS if name in changed.columns]
    if len(changed):
        say()
        table(changed[columns].head(SHOWN_CHANGES).to_dict(orient="records"), columns)
    if len(changed) > SHOWN_CHANGES:
        say(f"and {len(changed) - SHOWN_CHANGES} more; --json lists all")
    for name, keys in ((result.base_name, result.only_base), (result.new_name, result.only_new)):
        if keys:
            say(f"good in {name} only: {len(keys)}, such as {keys[0]}")
    for line in result.notes:
        say(f"note: {line}")
