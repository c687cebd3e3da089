"""`run`, `expand`, `build`: from a sweep file to rows, a list of points, or model files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paraedge.checks import checked_builder
from paraedge.cli import progress
from paraedge.cli.options import JsonOption, SweepArgument, YesOption, refuse_many
from paraedge.cli.output import duration, emit_json, emit_json_list, note, quantity_bytes, say, table
from paraedge.core.errors import short
from paraedge.core.words import plural

if TYPE_CHECKING:
    import pandas as pd

    from paraedge.analyze.failures import FailureKind
    from paraedge.core.spec import ModelSpec
    from paraedge.flow import RunSummary
    from paraedge.sweep import Sweep

MOST_FAILURES = 3


def run(
    sweep: SweepArgument,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", "-d", metavar="D", help="A device in place of the sweep's own; may be given again."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The campaign's own folder. Default: results/NAME."),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try points again that failed before.")] = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Run a sweep, or go on with one that was stopped.

    Every point gets a row, good or failed, in DIR/runs.csv. Points that have one are not run again.
    """
    grid = _load(sweep, yes)
    from paraedge import flow

    folder = out if out is not None else Path("results") / grid.name
    with progress.shown(quiet=json) as listener:
        summary = flow.run_campaign(grid, folder=folder, devices=device, retry_failed=retry_failed, progress=listener)
    devices, failures = _by_device(summary.folder)
    if json:
        emit_json({**_as_json(summary, devices), "failures": failures})
    else:
        _print_summary(summary, devices, failures)


def expand(sweep: SweepArgument, yes: YesOption = False, json: JsonOption = False) -> None:
    """List a sweep's points with MACs, parameters and file size.

    Nothing is built or run, so the size is an estimate.
    """
    grid = _load(sweep, yes)
    from paraedge import flow

    points = flow.expand(grid)
    if json:
        emit_json_list(points)
    else:
        count = [0, 0]
        table(_counted(points, count))
        note(f"{plural(count[0], 'point')}, about {quantity_bytes(count[1])} of model files if all were built")


