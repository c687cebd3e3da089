"""A model file -> a compiled one, with the compiler's own word on what runs where."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from paraedge.build import store
from paraedge.build.builders import Build
from paraedge.build.compiler import CompileOptions, Compiler, Ran, find_compiler, run_compiler
from paraedge.build.compiler_failures import LASTING, RANDOM, CompileError, OpStatus, failure, printed_error
from paraedge.build.compiler_output import CompilerReport, parse_report, with_table
from paraedge.build.compiler_placement import compiler_placement
from paraedge.build.direct import build_artifact
from paraedge.build.op_versions import refused_versions
from paraedge.build.scratch import work_folder
from paraedge.build.store import Entry
from paraedge.core.device import Absence
from paraedge.core.errors import BadModelFile
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Placement
from paraedge.core.spec import ModelSpec
from paraedge.tflite import read_packages

RECIPE = "edgetpu_compiler"
MODEL = "model"
"""The compiler sees every model under this name, whatever its file is called."""
LOG_CHARACTERS = 1 << 20
MOST_OPS = 3

Verdict: TypeAlias = tuple[CompileError, str]
"""What went wrong, and its detail."""


@dataclass(frozen=True, kw_only=True)
class CompiledModel:
    """A compiled model: its file, or its segments in order; where its layers went; what the compiler printed.

    attempts: runs of the compiler; 0 where the files came from the store.
    """

    artifacts: tuple[Artifact, ...]
    placement: Placement
    compiler: str
    report: CompilerReport
    attempts: int


def build_compiled(
    spec: ModelSpec,
    graph: LayerGraph,
    folder: Path,
    *,
    failed: dict[str, Failure] | None = None,
    build: Build = build_artifact,
) -> Artifact | Failure:
    """Have `build` make the model file of `graph` and compile it; only the compiled file stays in `folder`.

    A file of the user's own that is compiled already stays as it is. failed: what failed to compile before, by the
    SHA-256 of the model, and is not tried again; a new failure is added.
    """
    built = build(spec, graph, folder)
    if isinstance(built, Failure):
        return built
    if graph.is_compiled:
        return _as_it_is(built, graph)
    failed = {} if failed is None else failed
    try:
        digest = store.sha256_of(built.path)
        if digest not in failed:
            made = compile_artifact(built, graph, folder)
            if isinstance(made, Artifact):
                return made
            failed[digest] = made
        return failed[digest]
    except OSError as error:
        return _disk_failure(error)
    finally:
        built.path.unlink(missing_ok=True)


def _as_it_is(built: Artifact, graph: LayerGraph) -> Artifact | Failure:
    """A compiled file with what it says of its placement."""
    try:
        return dataclasses.replace(built, placement=compiler_placement(graph, [built.path], ()))
    except BadModelFile as error:
        built.path.unlink(missing_ok=True)
        return failure(CompileError.BAD_OUTPUT, str(error).replace(f"{built.path.parent}{os.sep}", ""))


def compile_artifact(
    artifact: Artifact, graph: LayerGraph, folder: Path, *, use_store: bool = True
) -> Artifact | Failure:
    """Compile a built model for the Edge TPU into `folder`; what comes carries its placement.

    What can't be compiled is a Failure of stage `compile`, its error a name of CompileError.
    graph: what the file holds. use_store: take it from the compiled models kept before; a new one is kept anyway.
    """
    made = compile_model(artifact.path, graph, folder, CompileOptions(), use_store=use_store)
    if isinstance(made, Failure):
        return made
    return dataclasses.replace(made.artifacts[0], recipe=f"{artifact.recipe}, {RECIPE}")


def compile_model(
    model: Path, graph: LayerGraph, folder: Path, options: CompileOptions, *, use_store: bool = True
) -> CompiledModel | Failure:
    """Compile a model file into `folder` as NAME_edgetpu.tflite, or NAME_segment_I_of_N_edgetpu.tflite.

    First the store is asked, then the versions of the ops are checked, then the compiler runs; it runs again after a
    failure that is known to be random. Without a compiler, a model that any version of it compiled into the store is
    found all the same. use_store: whether the store is asked; a new result is kept anyway.
    """
    compiler = find_compiler()
    version = compiler.version if isinstance(compiler, Compiler) else None
    attempts = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = output_names(folder, model.stem, options.segments)
        digest, place = store.sha256_of(model), store.default_store()
        entry = store.find(place, digest, options.key, version, names) if use_store else None
        if entry is None:
            made = _compile(model, digest, graph, compiler, options, names)
            if isinstance(made, Failure):
                return made
            entry, attempts = made
            store.put(place, entry)
        return _described(entry, graph, attempts)
    except OSError as error:
        return _disk_failure(error)
    except BadModelFile as error:
        if attempts == 0 and use_store:  # of the store; what the compiler wrote just now was read before
            return compile_model(model, graph, folder, options, use_store=False)
        return failure(CompileError.BAD_OUTPUT, str(error).replace(f"{folder}{os.sep}", ""))


def _disk_failure(error: OSError) -> Failure:
    where = f"{error.filename}: " if error.filename else ""
    return Failure(stage="compile", error=type(error).__name__, message=f"{where}{error.strerror or error}")


def output_names(folder: Path, stem: str, segments: int) -> tuple[Path, ...]:
    """Paths of the compiled files, named as the compiler does."""
    if segments == 1:
        return (folder / f"{stem}_edgetpu.tflite",)
    return tuple(folder / f"{stem}_segment_{i}_of_{segments}_edgetpu.tflite" for i in range(segments))


def _compile(
    model: Path,
    digest: str,
    graph: LayerGraph,
    compiler: Compiler | Absence,
    options: CompileOptions,
    names: Sequence[Path],
) -> tuple[Entry, int] | Failure:
    """What the compiler makes of the model and the attempts it took; a failure that may not come again is a Failure."""
    refused = [op.text() for op in refused_versions(graph)]
    if refused:
        more = [f"{len(refused) - MOST_OPS} more"] if len(refused) > MOST_OPS else []
        return failure(CompileError.OP_VERSION, "; ".join([*refused[:MOST_OPS], *more]))
    if isinstance(compiler, Absence):
        return failure(CompileError.NO_COMPILER, f"{compiler.reason}; to mend it: {compiler.remedy}")
    with work_folder() as scratch:
        source = scratch / f"{MODEL}.tflite"
        source.symlink_to(model.absolute())
        written = output_names(scratch, MODEL, options.segments)
        ran, bad, attempts = _attempted(compiler, source, written, options)
        printed = with_table(ran.text, _log(scratch))
        entry = Entry(sha256=digest, compiler=compiler.version, options=options.key, printed=printed)
        if bad is None:
            for file, name in zip(written, names, strict=True):
                with file.open("rb") as data:
                    store.write_whole(data, name)
            return dataclasses.replace(entry, files=tuple(names)), attempts
    error, detail = bad[0], bad[1].replace(f"{scratch}{os.sep}", "")  # which is gone
    if error in LASTING:
        return dataclasses.replace(entry, error=error.value, message=failure(error, detail).message), attempts
    return failure(error, f"{detail}, {attempts} times" if attempts > 1 else detail, ran.signal)


def _attempted(
    compiler: Compiler, source: Path, written: Sequence[Path], options: CompileOptions
) -> tuple[Ran, Verdict | None, int]:
    """The last run, what was wrong with it, and how many there were: no more after one that isn't worth repeating."""
    for attempt in range(1, options.attempts + 1):
        for file in written:
            file.unlink(missing_ok=True)
        ran = run_compiler(compiler, source, source.parent, options)
        bad = _verdict(ran, written)
        if bad is None or bad[0] not in RANDOM or attempt == options.attempts:
            return ran, bad, attempt
    raise ValueError(f"{options.attempts} attempts")


