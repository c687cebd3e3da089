"""`compile`: models for the Edge TPU, and what the compiler put where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from paraedge.cli.compiled import read_uncompiled
from paraedge.cli.options import JsonOption
from paraedge.cli.output import emit_json, quantity_bytes, say, table
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Placement
from paraedge.core.words import grouped, op_name, plural

if TYPE_CHECKING:
    from paraedge.build import CompiledModel, CompileOptions

ESTIMATED_ON = "sim-edgetpu-usb3"
"""The simulated device whose memory an estimated placement is for; all of them have the same chip."""

MOST_LINES = 20


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one model. placement: the compiler's, or an estimate where there is no compiled file."""

    model: Path
    graph: LayerGraph
    made: CompiledModel | Failure | None
    """None where only an estimate was asked for."""
    placement: Placement | None
    version_notes: tuple[str, ...]


Models: TypeAlias = Annotated[
    list[Path], typer.Argument(metavar="MODEL.tflite", help="Quantized TensorFlow Lite files.")
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="DIR", help="Where to write the compiled files. Default: here.", show_default=False
    ),
]
Segments: TypeAlias = Annotated[
    int,
    typer.Option("--segments", "-n", metavar="N", min=1, max=64, help="Files to cut each model into, for a pipeline."),
]
Timeout: TypeAlias = Annotated[
    int,
    typer.Option(
        "--timeout",
        min=1,
        metavar="S",
        help="Seconds that the compiler may take an attempt, and 20 more to end by itself.",
    ),
]
MinRuntime: TypeAlias = Annotated[
    int | None, typer.Option("--min-runtime", min=1, metavar="N", help="Runtime version that the files must suit.")
]
SearchDelegate: TypeAlias = Annotated[
    bool, typer.Option("--search-delegate", help="Where compiling fails, try with fewer ops on the device; slow.")
]
NoCache: TypeAlias = Annotated[
    bool, typer.Option("--no-cache", help="Compile again what was compiled before, and keep the new result.")
]
Estimate: TypeAlias = Annotated[
    bool, typer.Option("--estimate", help="Only estimate what the compiler would do; nothing is written.")
]


def compile_models(
    models: Models,
    out: Out = Path(),
    segments: Segments = 1,
    timeout: Timeout = 180,
    min_runtime: MinRuntime = None,
    search_delegate: SearchDelegate = False,
    no_cache: NoCache = False,
    estimate: Estimate = False,
    json: JsonOption = False,
) -> None:
    """Compile models for the Edge TPU, each on its own.

    Runs edgetpu_compiler (on the path, or named by PARAEDGE_EDGETPU_COMPILER) and says which ops it mapped, which not
    and why, and how many bytes of parameters stay on the chip. What was compiled once comes from a cache,
    PARAEDGE_CACHE or ~/.cache/paraedge; its folder `compiled` can be copied to a board that the compiler doesn't run
    on. Where there is no compiler, the placement is estimated, no file is written, and the exit code is 1.
    """
    from paraedge.build import CompileOptions

    if estimate and segments > 1:
        raise BadInput(
            "an estimate is of the whole model, not of segments; leave out --segments "
            "(`paraedge predict --why` says into how many a model has to be cut)"
        )
    options = CompileOptions(
        segments=segments, timeout_s=timeout, minimum_runtime=min_runtime, search_delegate=search_delegate
    )
    graphs = _graphs(models)
    if not estimate:
        out.mkdir(parents=True, exist_ok=True)
    results = []
    for model, graph in graphs:
        results.append(_result(model, graph, None if estimate else out, options, use_store=not no_cache))
        if not json:
            _print(results[-1])
    if json:
        emit_json([_as_json(result) for result in results])
    _refuse_failures(results)


def _graphs(models: Sequence[Path]) -> list[tuple[Path, LayerGraph]]:
    for stem, count in Counter(model.stem for model in models).items():
        if count > 1:
            raise BadInput(f"{count} models are named {stem}, so their compiled files would be too; compile them apart")
    return [(model, read_uncompiled(model)) for model in models]


