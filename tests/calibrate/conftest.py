"""A base to begin from, tables, and campaigns as an Edge TPU would leave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from paraedge import models
from paraedge.archive import Archive, Row, make_row
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.outcome import Block, Failure, Measurement, Placement
from paraedge.core.spec import ModelSpec
from paraedge.models import FcParams
from paraedge.simulate import Hardware, load_hardware

SWEEP = """
name = "mine"
devices = ["edgetpu:0"]
[[grid]]
family = "fc"
layer = 4
node = [512, 1024, 2048]
"""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One line of a campaign to be written: latency_ms is of an invoke, None for one that failed."""

    node: int
    latency_ms: float | None
    device: str = "edgetpu:0"
    origin: Origin = Origin.MEASURED
    round: int = 1
    attempt: int = 1
    batch: int = 1
    placement: Placement | None = None


def write(folder: Path, attempts: Sequence[Attempt]) -> Path:
    """The folder of a campaign with these lines, by the archive's own writer."""
    with Archive.open(
        folder, sweep_name="mine", sweep_text=SWEEP, parameters=("input", "layer", "node", "output", "widths")
    ) as archive:
        for entry in attempts:
            archive.append(_row(entry))
    return folder


def _row(entry: Attempt) -> Row:
    spec = ModelSpec(family="fc", params=FcParams(layer=4, node=entry.node), batch=entry.batch)
    one = ModelSpec(family="fc", params=FcParams(layer=4, node=entry.node))
    info = DeviceInfo(id=entry.device, origin=entry.origin, batch_mode="looped")
    outcome: Measurement | Failure = Failure(stage="run", error="Timeout", message="no answer")
    if entry.latency_ms is not None:
        block = Block(invokes=1000, duration_ns=round(entry.latency_ms * 1e9))
        outcome = Measurement(device=info, blocks=(block,), stop_reason="time_budget")
    return make_row(
        spec=spec, target=Target(device=entry.device), round=entry.round, attempt=entry.attempt, outcome=outcome,
        origin=entry.origin, batch_mode="looped", graph=models.build_graph(one), placement=entry.placement,
    )  # fmt: skip


@pytest.fixture(scope="session")
def base() -> Hardware:
    return load_hardware("sim-edgetpu-usb3")


@pytest.fixture(scope="session")
def attempt() -> Callable[..., Attempt]:
    return Attempt


@pytest.fixture
def campaign(tmp_path: Path) -> Callable[..., Path]:
    """Attempts -> the folder of a campaign that has them."""
    return lambda *attempts: write(tmp_path / "campaign", attempts)


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str], Path]:
    """The text of a CSV -> its path."""

    def made(text: str) -> Path:
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return made