def _verdict(ran: Ran, written: Sequence[Path]) -> Verdict | None:
    """None for a run that left all its files, compiled."""
    if ran.error is not None:
        return CompileError.NOT_STARTED, ran.error
    if ran.timed_out:
        return CompileError.TIMED_OUT, ""
    if ran.signal is not None:
        return CompileError.CRASHED, ran.signal
    if ran.exit_code == 0 and all(file.is_file() for file in written):
        return _verdict_of_files(written, ran.text)
    last = next((line for line in reversed(ran.text.splitlines()) if line.strip()), "it printed nothing")
    error = CompileError.NO_OUTPUT if ran.exit_code == 0 else CompileError.UNKNOWN
    return printed_error(ran.text) or (error, f"exit code {ran.exit_code}, {last.strip()}")


def _verdict_of_files(written: Sequence[Path], text: str) -> Verdict | None:
    try:
        packages = [package for file in written for package in read_packages(file)]
    except BadModelFile as error:
        return CompileError.BAD_OUTPUT, str(error)
    if packages:
        return None
    lines = [line for line in parse_report(text).operators if line.status is not OpStatus.MAPPED]
    return CompileError.NOTHING_MAPPED, ", ".join(f"{line.op} {line.status.value}" for line in lines)


def _log(folder: Path) -> str:
    """What the compiler wrote into its log files."""
    texts = []
    for path in sorted(folder.glob("*.log")):
        with path.open(encoding="utf-8", errors="replace") as file:
            texts.append(file.read(LOG_CHARACTERS))
    return "\n".join(texts)


def _described(entry: Entry, graph: LayerGraph, attempts: int) -> CompiledModel | Failure:
    if entry.error is not None:
        return Failure(stage="compile", error=entry.error, message=entry.message or "")
    report = parse_report(entry.printed)
    placement = compiler_placement(graph, entry.files, report.operators)
    artifacts = tuple(
        Artifact(
            path=file,
            file_bytes=file.stat().st_size,
            recipe=RECIPE,
            sha256=store.sha256_of(file),
            compiler=entry.compiler,
            placement=placement if len(entry.files) == 1 else None,
        )
        for file in entry.files
    )
    return CompiledModel(
        artifacts=artifacts, placement=placement, compiler=entry.compiler, report=report, attempts=attempts
    )
