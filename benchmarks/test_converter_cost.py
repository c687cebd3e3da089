"""What TensorFlow's converter costs beside the direct writer: models a second and peak memory of both, in one run."""

from __future__ import annotations

import importlib.util
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge import models
from paraedge.build import build_artifact
from paraedge.build.converter import Converter
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.models.fc import FcParams
from paraedge.sweep import load_sweep

EACH = 40
"""One point in so many of the sweep is built."""
LEAST_TIMES = 50.0
WARM_UP = ModelSpec(family="fc", params=FcParams(layer=1, node=8))
LOOK_S = 0.02


@contextmanager
def peak_memory(found: list[int]) -> Iterator[None]:
    """Most bytes that this process and its children had in memory at once beyond what it has now, put into `found`."""
    me, ended, before = psutil.Process(), threading.Event(), psutil.Process().memory_info().rss
    seen = [before]

    def watch() -> None:
        while not ended.wait(LOOK_S):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:  # it ended between the two calls
                    continue
            seen.append(total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        found.append(max(seen) - before)


def seconds(build: Callable[[ModelSpec], Artifact | Failure], specs: list[ModelSpec]) -> list[float]:
    """What each model took; its file is deleted."""
    took = []
    for spec in specs:
        started = time.perf_counter()
        made = build(spec)
        took.append(time.perf_counter() - started)
        assert isinstance(made, Artifact), made
        made.path.unlink()
    return took


@pytest.mark.tensorflow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow: nox -s tensorflow")
@pytest.mark.benchmark(group="builders")
def test_the_direct_writer_against_the_converter(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    specs = list(itertools.islice(load_sweep("paradnn-cnn").points(), EACH // 2, None, EACH))
    direct_bytes: list[int] = []
    converter_bytes: list[int] = []
    with peak_memory(direct_bytes):
        seconds(lambda spec: build_artifact(spec, models.build_graph(spec), tmp_path), [WARM_UP])
        direct = benchmark.pedantic(
            lambda: seconds(lambda spec: build_artifact(spec, models.build_graph(spec), tmp_path), specs), rounds=3
        )
    with peak_memory(converter_bytes), Converter(tmp_path / "log") as converter:
        seconds(
            lambda spec: converter.build(spec, tmp_path), [WARM_UP]
        )  # its start and TensorFlow's import don't count
        converted = seconds(lambda spec: converter.build(spec, tmp_path), specs)
    ratios = sorted(b / a for a, b in zip(direct, converted, strict=True))
    ratio = sum(converted) / sum(direct)
    print(f"\n{len(specs)} of paradnn-cnn on {os.cpu_count()} cores")
    for name, took, size_bytes in (("direct", direct, direct_bytes[0]), ("converter", converted, converter_bytes[0])):
        print(f"  {name:<10} {len(specs) / sum(took):8.2f} models a second, {size_bytes / 2**20:6.0f} MiB at the peak")
    print(f"  direct is {ratio:.0f} times as fast, {ratios[0]:.0f} to {ratios[-1]:.0f} by model")
    benchmark.extra_info.update(ratio=round(ratio, 1), least=round(ratios[0], 1), converter_s=round(sum(converted), 1))
    assert ratio >= LEAST_TIMES
