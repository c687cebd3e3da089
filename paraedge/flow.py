"""The stream: sweep file -> specs -> graphs -> model files -> samples -> rows. Each step can be called alone."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paraedge import run
from paraedge.archive import Archive, Key, Row, make_row
from paraedge.archive.first_device import FirstDevice
from paraedge.build.builders import DIRECT, check_builder, open_builder
from paraedge.build.prepare import Prepared, prepare
from paraedge.build.scratch import Work, work_folder
from paraedge.checks import Builder
from paraedge.core.device import Roof, Target
from paraedge.core.errors import ParaedgeError
from paraedge.core.outcome import Failure, Job, Outcome
from paraedge.core.partition import Aim
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.devices.driver import Driver
from paraedge.expand import LOG, build_models, expand
from paraedge.models.conv_stack import ConvStackParams
from paraedge.models.matmul import MatmulParams
from paraedge.progress import Listener, Progress, RunSummary, Tally
from paraedge.segment import pool
from paraedge.segment.visit import Chosen, cut_key, visit_pipelines
from paraedge.sweep import Sweep

__all__ = [
    "Listener", "Progress", "RunSummary", "build_models", "expand", "find_targets", "measure_roofs", "prepare",
    "run_campaign",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One round of a device with its options over the points that are still to be sampled.

    points: each with its target, which is the device's own, or one of its pipelines; those of one model in a row.
    """

    driver: Driver
    round: int
    points: Sequence[tuple[ModelSpec, Target]]

    @property
    def device(self) -> Target:
        """The device with its options."""
        return self.points[0][1].alone()

    @property
    def is_pipelined(self) -> bool:
        """Whether its models are spread over several of the device."""
        return self.points[0][1].segments is not None


def run_campaign(
    sweep: Sweep,
    *,
    folder: Path,
    devices: Sequence[str] | None = None,
    retry_failed: bool = False,
    progress: Listener | None = None,
) -> RunSummary:
    """Run or resume `sweep` in `folder`: every point, device and round gets a row, good or failed.

    `devices` replaces the sweep's own. Raises DeviceMissing, DeviceBusy where another campaign holds a device or the
    folder, BadCampaign for a folder of another sweep, BadInput for a builder that is not installed.
    """
    started = time.monotonic()
    targets = find_targets(sweep, devices or sweep.devices)
    builder = builder_for(sweep, targets)
    specs = list({spec.spec_id: spec for spec in sweep.points()}.values())  # two texts may mean one network
    with contextlib.ExitStack() as held:
        for name in sorted({name for driver, target in targets if driver.isolated for name in locks_of(target)}):
            held.enter_context(run.device_lock(name))
        book = held.enter_context(open_archive(sweep, specs, folder))
        visits = list(plan(sweep, specs, targets, book, retry_failed=retry_failed))
        tally = Tally(
            total=sum(len(specs) * rounds_of(driver, sweep) for driver, _ in targets),
            to_do=sum(len(visit.points) for visit in visits),
            started=started,
            listener=progress,
        )
        maker = held.enter_context(open_builder(builder, log=folder / LOG, told=tally.building))
        work, chosen = Work(folder=held.enter_context(work_folder()), maker=maker), choices(sweep, book)
        if visits:
            describe(book, targets, sweep, work)
        for visit in visits:
            for spec, target, row in sample(visit, sweep, work, book, chosen):
                book.append(row)
                tally.count(spec, row, target, visit.round)
        summary = tally.summary(folder)
        if visits:
            book.update_meta(environment_end=run.environment(), timing=total_timing(book, summary))
    return summary


def builder_for(sweep: Sweep, targets: Sequence[tuple[Driver, Target]]) -> Builder:
    """The sweep's, which must be installed; where no device needs a file, the one that needs nothing."""
    builder = sweep.builder if any(driver.needs_file for driver, _ in targets) else "direct"
    check_builder(builder)
    return builder


