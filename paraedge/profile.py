"""Where the time of models goes: every op of a file, or of each point of a sweep, on each device."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from paraedge import flow, run
from paraedge.archive import Archive
from paraedge.archive.columns import described, op_columns
from paraedge.archive.ops import OpsTable
from paraedge.build.builders import check_builder, open_builder
from paraedge.build.prepare import prepare
from paraedge.build.scratch import Work, work_folder
from paraedge.core.device import Target
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Job
from paraedge.core.profile import Profile
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.devices.driver import Driver
from paraedge.expand import LOG
from paraedge.progress import Listener, RunSummary, Tally
from paraedge.segment.ops import check_profiled, open_profiler
from paraedge.sweep import Sweep
from paraedge.tflite import read_graph

__all__ = ["profile_model", "profile_sweep"]


def profile_model(
    model: Path, device: str, threads: Sequence[int] = (), kernels: Sequence[str] = ()
) -> list[tuple[LayerGraph, Profile]]:
    """The graph of a model file and where its time goes, on a device with each combination of its options.

    device: `cpu`, a simulated device, or a hardware file (.toml). Raises BadModelFile for a file that can't be read,
    BadInput for one that the device can't run and for a device whose ops can't be told apart, ParaedgeError where the
    model fails.
    """
    graph = read_graph(model)
    if graph.is_compiled:
        raise BadInput(f"{model} is compiled for the Edge TPU, its ops are gone: give the file that it was made from")
    driver = _driver(device)
    check_profiled(driver, device)
    targets = driver.targets(device, threads, kernels)
    why = driver.why_not(graph, targets[0]) if graph.layers else "it has no ops"
    if why is not None:
        raise BadInput(f"{model} can't run on {device}: {why}")
    job = Job(spec=None, graph=graph, artifact=Artifact(path=model, file_bytes=model.stat().st_size, recipe="file"))
    found = []
    with contextlib.ExitStack() as held:
        if driver.isolated:
            held.enter_context(run.device_lock(registry.lock_name(device)))
        folder = held.enter_context(work_folder())
        for target in targets:
            with open_profiler(driver, target, folder) as profile:
                found.append((graph, _good(profile(job), model, target)))
    return found


def _driver(device: str) -> Driver:
    if device.endswith(".toml"):
        return next(driver for driver in registry.drivers() if driver.name == "simulated")
    return registry.find(device)


def _good(found: Profile | Failure, model: Path, target: Target) -> Profile:
    if isinstance(found, Failure):
        kind = BadInput if found.stage in ("load", "compile") else ParaedgeError
        raise kind(f"{model} can't run on {target.label()}: {found.text()}")
    return found


def profile_sweep(
    sweep: Sweep, *, folder: Path, devices: Sequence[str] | None = None, progress: Listener | None = None
) -> RunSummary:
    """The ops of every point of `sweep` on every device, as lines of ops.csv in the campaign's `folder`.

    devices: in place of the sweep's own. What is there already is left out; what failed is tried again. A pipeline's
    points run whole. Raises BadInput for a device whose ops can't be told apart, and what `flow.run_campaign` raises.
    """
    started = time.monotonic()
    targets = flow.find_targets(dataclasses.replace(sweep, pipeline=None), devices or sweep.devices)
    for driver, target in targets:
        check_profiled(driver, target.device)
    builder = sweep.builder if any(driver.needs_file for driver, _ in targets) else "direct"
    check_builder(builder)
    specs = list({spec.spec_id: spec for spec in sweep.points()}.values())
    with contextlib.ExitStack() as held:
        for name in sorted({name for driver, target in targets if driver.isolated for name in flow.locks_of(target)}):
            held.enter_context(run.device_lock(name))
        table = _table(held.enter_context(flow.open_archive(sweep, specs, folder)))
        missing = {target: [spec for spec in specs if not table.has(spec, target)] for _, target in targets}
        tally = Tally(
            total=len(specs) * len(targets), to_do=sum(map(len, missing.values())), started=started, listener=progress
        )
        maker = held.enter_context(open_builder(builder, log=folder / LOG, told=tally.building))
        work = Work(folder=held.enter_context(work_folder()), maker=maker)
        for driver, target in targets:
            for spec, found in _each(driver, target, missing[target], work):
                table.append(spec, target, registry.info(target.device).origin, found)
                tally.profiled(spec, target, failed=isinstance(found, Failure))
        return tally.summary(folder)


def _table(book: Archive) -> OpsTable:
    """The campaign's table of ops, described in its meta.json."""
    parameters = tuple(map(str, book.meta["parameters"]))
    book.update_meta(ops_columns=described(op_columns(parameters)))
    return OpsTable(book.folder, parameters)


def _each(
    driver: Driver, target: Target, specs: Sequence[ModelSpec], work: Work
) -> Iterator[tuple[ModelSpec, Profile | Failure]]:
    """Each point in one visit of the device; a model is gone before the next is built."""
    if not specs:
        return
    with open_profiler(driver, target, work.folder) as profile:
        for spec in specs:
            ready = prepare(spec, driver, target, work)
            try:
                found = ready.job if isinstance(ready.job, Failure) else profile(ready.job)
            except (ParaedgeError, MemoryError) as error:
                found = Failure(stage="run", error=type(error).__name__, message=short(error) or "no memory left")
            finally:
                ready.discard()
            yield spec, found
