"""A base to begin from, tables, and campaigns as an Edge TPU would leave them."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from paraedge import models
from paraedge.archive import Archive, Row, make_row
from paraedge.calibrate import validate
from paraedge.calibrate.bases import published_problem
from paraedge.calibrate.fit import Problem
from paraedge.calibrate.published import ZOO, zoo_graph
from paraedge.calibrate.report import Prediction, Validation
from paraedge.calibrate.row import Row as MeasuredRow
from paraedge.calibrate.validate import cross_validate
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Block, Failure, Measurement, Placement
from paraedge.core.spec import ModelSpec
from paraedge.models import ConvStackParams, FcParams
from paraedge.simulate import Hardware, load_hardware, predict
from paraedge.simulate.shapes import MIB

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


# --- rows made by a device whose constants are known, and the published tables, read and judged once ---


@pytest.fixture(scope="session")
def network() -> Callable[..., LayerGraph]:
    """A kind and its size -> one of the networks that rows are made of."""

    def build(kind: str, size: int = 0, layer: int = 5) -> LayerGraph:
        if kind in ZOO:
            return zoo_graph(kind)
        fc, stack = FcParams(layer=4, node=size), ConvStackParams(filter=size, layer=layer)
        spec = ModelSpec(family="fc", params=fc) if kind == "FC" else ModelSpec(family="conv_stack", params=stack)
        return models.build_graph(spec)

    return build


@pytest.fixture(scope="session")
def spread_of_networks(network: Callable[..., LayerGraph]) -> tuple[LayerGraph, ...]:
    """Fully connected, convolutional and real ones, on chip and streamed, so that they tell every constant."""
    dense = [network("FC", size) for size in (64, 256, 512, 1024, 1400, 1600, 1800, 2000, 2400, 3000)]
    stacks = [network("CONV", size) for size in (16, 32, 48, 96, 128, 200, 256, 320, 400, *range(460, 750, 20))]
    deep = [network("CONV", size, 16) for size in (32, 64, 96, 128, 160, 200)]
    return (*dense, *stacks, *deep, *map(network, ZOO))


@pytest.fixture(scope="session")
def rows_of() -> Callable[..., list[MeasuredRow]]:
    """Graphs and the hardware that they run on -> rows, each latency times its factor."""

    def make(
        graphs: Sequence[LayerGraph], hardware: Hardware, host: str = "h", factors: Iterable[float] | None = None
    ) -> list[MeasuredRow]:
        made = []
        for number, (graph, factor) in enumerate(zip(graphs, factors or itertools.repeat(1.0), strict=False)):
            prediction = predict(graph, hardware)
            placement = prediction.placement
            made.append(
                MeasuredRow(
                    source=f"{host}:{number}",
                    name=f"{graph.name} {number}",
                    host=host,
                    graph=graph,
                    latency_ms=prediction.latency_ms * factor,
                    on_chip_mib=placement.on_chip_bytes / MIB,
                    off_chip_mib=placement.off_chip_bytes / MIB,
                    series=graph.name,
                    size=float(graph.macs or 0),
                )
            )
        return made

    return make


@pytest.fixture(scope="session")
def published(edgetpu_data: Path) -> Problem:
    return published_problem(edgetpu_data)


@pytest.fixture(scope="session")
def predictions(published: Problem) -> list[Prediction]:
    """Of every published row."""
    return cross_validate(published)


@pytest.fixture(scope="session")
def validation(edgetpu_data: Path, published: Problem) -> Validation:
    """Of the published tables, with the problem above, whose fits are made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[cross_validate.__module__], "published_problem", lambda _: published)
        return validate(edgetpu_data)
