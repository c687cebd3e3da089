"""`profile`: where the time of a model, or of the points of a sweep, goes, op by op."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paraedge.cli import progress
from paraedge.cli.options import JsonOption, YesOption, refuse_many
from paraedge.cli.output import cell, duration, emit_json, note, say, table
from paraedge.core.errors import BadInput
from paraedge.core.profile import OpTime, Profile, by_kind
from paraedge.core.words import op_name, plural

if TYPE_CHECKING:
    from paraedge.core.graph import LayerGraph
    from paraedge.flow import RunSummary

SLOWEST = 10
"""Rows of the table of the slowest ops."""
BAR_LETTERS = 72
FILLS = "#=+-:%o."
"""What the parts of the bar are drawn with, the largest first; the last is for all the others."""


def profile(
    what: Annotated[
        str, typer.Argument(metavar="MODEL.tflite|SWEEP", help="A TensorFlow Lite file, a sweep's file, or its name.")
    ],
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", "-d", metavar="D", help="cpu or a simulated device; may be given again. Of a model: cpu."
        ),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option("--threads", metavar="N", help="Threads on cpu; may be given again.")
    ] = None,
    kernels: Annotated[
        list[str] | None, typer.Option("--kernels", metavar="K", help="xnnpack or builtin; may be given again.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Of a sweep: the campaign's folder. Default: results/NAME."),
    ] = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Show where a model's time goes, op by op.

    Each op is timed alone, as a model of its own; those with the same options, shapes and types once. The sum is held
    against the whole model. On a simulated device each op has its part of the prediction, and transfers and overhead
    have theirs. Of a sweep every point goes into DIR/ops.csv, which `paraedge report` draws; points that are there
    already are left out.
    """
    if is_model(what):
        if out is not None:
            raise BadInput("--out is for a sweep, whose ops go into a table; of a model they are printed, or --json")
        _of_model(Path(what), device or ["cpu"], threads or (), kernels or (), json)
    else:
        _of_sweep(what, device, threads, kernels, out, yes, json)


def is_model(what: str) -> bool:
    """Whether an argument names a model rather than a sweep: by its suffix, and a file without either is a model."""
    path = Path(what)
    return path.suffix.lower() == ".tflite" or (path.suffix.lower() != ".toml" and path.is_file())


def _of_model(model: Path, devices: Sequence[str], threads: Sequence[int], kernels: Sequence[str], json: bool) -> None:
    from paraedge.profile import profile_model
    from paraedge.segment.ops import sentences

    made = [(graph, one) for name in devices for graph, one in profile_model(model, name, threads, kernels)]
    texts = [list(sentences(one, graph)) for graph, one in made]
    if json:
        profiles = [_profile_json(one, said) for (_, one), said in zip(made, texts, strict=True)]
        emit_json({"model": model, "profiles": profiles})
        return
    for number, ((graph, one), said) in enumerate(zip(made, texts, strict=True)):
        if number:
            say()
        _print_profile(model, graph, one, said)


def _profile_json(one: Profile, said: Sequence[str]) -> dict[str, object]:
    kinds = [{**vars_of(kind), "gops_per_s": kind.gops_per_s} for kind in by_kind(one)]
    ops = [{**vars_of(op), "total_ms": op.total_ms} for op in one.ops]
    fields = {name: value for name, value in vars_of(one).items() if name not in ("target", "ops")}
    target = {name: getattr(one.target, name) for name in ("device", "threads", "kernels")}
    return {**target, **fields, "added_ms": one.added_ms, "by_kind": kinds, "ops": ops, "sentences": said}