def _result(model: Path, graph: LayerGraph, out: Path | None, options: CompileOptions, *, use_store: bool) -> Result:
    from paraedge.build import compile_model
    from paraedge.build.op_versions import doubtful_versions, refused_versions

    made = None if out is None else compile_model(model, graph, out, options, use_store=use_store)
    if made is not None and not isinstance(made, Failure):
        return Result(model=model, graph=graph, made=made, placement=made.placement, version_notes=())
    estimated = made is None or made.error == "NoCompiler"
    return Result(
        model=model,
        graph=graph,
        made=made,
        placement=_estimate(graph) if estimated else None,
        version_notes=tuple(op.text() for op in (*refused_versions(graph), *doubtful_versions(graph))),
    )


def _estimate(graph: LayerGraph) -> Placement:
    from paraedge import simulate

    return simulate.predict(graph, simulate.load_hardware(ESTIMATED_ON)).placement


def _refuse_failures(results: Sequence[Result]) -> None:
    """End with exit code 1 and one line where a file that was asked for is not there."""
    failures = [result.made for result in results if isinstance(result.made, Failure)]
    if failures:
        count = "" if len(results) == 1 else f" for {len(failures)} of {len(results)} models"
        raise ParaedgeError(f"no compiled file was written{count}: {failures[0].error}: {failures[0].message}")


def _print(result: Result) -> None:
    made = result.made
    if isinstance(made, Failure):
        why = "no compiler here, so only estimated, as a whole" if result.placement else f"{made.error}: {made.message}"
        say(f"{result.model}: not compiled: {why}")
    elif made is not None:
        how = "taken from the cache" if not made.attempts else plural(made.attempts, "attempt")
        say(f"{result.model}: compiled by edgetpu_compiler {made.compiler}, {how}")
        table([_file(artifact) for artifact in made.artifacts])
    else:
        say(f"{result.model}: estimated, not compiled")
    if result.placement is not None:
        _print_placement(result.placement, result.graph)
    if made is not None and not isinstance(made, Failure) and made.report.models:
        remaining = made.report.models[0].remaining
        if remaining is not None:
            say(f"  room left on chip for parameters: {remaining.text}")
    for line in result.version_notes:
        say(f"  version: {line}")


def _print_placement(placement: Placement, graph: LayerGraph) -> None:
    say(f"  placement: {placement.source}")
    say(f"  {plural(len(placement.on_device), 'op')} on the Edge TPU, {len(placement.on_cpu)} on the CPU")
    on_chip, streamed = quantity_bytes(placement.on_chip_bytes), quantity_bytes(placement.off_chip_bytes)
    say(f"  parameters on chip {on_chip}, streamed at every inference {streamed}")
    if placement.on_chip is not None and placement.off_chip is not None:
        weighted = len(placement.on_chip) + len(placement.off_chip)
        say(f"  {len(placement.on_chip)} of {plural(weighted, 'layer')} with parameters on chip")
    names = [f"{layer.op} {layer.custom_code}" if layer.custom_code else layer.op for layer in graph.layers]
    _print_ops("streamed", [op_name(index, names[index]) for index in placement.off_chip or ()])
    reasons = placement.reasons
    _print_ops("on the CPU", grouped((index, names[index], reasons.get(index, "")) for index in placement.on_cpu))


def _print_ops(title: str, lines: Sequence[str]) -> None:
    for line in lines[:MOST_LINES]:
        say(f"  {title}: {line}")
    if len(lines) > MOST_LINES:
        say(f"  {title}: {len(lines) - MOST_LINES} more; --json lists them all")


def _file(artifact: Artifact) -> dict[str, object]:
    from paraedge.tflite import read_packages

    packages = read_packages(artifact.path)
    return {
        "file": str(artifact.path),
        "file_bytes": artifact.file_bytes,
        "on_chip_bytes": sum(package.cached_bytes for package in packages),
        "off_chip_bytes": sum(package.streamed_bytes for package in packages),
    }


def _as_json(result: Result) -> dict[str, object]:
    made = result.made
    good = None if made is None or isinstance(made, Failure) else made
    return {
        "model": result.model,
        "status": "compiled" if good else "estimated" if made is None else "failed",
        "failure": made if isinstance(made, Failure) else None,
        "compiler": good.compiler if good else None,
        "attempts": good.attempts if good else None,
        "files": [_file(artifact) for artifact in good.artifacts] if good else [],
        "placement": result.placement,
        "printed": good.report if good else None,
        "version_notes": result.version_notes,
    }
