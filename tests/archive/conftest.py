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
from paraedge.core.spec import ModelSpec, Params

CPU = DeviceInfo(id="cpu", origin=Origin.MEASURED, batch_mode="native")


@dataclass(frozen=True)
class DenseParams(Params):
    """A family of the tests' own."""

    layer: int | None = None
    node: int | None = None
    widths: tuple[int, ...] | None = None


PARAMETERS = ("layer", "node", "widths")


def row(node: int, *, blocks: int = 3, error: str | None = None, attempt: int = 1, number: int = 1) -> Row:
    """A measured row of `blocks` blocks, or a failed one."""
    outcome = (
        Measurement(
            device=CPU,
            blocks=tuple(Block(invokes=i + 2, duration_ns=1_000_003 * node + 7 * i) for i in range(blocks)),
            stop_reason="time_budget",
        )
        if error is None
        else Failure(stage="run", error="MemoryError", message=error)
    )
    return make_row(
        spec=ModelSpec(family="dense", params=DenseParams(layer=4, node=node)),
        target=Target(device="cpu", threads=1, kernels="xnnpack"),
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
    """Read with nothing but the csv module: no torn line, nothing doubled, exactly the samples that runs speak of."""
    tables = []
    for file in ("runs.csv", "samples.csv"):
        data = (folder / file).read_bytes()
        assert data.endswith(b"\n")
        header, *lines = csv.reader(data.decode().splitlines())
        assert all(len(line) == len(header) for line in lines)
        tables.append([dict(zip(header, line, strict=True)) for line in lines])
    runs, samples = tables
    assert len({run["run_id"] for run in runs}) == len(runs)
    assert len({(line["run_id"], line["block"]) for line in samples}) == len(samples)
    promised = {run["run_id"]: int(run["samples"]) for run in runs if run["samples"]}
    assert Counter(line["run_id"] for line in samples) == Counter(promised)
    left_over = {path.name for path in folder.iterdir()} - {"runs.csv", "samples.csv", "meta.json"}
    assert left_over == set()
    return runs


@pytest.fixture(scope="session")
def make() -> Callable[..., Row]:
    return row


@pytest.fixture(scope="session")
def open_archive() -> Callable[..., Archive]:
    return reopen


@pytest.fixture(scope="session")
def whole() -> Callable[[Path], list[dict[str, str]]]:
    return assert_whole
