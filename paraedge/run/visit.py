"""One round of measuring: every job once, in the order given, each outcome a row."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from paraedge.core.device import MeasureSettings, Roof, Target
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.outcome import Failure, Job, Measurement, Outcome
from paraedge.core.window import Window
from paraedge.devices import stage
from paraedge.devices.driver import Driver
from paraedge.run.protocol import expect
from paraedge.run.worker import ChildFailed, Worker

OPENINGS = 3
"""After so many children in a row that couldn't open the device, the rest of the round fails without trying again."""


def visit(
    driver: Driver, target: Target, jobs: Iterator[Job | Failure], settings: MeasureSettings
) -> Iterator[Outcome]:
    """Sample each job on `target`, in order, and yield its outcome; a Failure among them passes through.

    An isolated driver's session runs in a fresh child, which ends with the generator. A child that dies, hangs or
    runs out of memory gives a Failure for its job at the stage it was in, and the next job gets a new child. The next
    job is asked for only when the outcome before it was taken: nothing of ours runs while a sample is timed. The
    child's life is tied to the thread that takes outcomes (see `guard.die_with_parent`).
    """
    return (_visit_isolated if driver.isolated else _visit)(driver, target, jobs, settings)


def measure_roofs(driver: Driver, target: Target, probes: Sequence[Job], settings: MeasureSettings) -> tuple[Roof, ...]:
    """The ceilings of `target`, measured in a child on `probes` where the driver is isolated; raises ParaedgeError."""
    if not driver.isolated:
        session = driver.open(target)
        try:
            return session.roofs(probes, settings)
        finally:
            session.close()
    request = {"do": "roofs", "probes": tuple(map(absolute, probes)), "settings": settings}
    try:
        with Worker(driver, target, settings) as worker:
            return tuple(expect(worker.ask(request, "roofs"), "roofs", tuple))
    except ChildFailed as error:
        raise ParaedgeError(f"no roofs of {target.label()}: {error.failure.text()}") from error


def sustain(
    driver: Driver, target: Target, job: Job, settings: MeasureSettings, *, for_s: float, window_s: float = 1.0
) -> Generator[Window, None, None]:
    """Invoke the job's model on `target` without pause for `for_s` seconds, in a child; a Window each `window_s`.

    Raises ParaedgeError where the device can't be opened or the child ends early; the windows before it count.
    """
    if not driver.isolated:
        raise BadInput(f"{target.device} is simulated: it would say the same for ever; take cpu or an edgetpu")
    request = {"do": "sustain", "job": absolute(replace(job, graph=None)), "settings": settings}
    times = {"for_s": float(for_s), "window_s": float(window_s)}
    try:
        with Worker(driver, target, settings) as worker:
            for message in worker.stream({**request, **times}, "sustained", "window"):
                if message["say"] == "window":
                    yield expect(message, "window", Window)
    except ChildFailed as error:
        raise ParaedgeError(f"{target.label()} ended early: {error.failure.text()}") from error


def _visit(
    driver: Driver, target: Target, jobs: Iterator[Job | Failure], settings: MeasureSettings
) -> Iterator[Outcome]:
    session = driver.open(target)
    try:
        for job in jobs:
            if isinstance(job, Failure):
                yield job
                continue
            stage.enter("run")
            try:
                outcome = session.sample(job, settings)
            except Exception as error:  # one point's trouble is a row
                outcome = stage.failure(error)
            yield outcome
    finally:
        session.close()


def _visit_isolated(
    driver: Driver, target: Target, jobs: Iterator[Job | Failure], settings: MeasureSettings
) -> Iterator[Outcome]:
    worker: Worker | None = None
    openings = 0
    unopened: Failure | None = None
    try:
        for job in jobs:
            if isinstance(job, Failure):
                yield job
                continue
            if unopened is not None and openings >= OPENINGS:
                yield unopened
                continue
            try:
                if worker is not None and not worker.alive():
                    worker.close()
                    worker = None
                if worker is None:
                    worker = Worker(driver, target, settings)
                    openings = 0
                outcome = _sample(worker, job, driver, settings)
            except ChildFailed as error:
                outcome = with_limit(error.failure, settings)
                if worker is None:
                    openings, unopened = openings + 1, error.failure
                else:
                    worker, unopened = None, None
            if worker is not None and isinstance(outcome, Failure) and outcome.error == "MemoryError":
                worker.close()  # what is left of its memory is no fair start for the next point
                worker = None
            yield outcome
    finally:
        if worker is not None:
            worker.close()


def _sample(worker: Worker, job: Job, driver: Driver, settings: MeasureSettings) -> Outcome:
    # a graph is long to send, and a driver that reads files has no use for it
    sent = replace(absolute(job), graph=None) if driver.needs_file else job
    outcome = worker.ask({"do": "sample", "job": sent, "settings": settings}, "outcome")["outcome"]
    if isinstance(outcome, Failure):
        return with_limit(outcome, settings)
    if isinstance(outcome, Measurement):
        return outcome
    return Failure(stage="run", error="BadMessage", message=f"the session returned {type(outcome).__name__}")


def with_limit(failure: Failure, settings: MeasureSettings) -> Failure:
    """Native code rarely says that it ran out of memory, so a limit that was set is told with every failure."""
    if settings.memory_mb is None or failure.error == "TimeOut":
        return failure
    return replace(failure, message=f"{failure.message} (under a limit of {settings.memory_mb} MiB of memory)")


def absolute(job: Job) -> Job:
    """The job with a path that means the same in a child."""
    if job.artifact is None:
        return job
    return replace(job, artifact=replace(job.artifact, path=Path(job.artifact.path).absolute()))
