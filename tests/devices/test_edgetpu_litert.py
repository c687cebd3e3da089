"""Real LiteRT with a delegate written in C: the calls that a real libedgetpu gets, and a list of devices of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiled_files import compiled_model
from edgetpu_stand_in import Host, make_host

from paraedge.core.device import MeasureSettings, Target
from paraedge.core.outcome import Artifact, Failure, Job, Measurement, Outcome
from paraedge.devices import edgetpu_host, edgetpu_trial
from paraedge.devices.edgetpu import EdgeTpuDriver
from paraedge.run import visit


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgetpu_library: Path) -> Host:
    host = make_host(tmp_path, monkeypatch, library=str(edgetpu_library))
    (tmp_path / "packages" / "tflite_runtime" / "interpreter.py").write_text("raise ImportError('built for numpy 1')\n")
    host.usb("2-1")
    host.usb("2-2")
    return host


def sampled(path: Path, device: str = "edgetpu:0") -> Outcome:
    job = Job(spec=None, graph=None, artifact=Artifact(path=path, file_bytes=1, recipe="compiled"))
    settings = MeasureSettings(time_budget_s=0.05, warm_up_s=0.002)
    (outcome,) = visit(EdgeTpuDriver(), Target(device=device), iter([job]), settings)
    return outcome


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m_edgetpu.tflite"
    path.write_bytes(compiled_model())
    return path


def test_a_compiled_model_is_measured(host: Host, model: Path) -> None:
    """tflite_runtime is there and can't be imported, so LiteRT is taken."""
    outcome = sampled(model)
    assert isinstance(outcome, Measurement), outcome
    assert min(block.duration_ns / block.invokes for block in outcome.blocks) >= 2e6
    assert outcome.first_ns is not None
    assert outcome.first_ns >= 22e6
    assert outcome.device.runtime_version == "StandIn(7)"
    assert outcome.device.details["interpreter"].startswith("ai-edge-litert")


@pytest.mark.parametrize(
    ("listed", "option", "known"),
    [("2-2,2-1", "usb:1", True), ("apex_0,2-1,2-2", "usb:0", True), ("1-7", "usb:0", False), (None, "usb:0", False)],
)
def test_the_runtime_s_list_says_which_device_is_meant(
    host: Host, model: Path, listed: str | None, option: str, known: bool
) -> None:
    if listed:
        host.monkeypatch.setenv("STAND_IN_LIST", listed)
    outcome = sampled(model)
    assert isinstance(outcome, Measurement), outcome
    assert outcome.device.details["option"] == option
    assert (outcome.device.details["order"] == "the runtime's list") == known


@pytest.mark.parametrize(
    ("how", "error", "said"),
    [
        ("crash", edgetpu_trial.DelegateCrashed, "SIGSEGV"),
        ("refuse", edgetpu_trial.DelegateRefused, "no such device"),
    ],
)
def test_a_library_that_fails(host: Host, edgetpu_library: Path, how: str, error: type[Exception], said: str) -> None:
    host.monkeypatch.setenv("STAND_IN_LOAD", how)
    stick, _ = edgetpu_host.find_attached()
    with pytest.raises(error, match=said):
        edgetpu_trial.trial(stick, str(edgetpu_library), "ai_edge_litert")


def test_a_compiled_model_on_a_plain_interpreter_says_what_is_missing(host: Host, model: Path) -> None:
    """The CPU's own path, past `why_not`: LiteRT names the custom op that nobody takes."""
    from paraedge.devices.cpu import CpuDriver

    job = Job(spec=None, graph=None, artifact=Artifact(path=model, file_bytes=1, recipe="compiled"))
    (outcome,) = visit(CpuDriver(), Target(device="cpu"), iter([job]), MeasureSettings())
    assert isinstance(outcome, Failure)
    assert outcome.error == "RuntimeError"
    assert "edgetpu-custom-op" in outcome.message
