"""Segments of a model measured on a device of this machine, for the profiling partitioner."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from paraedge import run
from paraedge.build.scratch import work_folder
from paraedge.core.device import MeasureSettings
from paraedge.core.graph import LayerGraph
from paraedge.devices import registry
from paraedge.partition.profiled import SpanLatency
from paraedge.segment.profile import span_latency
from paraedge.segment.profile_cache import ProfileCache, default_cache
from paraedge.tflite.read import map_file


@contextlib.contextmanager
def measured_latency(graph: LayerGraph, file: Path, device: str) -> Iterator[SpanLatency]:
    """Latencies of segments of the model in `file`, with the device's lock held, and kept for the next time."""
    driver = registry.find(device)
    target = driver.targets(device, (), ())[0]
    with contextlib.ExitStack() as held:
        cache = held.enter_context(ProfileCache(default_cache()))
        held.enter_context(run.device_lock(registry.lock_name(device)))
        folder = held.enter_context(work_folder())
        yield span_latency(graph, map_file(file), driver, target, MeasureSettings(), cache, folder)