def build(
    sweep: SweepArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write the models.")],
    builder: Annotated[
        str | None,
        typer.Option(
            "--builder", metavar="B", help="direct, or tensorflow for its converter. Default: what the sweep says."
        ),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Write a sweep's models as .tflite files.

    Each is named by its point's spec_id. What TensorFlow prints goes to DIR/tensorflow.log.
    """
    grid = _load(sweep, yes)
    if builder is not None:
        grid = dataclasses.replace(grid, builder=checked_builder(builder))
    rows = _built(grid, out, quiet=json)
    if json:
        emit_json_list(rows)
    else:
        written = list(rows)
        table(written)
        failed = sum(row["status"] == "failed" for row in written)
        note(f"{plural(len(written) - failed, 'model')} written to {out}, {failed} failed")


def _load(name: str, yes: bool) -> Sweep:
    from paraedge.sweep import load_sweep

    grid = load_sweep(name)
    refuse_many(grid.size(), yes)
    return grid


def _counted(points: Iterator[dict[str, object]], count: list[int]) -> Iterator[dict[str, object]]:
    for point in points:
        size = point.get("file_bytes")
        count[0] += 1
        count[1] += size if isinstance(size, int) else 0
        yield point


def _built(grid: Sweep, folder: Path, *, quiet: bool) -> Iterator[dict[str, object]]:
    from paraedge import flow
    from paraedge.core.outcome import Failure

    def told(spec: ModelSpec, phase: str) -> None:
        note(f"{spec.label()}: {phase}")

    for spec, made in flow.build_models(grid, folder, told=None if quiet else told):
        good = not isinstance(made, Failure)
        yield {
            "spec_id": spec.spec_id,
            "model": spec.label(),
            "status": "ok" if good else "failed",
            "file_bytes": None if isinstance(made, Failure) else made.file_bytes,
            "path": None if isinstance(made, Failure) else str(made.path),
            "error": made.text() if isinstance(made, Failure) else None,
        }


def _by_device(folder: Path) -> tuple[list[dict[str, object]], tuple[FailureKind, ...]]:
    """One row a device with its options, in the order of the campaign; and why rows failed."""
    from paraedge.analyze.failures import failure_kinds
    from paraedge.analyze.partial import without_parts
    from paraedge.analyze.points import target_labels
    from paraedge.archive import read_campaign

    runs = read_campaign(folder).runs
    rows: list[dict[str, object]] = []
    if runs["segments"].notna().any():
        return _by_pipeline(runs), failure_kinds(runs)
    for target, part in runs.groupby(target_labels(runs), sort=False):
        good = part[part["status"] == "ok"]
        whole = good[without_parts(good)["status"] == "ok"]  # a rate must not count MACs that were left out of its time
        rows.append(
            {
                "device": target,
                "origin": str(part["origin"].iloc[0]),
                "points": int(part["spec_id"].nunique()),
                "rows_ok": len(good),
                "rows_failed": len(part) - len(good),
                "latency_median_ms": float(whole["latency_median_ms"].median()) if len(whole) else None,
                "best_gops_per_s": float(whole["gops_per_s"].max()) if len(whole) else None,
            }
        )
    return rows, failure_kinds(runs)


def _by_pipeline(runs: pd.DataFrame) -> list[dict[str, object]]:
    """One row a device, number of segments, strategy and number of inputs; medians over the models that are good."""
    from paraedge.analyze.partial import without_parts
    from paraedge.analyze.pipelines import over_fewest, pipeline_rows
    from paraedge.analyze.points import PIPELINE_KEYS, points, target_labels
    from paraedge.analyze.table import good

    made = points(runs)
    made["target"] = target_labels(made.drop(columns=list(PIPELINE_KEYS)))
    whole = good(pipeline_rows(without_parts(made)))  # a time that leaves MACs out is no model's
    whole = whole.assign(speedup=over_fewest(whole)["speedup"].set_axis(whole.index))
    rows: list[dict[str, object]] = []
    for _, part in made.groupby(["target", "segments", "inputs", "strategy"], sort=True, dropna=False):
        first = part.iloc[0]
        ok = int((part["status"] == "ok").sum())
        mine = whole[whole.index.isin(part.index)]
        medians = mine[["latency_median_ms", "throughput_per_s", "speedup", "gap"]].astype(float).median()
        rows.append(
            {
                "device": str(first["target"]),
                "origin": str(first["origin"]),
                "segments": int(first["segments"]),
                "inputs": int(first["inputs"]),
                "strategy": first["strategy"] if isinstance(first["strategy"], str) else None,
                "points_ok": ok,
                "points_failed": len(part) - ok,
                **{str(name): None if isnan(value) else value for name, value in medians.items()},
            }
        )
    return rows


def _timed_share(summary: RunSummary) -> float | None:
    return summary.timed_s / summary.wall_s if summary.wall_s > 0 and summary.timed_s > 0 else None


def _as_json(summary: RunSummary, devices: list[dict[str, object]]) -> dict[str, object]:
    return {
        "folder": summary.folder,
        "runs": summary.folder / "runs.csv",
        "samples": summary.folder / "samples.csv",
        "stages": stages if (stages := summary.folder / "stages.csv").is_file() else None,
        "meta": summary.folder / "meta.json",
        "total": summary.total,
        "done_before": summary.done_before,
        "ok": summary.ok,
        "failed": summary.failed,
        "wall_s": summary.wall_s,
        "timed_s": summary.timed_s,
        "timed_share": _timed_share(summary),
        "devices": devices,
    }


def _print_summary(summary: RunSummary, devices: list[dict[str, object]], failures: tuple[FailureKind, ...]) -> None:
    share = _timed_share(summary)
    timed = f", {100 * share:.0f} % of it inside timed blocks" if share is not None else ""
    before = f"; {summary.done_before} were done before" if summary.done_before else ""
    table(devices)
    say()
    if summary.ok or summary.failed:
        new = "new rows" if summary.done_before else "rows"
        say(f"{summary.ok} {new} ok, {summary.failed} failed in {duration(summary.wall_s)}{timed}{before}")
    else:
        say(f"nothing left to do: all {summary.done_before} rows were done before")
    for kind in failures[:MOST_FAILURES]:
        say(f"  {short(kind.text(), 400)}")
    if len(failures) > MOST_FAILURES:
        say(f"  and {len(failures) - MOST_FAILURES} more kinds of failure, all in runs.csv")
    for name in ("runs.csv", "samples.csv", "stages.csv", "meta.json", "tensorflow.log"):
        if (summary.folder / name).is_file():
            say(f"  {summary.folder / name}")
    say(f"next: paraedge report {summary.folder}")
