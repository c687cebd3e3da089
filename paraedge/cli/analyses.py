"""`analyze roofline|weights|speedup|heatmap`: numbers from a campaign, or from any CSV with named columns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from paraedge.cli.options import JsonOption, campaign_folder, example
from paraedge.cli.output import cell, emit_json, say, table
from paraedge.core.errors import BadInput
from paraedge.core.words import plural

if TYPE_CHECKING:
    import pandas as pd

    from paraedge.analyze.heatmap import HeatmapResult
    from paraedge.analyze.roofline import RooflineResult
    from paraedge.analyze.weights import WeightsGroup

app = typer.Typer(
    help="Numbers from a campaign, or from any CSV with named columns.",
    epilog=example("paraedge analyze weights results/quick --features layer,node,batch --log2"),
    rich_markup_mode=None,
)

TableArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="CAMPAIGN|CSV", help="A campaign's folder, or any CSV.")
]
WhereOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Only rows with this value; may be given again."),
]


@app.command(epilog=example("paraedge analyze weights t.csv --features layer,node,batch --target gops_per_s --log2"))
def weights(
    source: TableArgument,
    features: Annotated[str, typer.Option("--features", metavar="A,B,...", help="Columns to explain the target with.")],
    target: Annotated[str, typer.Option("--target", metavar="COLUMN", help="The column to explain.")] = "gops_per_s",
    log2: Annotated[bool, typer.Option("--log2", help="Use the features' logarithms.")] = False,
    target_log2: Annotated[bool, typer.Option("--target-log2", help="Use the target's logarithm.")] = False,
    where: WhereOption = None,
    json: JsonOption = False,
) -> None:
    """How much each hyperparameter weighs, by least squares.

    On standardised values, with R2 and 95 % intervals. The intervals are robust to heteroscedasticity (HC3), so they
    differ from those of plain least squares.
    """
    from paraedge.analyze.weights import weights as fit

    rows = _rows(source, where)
    result = fit(rows, _names(features, "--features"), target, log2=log2, target_log2=target_log2, source=source)
    if json:
        emit_json(result.as_dict())
        return
    for group in result.groups:
        _print_group(group, target)
    _print_notes(result.notes)


@app.command(
    epilog=example("paraedge analyze speedup --base a.csv --new b.csv --on layer,node,batch --metric examples_per_s")
)
def speedup(
    base: Annotated[str, typer.Option("--base", metavar="CAMPAIGN|CSV", help="What to compare with.")],
    new: Annotated[str, typer.Option("--new", metavar="CAMPAIGN|CSV", help="What may be faster.")],
    on: Annotated[str, typer.Option("--on", metavar="A,B,...", help="Columns that say which rows belong together.")],
    metric: Annotated[
        str, typer.Option("--metric", metavar="COLUMN", help="The column to compare.")
    ] = "examples_per_s",
    base_where: Annotated[
        list[str] | None, typer.Option("--base-where", metavar="COLUMN=VALUE", help="Only these rows of base.")
    ] = None,
    new_where: Annotated[
        list[str] | None, typer.Option("--new-where", metavar="COLUMN=VALUE", help="Only these rows of new.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Speed-ups of one table over another.

    On the rows that are good in both; above 1 the new one is better.
    """
    from paraedge.analyze.speedup import speedup as divide

    left, right = _rows(base, base_where), _rows(new, new_where)
    names = [" ".join([text, *(where or ())]) for text, where in ((base, base_where), (new, new_where))]
    result = divide(left, right, _names(on, "--on"), metric, base_name=names[0], new_name=names[1])
    if json:
        emit_json(result.as_dict())
        return
    say(f"{metric} ({result.direction}): {result.new_name} over {result.base_name}")
    for name in ("count", "mean", "median", "geometric_mean", "min", "max"):
        say(f"  {name:<15} {cell(getattr(result, name))}")
    say(f"  {'share above 1':<15} {100 * result.share_above_1:.1f} %")
    for side, kinds in result.origins.items():
        say(f"  {side:<15} {', '.join(kinds)}")
    if result.unmatched_base or result.unmatched_new:
        say(f"good on one side only: {result.unmatched_base} of base, {result.unmatched_new} of new")
    _print_notes(result.notes)


@app.command(epilog=example("paraedge analyze heatmap results/quick --x layer --y node --metric gops_per_s"))
def heatmap(
    source: TableArgument,
    x: Annotated[str, typer.Option("--x", metavar="COLUMN", help="The hyperparameter to the right.")],
    y: Annotated[str, typer.Option("--y", metavar="COLUMN", help="The hyperparameter downwards.")],
    metric: Annotated[str, typer.Option("--metric", metavar="COLUMN", help="What the cells hold.")] = "gops_per_s",
    where: WhereOption = None,
    json: JsonOption = False,
) -> None:
    """A metric over two hyperparameters.

    One map a device, with the reason of every hole.
    """
    from paraedge.analyze.heatmap import heatmap as draw

    rows = _rows(source, where)
    maps: list[tuple[str, HeatmapResult]] = []
    for target, part in _by_target(rows, x, y):
        with contextlib.suppress(BadInput):  # a device without such points has no map
            maps.append((target or source, draw(part, x, y, metric, source=source)))
    if not maps:
        draw(rows, x, y, metric, source=source)  # says what is wrong with all of them
        raise BadInput(f"no device of {source} has points with {x!r} and {y!r}")
    if json:
        emit_json({"heatmaps": [{"target": name, **result.as_dict()} for name, result in maps]})
        return
    for name, result in maps:
        _print_map(name, result)