def vars_of(value: Any) -> dict[str, object]:
    """A dataclass's fields by name."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _print_profile(model: Path, graph: LayerGraph, one: Profile, said: Sequence[str]) -> None:
    interval = "" if one.low_ms is None or one.high_ms is None else f" ({one.low_ms:.4g} to {one.high_ms:.4g})"
    without = ", without what is not timed" if one.untimed else ""
    say(f"{model} on {one.target.label()} ({one.origin.value}): {one.whole_ms:.4g} ms{interval}{without}")
    say()
    table(_kind_rows(one))
    say()
    shares = [(kind.op, kind.share) for kind in by_kind(one)]
    for line in bar([*shares, *((name, value / one.added_ms) for name, value in _others(one))]):
        say(line)
    if len(graph.layers) > 1:
        say()
        table(_slowest(one))
    say()
    for line in said:
        say(line)


def _others(one: Profile) -> list[tuple[str, float]]:
    return [(name.removesuffix("_ms"), value) for name, value in one.other_ms.items()]


def _kind_rows(one: Profile) -> Iterator[dict[str, object]]:
    """A row a kind of op, and one for each thing that belongs to none."""
    has_terms = any(op.terms for op in one.ops)
    for kind in by_kind(one):
        row: dict[str, object] = {"op": kind.op, "ops": kind.count, "ms": kind.total_ms, "share %": 100 * kind.share}
        if has_terms:
            for name in ("compute_ms", "weights_ms"):
                row[name] = sum(op.terms.get(name, 0.0) * len(op.indices) for op in one.ops if op.op == kind.op)
        yield {**row, "MACs": kind.macs, "GOPS/s": kind.gops_per_s}
    for name, value in _others(one):
        yield {"op": name, "ms": value, "share %": 100 * value / one.added_ms}


def _slowest(one: Profile) -> Iterator[dict[str, object]]:
    """The ops that take the most time together with those that are like them."""
    timed = sorted((op for op in one.ops if op.total_ms is not None), key=lambda op: -(op.total_ms or 0.0))
    for op in timed[:SLOWEST]:
        yield _op_row(one, op)
    rest = timed[SLOWEST:]
    if rest:
        count, total_ms = sum(len(op.indices) for op in rest), sum(op.total_ms or 0.0 for op in rest)
        yield {"slowest": f"{count} more", "ops": count, "ms": total_ms, "share %": 100 * one.share(rest)}


def _op_row(one: Profile, op: OpTime) -> dict[str, object]:
    rate = 2e-6 * op.macs / op.latency_ms if op.macs and op.latency_ms else None
    return {
        "slowest": op_text(op), "ops": len(op.indices), "ms each": op.latency_ms, "ms": op.total_ms,
        "share %": 100 * one.share([op]), "MACs each": op.macs, "GOPS/s": rate,
    }  # fmt: skip


def op_text(op: OpTime) -> str:
    """`op 4 (CONV_2D)`, or `CONV_2D, as op 4` of several."""
    first = op.indices[0]
    return op_name(first, op.op) if len(op.indices) == 1 else f"{op.op}, as op {first}"


def bar(parts: Sequence[tuple[str, float]]) -> Iterator[str]:
    """A stacked bar of shares, and its key: the largest part first, the smallest together."""
    ordered = sorted((part for part in parts if part[1] > 0), key=lambda part: -part[1])
    whole = sum(value for _, value in ordered)
    if not ordered:
        return
    most = len(FILLS) if len(ordered) <= len(FILLS) else len(FILLS) - 1
    shown = [*ordered[:most]]
    if ordered[most:]:
        shown.append((f"{len(ordered) - most} others", sum(value for _, value in ordered[most:])))
    drawn, until, key = "", 0.0, []
    for fill, (name, value) in zip(FILLS, shown, strict=False):
        until += value
        letters = round(BAR_LETTERS * until / whole) - len(drawn)
        drawn += fill * letters
        key.append(f"{fill} {name} {100 * value / whole:.3g} %")
    yield f"[{drawn}]"
    for start in range(0, len(key), 4):
        yield "  ".join(key[start : start + 4])


def _of_sweep(
    name: str,
    devices: list[str] | None,
    threads: list[int] | None,
    kernels: list[str] | None,
    out: Path | None,
    yes: bool,
    json: bool,
) -> None:
    from paraedge.sweep import load_sweep

    sweep = load_sweep(name)
    refuse_many(sweep.size(), yes)
    given: Any = {"threads": tuple(threads or sweep.threads), "kernels": tuple(kernels or sweep.kernels)}
    from paraedge.profile import profile_sweep

    folder = out if out is not None else Path("results") / sweep.name
    with progress.shown(quiet=json) as listener:
        summary = profile_sweep(dataclasses.replace(sweep, **given), folder=folder, devices=devices, progress=listener)
    rows, notes = _by_family(folder)
    if json:
        counts = {name: getattr(summary, name) for name in ("total", "done_before", "ok", "failed", "wall_s")}
        emit_json({"folder": folder, "table": folder / "ops.csv", **counts, "families": rows, **notes})
    else:
        _print_sweep(summary, rows, notes)


def _by_family(folder: Path) -> tuple[list[dict[str, object]], dict[str, Any]]:
    """A row a target and family: how many models, how the sum compares, and the mean share of each kind.

    And what is in no row: the reasons of `failures`, and the number of `incomplete` points.
    """
    from paraedge.analyze.ops import breakdown
    from paraedge.archive.ops import read_ops

    lines = read_ops(folder)
    found = breakdown(lines)
    rows: list[dict[str, object]] = []
    for _, models in found.models.groupby(["device", "threads", "kernels", "family"], dropna=False, sort=False):
        part = found.of(found.models.index.to_series().isin(models.index))
        first = models.iloc[0].dropna()
        rows.append(
            {
                "device": str(first["device"]),
                "threads": int(first["threads"]) if "threads" in first else None,
                "kernels": first.get("kernels"),
                "origin": str(first["origin"]),
                "family": str(first["family"]),
                "models": len(models),
                "sum_over_whole": float(models["ratio"].median()),
                "sum_over_fastest": float((models["added_ms"] / models["least_ms"]).median()),
                "shares": {str(name): float(value) for name, value in part.mean().items()},
            }
        )
    failures = [str(text) for text in lines.loc[lines["part"] == "whole", "error"].dropna().unique()]
    return rows, {"failures": failures, "incomplete": found.incomplete}


def _print_sweep(summary: RunSummary, rows: Sequence[dict[str, Any]], notes: Mapping[str, Any]) -> None:
    table(
        {
            **{name: cell(row[name]) for name in ("device", "origin", "threads", "kernels", "family")},
            "models": row["models"],
            "sum/whole": row["sum_over_whole"],
            "sum/fastest": row["sum_over_fastest"],
            "mean shares": ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(row["shares"].items())[:3]),
        }
        for row in rows
    )
    say()
    before = f"; {summary.done_before} were there before" if summary.done_before else ""
    say("sum: all ops, each timed alone; whole: the model, and the fastest block of it")
    if notes["incomplete"]:
        what = plural(notes["incomplete"], "point")
        say(f"{what} not in the table: an op of theirs can't run alone, or the prediction leaves it out")
    say(f"{plural(summary.ok, 'point')} taken apart, {summary.failed} failed in {duration(summary.wall_s)}{before}")
    for text in notes["failures"][:3]:
        note(f"  {text}")
    say(f"  {summary.folder / 'ops.csv'}")
    say(f"next: paraedge report {summary.folder}")
