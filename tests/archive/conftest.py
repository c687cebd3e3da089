"""Rows and folders for the archive's tests."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from paraedge.archive import Archive, Row, make_row
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.outcome import Block, Failure, Measurement
from paraedge.core.partition import Partition, Stage
from paraedge.core.pipeline import PipelineRun, StageRun
from paraedge.core.spec import ModelSpec, Params

CPU = DeviceInfo(id="cpu", origin=Origin.MEASURED, batch_mode="native")


@dataclass(frozen=True)
class DenseParams(Params):
    """A family of the tests' own."""

    layer: int | None = None
    node: int | None = None
    widths: tuple[int, ...] | None = None


PARAMETERS = ("layer", "node", "widths")


def pipeline_run(segments: int, device: str = "cpu") -> PipelineRun:
    """Ten inputs through stages of a layer each; every number differs from every other."""
    stages = tuple(
        StageRun(
            stage=k + 1, replica=1, device=device, first=k, end=k + 1, inputs=10,
            receive_ms=k + 0.1, compute_ms=k + 0.2, send_ms=k + 0.3, wait_ms=k + 0.4, blocked_ms=k + 0.5,
            busy_share=1 / (k + 2), input_bytes=100 + k, output_bytes=200 + k, on_chip_bytes=300 + k, off_chip_bytes=k,
        )
        for k in range(segments)
    )  # fmt: skip
    passes = tuple(3.0 + i for i in range(10))
    return PipelineRun(inputs=10, wall_ms=40.0, fill_ms=4.0, drain_ms=5.0, pass_ms=passes, stages=stages)


def partition(segments: int) -> Partition:
    """Of as many layers as segments, half as good as it could be."""
    stages = tuple(
        Stage(
            first=k, end=k + 1, devices=("cpu",), receive_ms=0.1, compute_ms=3.8, send_ms=0.1, busy_ms=4.0,
            input_bytes=1, output_bytes=1, on_chip_bytes=300 + k, off_chip_bytes=k,
        )
        for k in range(segments)
    )  # fmt: skip
    return Partition(
        model="dense", strategy="params", objective="throughput", stages=stages, unused=(), bottleneck_ms=4.0,
        limit="stage 1", latency_ms=8.0, host_ms=0.0, lower_bound_ms=2.0, any_bound_ms=2.0, best_ms=(4.0, 2.0),
    )  # fmt: skip


def row(
    node: int,
    *,
    blocks: int = 3,
    error: str | None = None,
    attempt: int = 1,
    number: int = 1,
    segments: int | None = None,
    device: str = "cpu",
) -> Row:
    """A measured row of `blocks` blocks, or a failed one; of a pipeline with so many segments where that is given."""
    outcome = (
        Measurement(
            device=CPU,
            blocks=tuple(Block(invokes=i + 2, duration_ns=1_000_003 * node + 7 * i) for i in range(blocks)),
            stop_reason="time_budget",
            pipeline=None if segments is None else pipeline_run(segments, device),
            partition=None if segments is None else partition(segments),
        )
        if error is None
        else Failure(stage="run", error="MemoryError", message=error)
    )
    return make_row(
        spec=ModelSpec(family="dense", params=DenseParams(layer=4, node=node)),
        target=Target(
            device="cpu",
            threads=1,
            kernels="xnnpack",
            segments=segments,
            strategy="params" if (segments or 0) > 1 else None,
            inputs=10 if segments else None,
        ),
        round=number,
        attempt=attempt,
        outcome=outcome,
        origin=Origin.MEASURED,
        batch_mode="native",
    )


def reopen(folder: Path, *, name: str = "test", text: str = 'name = "test"\n') -> Archive:
    """Create or resume the tests' campaign."""
    return Archive.open(folder, sweep_name=name, sweep_text=text, parameters=PARAMETERS)


def assert_whole(folder: Path) -> list[dict[str, str]]:
    """Read with nothing but the csv module: no torn line, nothing doubled, exactly the details that runs speak of."""
    tables = []
    has_stages = (folder / "stages.csv").exists()
    for file in ("runs.csv", "samples.csv", *(["stages.csv"] if has_stages else [])):
        data = (folder / file).read_bytes()
        assert data.endswith(b"\n")
        header, *lines = csv.reader(data.decode().splitlines())
        assert all(len(line) == len(header) for line in lines)
        tables.append([dict(zip(header, line, strict=True)) for line in lines])
    runs, samples, stages = tables if has_stages else [*tables, []]
    assert len({run["run_id"] for run in runs}) == len(runs)
    assert len({(line["run_id"], line["block"]) for line in samples}) == len(samples)
    promised = {run["run_id"]: int(run["samples"]) for run in runs if run["samples"]}
    assert Counter(line["run_id"] for line in samples) == Counter(promised)
    promised = {run["run_id"]: int(run["devices_used"]) for run in runs if run["devices_used"]}
    assert Counter(line["run_id"] for line in stages) == Counter(promised)
    assert len({(line["run_id"], line["stage"], line["replica"]) for line in stages}) == len(stages)
    left_over = {path.name for path in folder.iterdir()} - {"runs.csv", "samples.csv", "stages.csv", "meta.json"}
    assert left_over == set()
    return runs


@pytest.fixture(scope="session")
def make() -> Callable[..., Row]:
    return row


@pytest.fixture(scope="session")
def make_pipeline() -> Callable[[int], PipelineRun]:
    return pipeline_run


@pytest.fixture(scope="session")
def make_partition() -> Callable[[int], Partition]:
    return partition


@pytest.fixture(scope="session")
def open_archive() -> Callable[..., Archive]:
    return reopen


@pytest.fixture(scope="session")
def whole() -> Callable[[Path], list[dict[str, str]]]:
    return assert_whole
