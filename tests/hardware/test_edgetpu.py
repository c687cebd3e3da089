"""Tests for the owner of an Edge TPU: `nox -s hardware`. They skip, saying so, where none is attached.

PARAEDGE_COMPILED_MODEL names a compiled model to run; without it a small one is compiled here, which needs
edgetpu_compiler. `-s` shows what was found.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from hardware import checks

from paraedge import checkup, models
from paraedge.build import build_artifact, compile_artifact
from paraedge.checkup.diagnosis import diagnose
from paraedge.checkup.model import PROBE
from paraedge.core.device import MeasureSettings
from paraedge.core.errors import ParaedgeError
from paraedge.core.outcome import Artifact, Failure, Job, Measurement
from paraedge.core.spec import ModelSpec
from paraedge.models.fc import FcParams
from paraedge.run import visit

pytestmark = pytest.mark.hardware

STREAMED = ModelSpec(family="fc", params=FcParams(input=64, layer=5, node=2048, output=10))
DEVICES = checks.attached()


@pytest.fixture(scope="session", autouse=True)
def _owner() -> None:
    if not DEVICES:
        pytest.skip("no Edge TPU is attached (`paraedge devices`)")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model named in PARAEDGE_COMPILED_MODEL, else a small one compiled here."""
    named = os.environ.get("PARAEDGE_COMPILED_MODEL")
    if named:
        return Path(named)
    try:
        return checkup.compiled_probe(tmp_path_factory.mktemp("compiled"))
    except ParaedgeError as error:
        pytest.skip(f"no compiled model: {error}; name one in PARAEDGE_COMPILED_MODEL")


@pytest.mark.parametrize("device", DEVICES or ["edgetpu:0"])
@pytest.mark.parametrize("check", checks.EACH, ids=lambda check: check.__name__)
def test_each_device(device: str, check: Callable[[str, Path], str], compiled: Path) -> None:
    print(check(device, compiled))  # noqa: T201 for whoever runs this with -s


def test_all_devices_beside_one_another(compiled: Path) -> None:
    if len(DEVICES) < 2:
        pytest.skip("one device has no brothers")
    print(checks.are_alike(DEVICES, compiled))  # noqa: T201


@pytest.mark.parametrize("device", DEVICES or ["edgetpu:0"])
@pytest.mark.parametrize("spec", [PROBE, STREAMED], ids=["on chip", "streamed"])
def test_a_model_compiled_here_against_its_prediction(device: str, spec: ModelSpec, tmp_path: Path) -> None:
    """Printed, not judged: how far off the simulator is on this host is a result."""
    graph = models.build_graph(spec)
    written = build_artifact(spec, graph, tmp_path)
    assert isinstance(written, Artifact)
    made = compile_artifact(written, graph, tmp_path)
    if isinstance(made, Failure):
        pytest.skip(made.text())
    job = Job(spec=spec, graph=graph, artifact=made)
    place = checkup.place_of(device)
    with checkup.hold([place]):
        (outcome,) = visit(place.driver, place.target, iter([job]), MeasureSettings())
    assert isinstance(outcome, Measurement), outcome.text()
    measured_ms = statistics.median(block.duration_ns / block.invokes for block in outcome.blocks) / 1e6
    found = diagnose(measured_ms, graph, outcome.device, placement=made.placement, temperature_c=outcome.temperature_c)
    assert math.isfinite(found.measured_ms)
    ratio = found.measured_ms / found.predicted_ms
    print(f"{device}: measured {measured_ms:.4g} ms, predicted {found.predicted_ms:.4g} ms, {ratio:.2f} times")  # noqa: T201
    for cause in found.causes:
        print(f"  {cause.evidence}: {cause.name}, {cause.finding}")  # noqa: T201
