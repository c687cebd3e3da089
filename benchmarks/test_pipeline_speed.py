"""What pipelines of real processes gain on this machine's cores, and how well the simulator tells it beforehand.

Neighbours on a shared machine only ever slow things down, so each figure is taken several times, side by side with what
it is compared to, and the best and the median are told.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge import models, run, tflite
from paraedge.core.cut import cut
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Job, Measurement
from paraedge.core.pipeline import PipelineRun
from paraedge.core.spec import ModelSpec
from paraedge.devices.cpu import CpuDriver
from paraedge.models.cnn import CnnParams
from paraedge.simulate.pipeline import SimStage, simulate_pipeline

RESNET_50 = CnnParams(kind="bottleneck", blocks=(3, 4, 6, 3), filter=64, image=224, output=1000)
CPU = Target(device="cpu", threads=1, kernels="xnnpack")
SETTINGS = MeasureSettings(warm_up_s=0.2, time_budget_s=0.6, precision=0.0)
INPUTS = 60
TRIES = 5

needs_two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two processes need two cores")


@dataclass(frozen=True)
class Model:
    """A network and the folder for its segments as files."""

    graph: LayerGraph
    folder: Path

    def stages(self, cuts: Sequence[int], replicas: int = 1) -> list[run.PipelineStage]:
        """A stage for each segment, each on so many processes."""
        return [self.stage(i, j, replicas) for i, j in pairwise((0, *cuts, len(self.graph.layers)))]

    def stage(self, first: int, end: int, replicas: int) -> run.PipelineStage:
        """The layers [first, end)."""
        part = cut(self.graph, range(first, end))
        path = self.folder / f"{first}-{end}.tflite"
        if not path.exists():
            path.write_bytes(tflite.write_model(part))
        return run.PipelineStage(
            driver=CpuDriver(), targets=(CPU,) * replicas,
            artifact=Artifact(path=path, file_bytes=path.stat().st_size, recipe="direct"),
            inputs=part.inputs, outputs=part.outputs, first=first, end=end,
        )  # fmt: skip

    def pipeline(self, cuts: Sequence[int], replicas: int = 1, inputs: int = INPUTS) -> PipelineRun:
        """What comes of pushing inputs through."""
        found = run.run_pipeline(self.stages(cuts, replicas), inputs=inputs, settings=SETTINGS)
        assert isinstance(found, PipelineRun), found
        return found

    def alone_ms(self) -> float:
        """Median time of an invoke of the whole model in one process with one thread."""
        job = Job(spec=None, graph=None, artifact=self.stage(0, len(self.graph.layers), 1).artifact)
        (outcome,) = run.visit(CpuDriver(), CPU, iter([job]), SETTINGS)
        assert isinstance(outcome, Measurement), outcome
        return statistics.median(block.invoke_ns / 1e6 for block in outcome.blocks)

    def even_cut(self) -> int:
        """The quickest cut on the way to two stages of equal times, measured as they run side by side."""
        low, high, seen = 1, len(self.graph.layers) - 1, {}
        while low <= high:
            middle = (low + high) // 2
            found = self.pipeline([middle], inputs=20)
            seen[middle] = found.throughput_per_s
            first, second = found.stages
            low, high = (middle + 1, high) if first.compute_ms < second.compute_ms else (low, middle - 1)
        return max(seen, key=lambda middle: seen[middle])


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Model:
    graph = models.build_graph(ModelSpec(family="cnn", params=RESNET_50))
    return Model(graph, tmp_path_factory.mktemp("resnet"))


@needs_two_cores
@pytest.mark.benchmark(group="pipeline")
def test_two_segments_against_one_process(benchmark: BenchmarkFixture, resnet: Model) -> None:
    """Inputs a second, filling and draining included, against invokes of the whole model and nothing else."""
    at = resnet.even_cut()
    gains = []
    for _ in range(TRIES):
        before_ms = resnet.alone_ms()
        found = resnet.pipeline([at])
        gains.append(found.throughput_per_s * statistics.mean((before_ms, resnet.alone_ms())) / 1e3)
    benchmark.pedantic(resnet.pipeline, args=([at],), rounds=1, iterations=1)
    best, median = max(gains), statistics.median(gains)
    benchmark.extra_info.update(cut=at, best=round(best, 3), median=round(median, 3))
    print(f"\ntwo segments, cut at {at}: {best:.2f} times one process at best, {median:.2f} in the median")
    assert best >= 1.6, f"load {os.getloadavg()[0]:.1f}: the two cores should be this test's alone"


@needs_two_cores
@pytest.mark.benchmark(group="pipeline")
@pytest.mark.parametrize(
    ("share", "replicas"), [(None, 1), (0.25, 1), (0.5, 1), (None, 2)], ids=["whole", "uneven", "even", "parallel"]
)
def test_the_simulator_fed_with_measured_times(
    benchmark: BenchmarkFixture, resnet: Model, share: float | None, replicas: int
) -> None:
    """Wall time of the run, simulated from the stages' medians, against the clock."""
    cuts = [] if share is None else [round(share * len(resnet.graph.layers))]
    ratios = []
    for _ in range(TRIES):
        found = resnet.pipeline(cuts, replicas)
        ratios.append(simulated(found).wall_ms / found.wall_ms)
    benchmark.pedantic(simulated, args=(found,), rounds=1, iterations=1)
    median = statistics.median(ratios)
    benchmark.extra_info.update(median=round(median, 4), all=[round(ratio, 4) for ratio in ratios])
    print(f"\nsimulated over real wall time: {median:.3f} in the median of {[f'{one:.3f}' for one in ratios]}")
    assert abs(median - 1) <= 0.1


def simulated(real: PipelineRun) -> PipelineRun:
    """The same pipeline from the medians of its stages; of replicas, the mean of theirs."""
    stages = []
    for number in sorted({one.stage for one in real.stages}):
        devices = [one for one in real.stages if one.stage == number]
        times = {
            name: statistics.mean(getattr(one, name) for one in devices)
            for name in ("receive_ms", "compute_ms", "send_ms")
        }
        names = tuple(one.device for one in devices)
        stages.append(SimStage(first=devices[0].first, end=devices[0].end, devices=names, **times))
    return simulate_pipeline(stages, inputs=real.inputs)
