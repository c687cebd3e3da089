"""Real networks built directly, from the point to the file, against what can't be left out: random bytes, written."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.build import build_artifact
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.models import ZooParams, build_graph

CHUNK_BYTES = 1 << 18
MOST_TIMES_THE_LEAST = 5.0
"""VGG-19, of few large layers, took 1.1 to 1.8 times as long on two busy cores, ResNet-50 2.1 to 2.4."""


def least_s(size_bytes: int, path: Path) -> float:
    """Seconds to draw that many random bytes into a buffer and write them."""
    started = time.perf_counter()
    generator, data = np.random.SFC64(0), np.empty(size_bytes, np.uint8)
    for first in range(0, size_bytes, CHUNK_BYTES):
        chunk = data[first : first + CHUNK_BYTES]
        chunk[:] = generator.random_raw(-(-chunk.size // 8)).view(np.uint8)[: chunk.size]
    path.write_bytes(data)
    return time.perf_counter() - started


@pytest.mark.benchmark(group="build")
@pytest.mark.parametrize("model", ["resnet50_v1", "vgg19"])
def test_build_a_real_network(benchmark: BenchmarkFixture, tmp_path: Path, model: str) -> None:
    spec = ModelSpec(family="zoo", params=ZooParams(model=model))
    size_bytes, least = build_graph(spec).weight_bytes, []

    def build() -> Artifact | Failure:
        return build_artifact(spec, build_graph(spec), tmp_path)

    def setup() -> None:
        least.append(least_s(size_bytes, tmp_path / "least"))

    made = benchmark.pedantic(build, setup=setup, rounds=9, warmup_rounds=1)
    assert isinstance(made, Artifact)
    ratio = benchmark.stats["median"] / float(np.median(least))
    megabytes = made.file_bytes / 1e6
    benchmark.extra_info.update(megabytes=round(megabytes, 1), times_the_least=round(ratio, 2))
    print(f"\n{model}: {megabytes:.0f} MB in {1e3 * benchmark.stats['median']:.0f} ms, {ratio:.1f} times the least")
    assert ratio < MOST_TIMES_THE_LEAST
