"""Simulated devices through the driver's door."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.core.outcome import Failure, Job, Measurement
from paraedge.devices.simulated import SimulatedDriver
from paraedge.simulate import hardware_names, load_hardware, predict
from paraedge.simulate.hardware import SHIPPED

SETTINGS = MeasureSettings()
PCIE = Target(device="sim-edgetpu-pcie")


def dense(dtype: str = "int8", op: str = "FULLY_CONNECTED") -> LayerGraph:
    quantization = Quantization(scales=(1.0,), zero_points=(0,))
    weights = SeededWeights(seed=0, stream=0, bound=1)
    tensors = (
        Tensor(name="in", shape=(1, 64), dtype=dtype, quantization=quantization),
        Tensor(name="w", shape=(32, 64), dtype=dtype, quantization=quantization, weights=weights),
        Tensor(name="out", shape=(1, 32), dtype=dtype, quantization=quantization),
    )
    layer = Layer(op=op, inputs=(0, 1, -1), outputs=(2,), options={})
    return LayerGraph(name="dense", tensors=tensors, layers=(layer,), inputs=(0,), outputs=(2,))


def test_one_simulated_device_for_each_hardware_file() -> None:
    driver = SimulatedDriver()
    found = [info for info in driver.probe() if isinstance(info, DeviceInfo)]
    assert tuple(info.id for info in found) == hardware_names()
    assert all(info.origin is Origin.SIMULATED and info.batch_mode == "looped" for info in found)
    assert not driver.isolated
    assert not driver.needs_file


def test_targets_have_no_options() -> None:
    assert SimulatedDriver().targets("sim-edgetpu-pcie", (1, 4), ("xnnpack", "builtin")) == (PCIE,)


def test_a_sample_is_one_invoke_and_keeps_its_prediction() -> None:
    session = SimulatedDriver().open(PCIE)
    graph = dense()
    outcome = session.sample(Job(spec=None, graph=graph, artifact=None), SETTINGS)
    assert isinstance(outcome, Measurement)
    expected = predict(graph, load_hardware("sim-edgetpu-pcie"))
    assert outcome.prediction == expected
    assert outcome.stop_reason == "simulated"
    [block] = outcome.blocks
    assert block.invokes == 1
    assert block.duration_ns == pytest.approx(expected.latency_ms * 1e6, abs=1)
    assert outcome.first_ns == pytest.approx((expected.first_ms or 0) * 1e6, abs=1)
    assert outcome.device.origin is Origin.SIMULATED
    session.close()


def test_float_models_are_refused_with_a_reason() -> None:
    driver = SimulatedDriver()
    assert driver.why_not(dense(), PCIE) is None
    assert driver.why_not(dense("uint8"), PCIE) is None
    assert "needs an int8 model" in (driver.why_not(dense("float32"), PCIE) or "")


def test_what_cannot_be_simulated_is_a_failure() -> None:
    session = SimulatedDriver().open(PCIE)
    for graph in (None, dense(op="GELU"), dense("float32")):
        outcome = session.sample(Job(spec=None, graph=graph, artifact=None), SETTINGS)
        assert isinstance(outcome, Failure)
        assert outcome.message


def test_roofs_come_from_the_hardware_file() -> None:
    roofs = SimulatedDriver().open(PCIE).roofs((), SETTINGS)
    assert {(roof.kind, roof.level) for roof in roofs} >= {
        ("compute", "int8"),
        ("bandwidth", "host link"),
        ("bandwidth", "on chip"),
    }
    assert sum(roof.kind == "floor" for roof in roofs) == 1


def test_unknown_device() -> None:
    with pytest.raises(BadInput, match="sim-edgetpu-pcie"):
        SimulatedDriver().open(Target(device="sim-nothing"))


def test_the_users_files_are_devices_and_bad_ones_are_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (SHIPPED / "sim-edgetpu-usb2.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("sim-edgetpu-usb2", "sim-mine"))
    (tmp_path / "bad.toml").write_text("name = 3")
    monkeypatch.setenv("PARAEDGE_HARDWARE", str(tmp_path))
    found = SimulatedDriver().probe()
    assert "sim-mine" in {info.id for info in found}
    [absence] = [info for info in found if isinstance(info, Absence)]
    assert absence.id == str(tmp_path / "bad.toml")
    assert "bad.toml" not in absence.reason  # it is named once
    assert isinstance(SimulatedDriver().open(Target(device="sim-mine")).info, DeviceInfo)


@pytest.mark.parametrize("name", ["nowhere", "a.toml"])
def test_a_folder_of_hardware_files_that_is_none_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "a.toml").write_text("")
    monkeypatch.setenv("PARAEDGE_HARDWARE", str(tmp_path / name))
    [absence] = [info for info in SimulatedDriver().probe() if isinstance(info, Absence)]
    assert absence.id == f"PARAEDGE_HARDWARE={tmp_path / name}"
    assert "irectory" in absence.reason
    assert "PARAEDGE_HARDWARE" in (absence.remedy or "")