@app.command(
    epilog=example(
        "paraedge analyze roofline results/quick",
        "paraedge analyze roofline t.csv --macs macs --bytes moved --latency latency_ms --peak 4000 --bandwidth 25",
    )
)
def roofline(
    source: TableArgument,
    macs: Annotated[
        str | None, typer.Option("--macs", metavar="COLUMN", help="Of a CSV: multiply-accumulates.")
    ] = None,
    ops: Annotated[str | None, typer.Option("--ops", metavar="COLUMN", help="Of a CSV: operations, 2 a MAC.")] = None,
    moved: Annotated[str | None, typer.Option("--bytes", metavar="COLUMN", help="Of a CSV: bytes moved.")] = None,
    latency: Annotated[
        str, typer.Option("--latency", metavar="COLUMN", help="Of a CSV: milliseconds.")
    ] = "latency_median_ms",
    peak: Annotated[float | None, typer.Option("--peak", metavar="GOPS/S", help="For a CSV: the compute roof.")] = None,
    bandwidth: Annotated[
        float | None, typer.Option("--bandwidth", metavar="GB/S", help="For a CSV: the memory roof.")
    ] = None,
    where: WhereOption = None,
    json: JsonOption = False,
) -> None:
    """Points under the roofs of their devices.

    Intensity by level of memory, share of the roof, what bounds each.
    """
    from paraedge.analyze.roofline import roofline as campaign_roofline
    from paraedge.analyze.roofline import roofline_table
    from paraedge.archive import read_campaign

    folder = campaign_folder(source)
    if peak is None and bandwidth is None and folder.is_dir():
        roofs = read_campaign(folder).meta.get("roofs", {})
        result = campaign_roofline(_rows(source, where), roofs)
    elif peak is None or bandwidth is None or moved is None or (macs is None) == (ops is None):
        raise BadInput(f"{source} has no roofs of its own: give --peak, --bandwidth, --bytes, and --macs or --ops")
    else:
        result = roofline_table(
            _rows(source, where), latency_ms=latency, moved_bytes=moved, macs=macs, ops=ops,
            peak_gops_per_s=peak, bandwidth_gb_per_s=bandwidth, source=source,
        )  # fmt: skip
    if json:
        emit_json(result.as_dict())
    else:
        _print_roofline(result)


def _rows(source: str, where: Sequence[str] | None) -> pd.DataFrame:
    """A campaign's points or a CSV's rows, only those that `where` asks for."""
    from paraedge.analyze.table import load_points, require_columns

    rows = load_points(campaign_folder(source))
    for condition in where or ():
        name, equals, value = condition.partition("=")
        if not equals:
            raise BadInput(f"{condition!r} is not a condition; write COLUMN=VALUE, such as device=cpu")
        require_columns(rows, [name], source)
        there = list(dict.fromkeys(map(cell, rows[name])))
        rows = rows[[cell(item) == value for item in rows[name]]]
        if rows.empty:
            raise BadInput(f"no row of {source} has {name}={value}; there are: {', '.join(there[:20])}")
    return rows


def _by_target(rows: pd.DataFrame, *axes: str) -> Iterator[tuple[str | None, pd.DataFrame]]:
    """The rows of each device with its options, but for those that are axes; all of them where there is no device."""
    from paraedge.analyze.points import target_labels

    if "device" not in rows.columns:
        yield None, rows
        return
    other = rows.drop(columns=[name for name in axes if name in rows.columns and name != "device"])
    for label, part in rows.groupby(target_labels(other), sort=False):
        yield str(label), part


def _names(text: str, option: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise BadInput(f"{option} is {text!r}; it must name columns, separated by commas: layer,node,batch")
    return names


def _print_group(group: WeightsGroup, target: str) -> None:
    r2 = f", R2 {group.r2:.3f}" if group.r2 is not None else ""
    say(f"{group.name}: {group.n} points{r2}, weights on {target}")
    if group.reason is not None:
        say(f"  no line: {group.reason}")
    table(
        {"feature": weight.feature, "weight": weight.value, "low": weight.low, "high": weight.high}
        for weight in group.weights
    )
    _print_notes(group.notes)
    say()


def _print_map(name: str, result: HeatmapResult) -> None:
    origin = f" ({', '.join(result.origins)})" if result.origins else ""
    say(f"{result.metric} on {name}{origin}; down {result.y}, right {result.x}")
    holes: dict[str, None] = {}
    rows = []
    for value, line, reasons in zip(result.y_values, result.matrix, result.reasons, strict=True):
        cells = {cell(right): cell(number) or "-" for right, number in zip(result.x_values, line, strict=True)}
        rows.append({result.y: cell(value), **cells})
        holes.update(dict.fromkeys(reason for reason in reasons if reason))
    table(rows)
    for reason in holes:
        say(f"  -: {reason}")
    _print_notes(result.notes)
    say()


def _print_roofline(result: RooflineResult) -> None:
    best = result.best()
    names = [
        "family",
        "spec_id",
        "target",
        "rate_gops_per_s",
        "level",
        "intensity",
        "attainable",
        "share_of_roof",
        "bound",
    ]
    columns = [name for name in names if name in best.columns]
    table(best[columns].to_dict(orient="records"), columns)
    odd = best[best["implausible"].notna()]
    say(f"{plural(len(best), 'point')}, {len(odd)} implausible; intensity in operations a byte of the level named")
    for target, sentence in zip(odd["target"], odd["implausible"], strict=True):
        say(f"implausible: {target}: {sentence}")
    _print_notes(result.notes)


def _print_notes(notes: Sequence[str]) -> None:
    for line in notes:
        say(f"note: {line}")
