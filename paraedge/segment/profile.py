"""Latencies of a model's segments on a device, simulated or measured, as the profiling partitioner asks for them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from paraedge import build, run, tflite
from paraedge.core.cut import cut
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import BadInput, ParaedgeError, short
from paraedge.core.graph import LayerGraph
from paraedge.core.median import median_ranks
from paraedge.core.outcome import Artifact, Failure, Job, Measurement
from paraedge.devices import registry
from paraedge.devices.driver import Driver
from paraedge.partition.profiled import Measured, Span, SpanLatency
from paraedge.segment.profile_cache import ProfileCache, Visit


def span_latency(
    graph: LayerGraph,
    source: bytes | memoryview | None,
    driver: Driver,
    target: Target,
    settings: MeasureSettings,
    cache: ProfileCache,
    folder: Path,
) -> SpanLatency:
    """How long layers [first, end) take alone on `target`, from the first so many visits.

    A simulated device predicts the part of the graph, the same however often it is asked, and nothing is kept. On a
    measured one the segment is cut from `source` (the model's file; None: written from the graph) into `folder`,
    compiled where the driver needs it, and timed in a fresh child each visit; `cache` keeps the visits by the content
    of the file that ran, the target, its host and runtime, and the settings. What can't run has an infinite latency
    and the reason, is tried once and not kept. The caller holds the device's lock. Raises ParaedgeError where the
    device can't be opened or the folder not be written.
    """
    if not driver.isolated:
        return _simulated(graph, driver, target, settings)
    data = tflite.write_model(graph) if source is None else source
    return _Timed(graph, data, driver, target, settings, cache, folder)


def _simulated(graph: LayerGraph, driver: Driver, target: Target, settings: MeasureSettings) -> SpanLatency:
    session = driver.open(target)

    @functools.cache
    def latency(first: int, end: int) -> Measured:
        part = cut(graph, range(first, end))
        reason = driver.why_not(part, target)
        if reason is not None:
            return _infinite(reason)
        outcome = session.sample(Job(spec=None, graph=part, artifact=None), settings)
        if isinstance(outcome, Failure):
            return _infinite(outcome.message)
        value_ms = outcome.prediction.latency_ms if outcome.prediction else _visit(outcome).value_ms
        return Measured(value_ms=value_ms, low_ms=value_ms, high_ms=value_ms, rounds=1)

    return lambda first, end, rounds: dataclasses.replace(latency(first, end), rounds=rounds)


class _Timed:
    """A SpanLatency of a measured device."""

    def __init__(
        self,
        graph: LayerGraph,
        source: bytes | memoryview,
        driver: Driver,
        target: Target,
        settings: MeasureSettings,
        cache: ProfileCache,
        folder: Path,
    ) -> None:
        self.graph, self.source = graph, source
        self.driver, self.target, self.settings = driver, target, settings
        self.cache, self.folder = cache, folder
        self._keys: dict[Span, str] = {}
        self._reasons: dict[Span, str] = {}

    def __call__(self, first: int, end: int, rounds: int) -> Measured:
        span = (first, end)
        if span not in self._reasons and len(self._kept(span)) < rounds:
            with contextlib.ExitStack() as files:  # the segment's, deleted at the end
                artifact = self._built(span, files)
                if isinstance(artifact, Failure):
                    self._reasons[span] = artifact.text()
                else:
                    self._keys[span] = key(artifact, self.target, self.settings)
                    self._measure(span, artifact, rounds)
        if span in self._reasons:
            return _infinite(self._reasons[span])
        return estimate(self._kept(span)[:rounds])

    def _kept(self, span: Span) -> tuple[Visit, ...]:
        return self.cache.visits(self._keys[span]) if span in self._keys else ()

    def _measure(self, span: Span, artifact: Artifact, rounds: int) -> None:
        """Visit the segment until there are so many visits, or one fails."""
        about = f"{self.graph.name} ops {span[0]} to {span[1] - 1} on {self.target.label()}"
        while len(self._kept(span)) < rounds:
            job = Job(spec=None, graph=None, artifact=artifact)
            [outcome] = run.visit(self.driver, self.target, iter([job]), self.settings)
            if isinstance(outcome, Measurement):
                self.cache.add(self._keys[span], _visit(outcome), about)
                continue
            if outcome.stage == "open":  # nothing that the segment can be blamed for
                raise ParaedgeError(f"{self.target.label()}: {outcome.text()}")
            self._reasons[span] = outcome.text()
            return

    def _built(self, span: Span, files: contextlib.ExitStack) -> Artifact | Failure:
        """The file of a span, compiled where that is needed, or why there is none."""
        first, end = span
        inner = [at for at in span if 0 < at < len(self.graph.layers)]
        path = self.folder / f"ops-{first}-{end}.tflite"
        files.callback(path.unlink, missing_ok=True)
        try:
            data = tflite.cut_model(self.source, inner)[int(first > 0)].data if inner else self.source
            path.write_bytes(data)
        except BadInput as error:
            return Failure(stage="build", error="BadInput", message=short(error))
        except OSError as error:
            raise ParaedgeError(f"can't write into {self.folder}: {error.strerror}") from None
        part = tflite.read_graph(path)
        reason = self.driver.why_not(part, self.target)
        if reason is not None:
            return Failure(stage="load", error="Unsupported", message=reason)
        digest = hashlib.sha256(data).hexdigest()
        artifact = Artifact(path=path, file_bytes=len(data), recipe="cut", sha256=digest)
        if not getattr(self.driver, "needs_compiled", False):
            return artifact
        compiled = build.compile_artifact(artifact, part, self.folder)
        if isinstance(compiled, Artifact):
            files.callback(compiled.path.unlink, missing_ok=True)
        return compiled


def key(artifact: Artifact, target: Target, settings: MeasureSettings) -> str:
    """What a latency depends on, as 64 hexadecimal digits: the file, the device with its host and runtime, settings."""
    info = registry.info(target.device)
    device = [info.host, info.link, info.link_mbit_per_s, info.runtime, info.runtime_version]
    said = {**dataclasses.asdict(settings), "rounds": None}
    text = json.dumps([artifact.sha256, target.label(), device, said], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def estimate(visits: Sequence[Visit]) -> Measured:
    """Geometric mean of the visits' medians with Student's t interval.

    One visit alone says nothing of the next process: its interval is at least the noise floor of comparisons, by which
    fresh processes differ (`docs/measuring.md`).
    """
    from paraedge.analyze.compare import NOISE_FLOOR
    from paraedge.analyze.statistics import log_t_interval

    found = log_t_interval([visit.value_ms for visit in visits], "ms")
    if found.low is None or found.high is None:
        low_ms = min(visits[0].low_ms, found.value / (1 + NOISE_FLOOR))
        high_ms = max(visits[0].high_ms, found.value * (1 + NOISE_FLOOR))
    else:
        low_ms, high_ms = found.low, found.high
    return Measured(value_ms=found.value, low_ms=low_ms, high_ms=high_ms, rounds=len(visits))


def _visit(measurement: Measurement) -> Visit:
    ordered = sorted(block.invoke_ns / 1e6 for block in measurement.blocks)
    low, high = median_ranks(len(ordered)) or (0, len(ordered) - 1)
    return Visit(value_ms=statistics.median(ordered), low_ms=ordered[low], high_ms=ordered[high])


def _infinite(reason: str) -> Measured:
    return Measured(value_ms=math.inf, low_ms=math.inf, high_ms=math.inf, rounds=1, reason=reason)