def open_archive(sweep: Sweep, specs: Iterable[ModelSpec], folder: Path) -> Archive:
    """The campaign's archive, with a column for each parameter of the sweep's families."""
    columns = dict.fromkeys(
        name for kind in {type(spec.params): spec.params for spec in specs}.values() for name in kind.columns()
    )
    return Archive.open(folder, sweep_name=sweep.name, sweep_text=sweep.text, parameters=list(columns))


def total_timing(book: Archive, summary: RunSummary) -> dict[str, float]:
    """Wall seconds, seconds inside timed blocks and their share, over every call that ended and added rows."""
    before = book.meta.get("timing", {})
    wall_s = before.get("wall_s", 0.0) + summary.wall_s
    timed_s = before.get("timed_s", 0.0) + summary.timed_s
    return {"wall_s": wall_s, "timed_s": timed_s, "timed_share": timed_s / wall_s if wall_s > 0 else 0.0}


def find_targets(sweep: Sweep, devices: Iterable[str]) -> list[tuple[Driver, Target]]:
    """Each device with each combination of its options, in order; raises DeviceMissing for one that is not here.

    Of a sweep with pipelines: with each number of segments, strategy and number of inputs too.
    """
    pipelines = sweep.pipeline
    found: dict[Target, Driver] = {}
    for device in devices:
        driver = pool.find_driver(device, None if pipelines is None else max(pipelines.segments))
        for target in driver.targets(device, sweep.threads, sweep.kernels):
            for each in (target,) if pipelines is None else pipelines.targets(target):
                found[each] = driver
    return [(driver, target) for target, driver in found.items()]


def locks_of(target: Target) -> tuple[str, ...]:
    """Names of the locks of every device that the target may use."""
    names = (target.device,) if target.segments is None else pool.members(target, target.segments)
    return tuple(registry.lock_name(name) for name in names)


def plan(
    sweep: Sweep,
    specs: Sequence[ModelSpec],
    targets: Sequence[tuple[Driver, Target]],
    book: Archive,
    *,
    retry_failed: bool,
) -> Iterator[Visit]:
    """Rounds outside, devices inside, so that a device's rounds spread over the campaign; each in a new order."""
    drivers = {target.alone(): driver for driver, target in targets}
    for number in range(1, sweep.measure.rounds + 1):
        for device, driver in drivers.items():
            if number > rounds_of(driver, sweep):
                continue
            skip = book.done - book.failed if retry_failed else book.done
            order, own = list(specs), [target for _, target in targets if target.alone() == device]
            if driver.isolated:
                seeded = random.Random(f"{sweep.measure.seed}/{device.label()}/{number}")
                seeded.shuffle(order)
                seeded.shuffle(own)
            points = [
                (spec, target) for spec in order for target in own if Key(spec.spec_id, target, number) not in skip
            ]
            if points:
                yield Visit(driver=driver, round=number, points=points)


def choices(sweep: Sweep, book: Archive) -> Chosen:
    """How pipelines are cut: what for, and how they were cut by earlier calls."""
    earlier = {cut_key(key.spec_id, key.target): cuts for key, cuts in book.cuts.items()}
    return Chosen(aim=sweep.pipeline.aim if sweep.pipeline else Aim(), earlier=earlier)


def rounds_of(driver: Driver, sweep: Sweep) -> int:
    """A simulated point has one round: it would say the same again."""
    return sweep.measure.rounds if driver.isolated else 1


def sample(
    visit: Visit, sweep: Sweep, work: Work, book: Archive, chosen: Chosen
) -> Iterator[tuple[ModelSpec, Target, Row]]:
    """Build, sample and describe each point of a visit, one at a time; a model is gone before the next is built."""
    device = FirstDevice(book, visit.device)
    if visit.is_pipelined:
        outcomes = visit_pipelines(visit.driver, visit.points, sweep.measure, work, chosen)
    else:
        outcomes = sample_whole(visit, sweep, work)
    for target, ready, outcome in outcomes:
        try:
            row = describe_outcome(visit, target, ready, device.compare(outcome), book)
            device.keep(outcome)
        except (ValueError, TypeError, ZeroDivisionError) as error:  # no blocks, or another origin than its driver's
            bad = Failure(stage="run", error="BadMeasurement", message=str(error))
            row = describe_outcome(visit, target, ready, bad, book)
        yield ready.spec, target, row


