"""The checks of tests/hardware, on a made-up host with the stand-in: so that they work when a device comes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from compiled_files import compiled_model
from edgetpu_stand_in import Host, make_host
from hardware import checks

from paraedge.core.errors import DeviceBusy
from paraedge.devices import registry
from paraedge.run import device_lock

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = make_host(tmp_path, monkeypatch)
    host.pcie()
    host.usb("2-1")
    return host


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m_edgetpu.tflite"
    path.write_bytes(compiled_model())
    return path


@pytest.mark.parametrize("device", ["edgetpu:0", "edgetpu:1"])
@pytest.mark.parametrize("check", checks.EACH, ids=lambda check: check.__name__)
def test_each_check_holds(host: Host, model: Path, device: str, check: Callable[[str, Path], str]) -> None:
    if check is checks.is_the_runtime_s_own:
        with pytest.raises(AssertionError, match="assumed"):  # the stand-in has no list
            check(device, model)
    else:
        assert device in check(device, model)


OPENING = [check for check in checks.EACH if check is not checks.is_found]


@pytest.mark.parametrize("check", OPENING, ids=lambda check: check.__name__)
def test_a_check_leaves_a_device_alone_that_another_holds(
    host: Host, model: Path, check: Callable[[str, Path], str]
) -> None:
    with device_lock(registry.lock_name("edgetpu:1")), pytest.raises(DeviceBusy):
        check("edgetpu:1", model)
    assert host.opened() == []


def test_devices_are_compared(host: Host, model: Path) -> None:
    host.behave(ms={"pci:0": 6.0, "usb:0": 2.0})
    assert checks.attached() == ["edgetpu:0", "edgetpu:1"]
    assert "can't tell which" in checks.are_alike(checks.attached(), model, rounds=3)


def test_a_check_can_fail(host: Host, model: Path) -> None:
    host.write("sys/bus/usb/devices/2-1/speed", "unknown")
    with pytest.raises(AssertionError):
        checks.link_is_known("edgetpu:1", model)
    host.behave(invoke="crash")
    with pytest.raises(AssertionError, match="SIGSEGV"):
        checks.first_invoke_is_slowest("edgetpu:1", model)


def test_without_a_device_the_owner_s_tests_skip_and_say_why(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/hardware"]
    environment = {**os.environ, "PARAEDGE_SYSFS_ROOT": str(tmp_path)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no Edge TPU is attached" in done.stdout
    assert "passed" not in done.stdout