def sample_whole(visit: Visit, sweep: Sweep, work: Work) -> Iterator[tuple[Target, Prepared, Outcome]]:
    """Each point of a visit on one device."""
    current: list[Prepared] = []

    def jobs() -> Iterator[Job | Failure]:
        for spec, target in visit.points:
            current[:] = [prepare(spec, visit.driver, target, work)]
            yield current[0].job

    for outcome in run.visit(visit.driver, visit.device, jobs(), sweep.measure):
        current[0].discard()
        yield visit.device, current[0], outcome


def describe_outcome(visit: Visit, target: Target, ready: Prepared, outcome: Outcome, book: Archive) -> Row:
    """The archive's row of an outcome; raises ValueError for a measurement that can't be one."""
    return make_row(
        spec=ready.spec,
        graph=ready.graph,
        target=target,
        round=visit.round,
        outcome=outcome,
        origin=pool.info(target).origin,
        batch_mode=visit.driver.batch_mode,
        attempt=book.next_attempt(Key(ready.spec.spec_id, target, visit.round)),
        file_bytes=None if ready.artifact is None else ready.artifact.file_bytes,
        placement=None if ready.artifact is None else ready.artifact.placement,
        compiler=None if ready.artifact is None else ready.artifact.compiler,
        builder=ready.builder,
    )


def describe(book: Archive, targets: Sequence[tuple[Driver, Target]], sweep: Sweep, work: Work) -> None:
    """Put the environment, the devices and their roofs into `meta.json`; roofs are measured once a campaign.

    `environment` is of the call that began the campaign, `resumed_in` lists those of the calls that went on with it.
    `devices` is what was found before anything was opened, until a device's first good sample (`FirstDevice`).
    """
    now = run.environment()
    if "environment" in book.meta:
        book.update_meta(resumed_in=[*book.meta.get("resumed_in", []), now])
    else:
        book.update_meta(environment=now, sweep_folder=str(sweep.folder.absolute()))
    known, errors = dict(book.meta.get("roofs", {})), dict(book.meta.get("roof_errors", {}))
    for driver, target in targets:
        label = target.label()
        if target.segments is None and not known.get(label):  # what roofs several devices have is no single figure
            known[label], error = measure_roofs(driver, target, sweep, work)
            errors = {**errors, label: error} if error else errors
    infos = {target.alone().label(): pool.info(target) for _, target in targets}
    book.update_meta(devices={**infos, **book.meta.get("devices", {})}, roofs=known, roof_errors=errors)


def measure_roofs(driver: Driver, target: Target, sweep: Sweep, work: Work) -> tuple[tuple[Roof, ...], str | None]:
    """The ceilings of a target, on models large enough to reach its peak and one small enough for its floor.

    None, and the reason, where they can't be measured: the points still count, and the next call tries again.
    """
    direct = dataclasses.replace(work, maker=DIRECT)  # of a device, whatever makes the sweep's models
    ready = [prepare(spec, driver, target, direct) for spec in ROOF_PROBES] if driver.isolated else []
    try:
        jobs = [point.job for point in ready if isinstance(point.job, Job)]
        return run.measure_roofs(driver, target, jobs, sweep.measure), None
    except ParaedgeError as error:
        return (), str(error)
    finally:
        for point in ready:
            point.discard()


DENSE = ConvStackParams(layer=2, kernel=3, image=32, channel=128, filter=128)
ROOF_PROBES = (
    *(
        ModelSpec(family="matmul", params=MatmulParams(n=n), batch=batch, precision=precision)
        for precision in ("int8", "float32")
        for n, batch in ((512, 256), (1024, 128), (1024, 512))
    ),
    *(ModelSpec(family="conv_stack", params=DENSE, precision=precision) for precision in ("int8", "float32")),
    ModelSpec(family="matmul", params=MatmulParams(n=8)),
)
"""Dense work that caches well, in both precisions, and a matmul so small that only the call is left."""
