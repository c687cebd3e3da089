"""Device locks between real processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paraedge.core.errors import DeviceBusy
from paraedge.run import device_lock

HOLDER = """
import sys
from paraedge.run import device_lock
with device_lock("edgetpu:0"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def holder() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout is not None
        try:
            assert it.stdout.readline() == "held\n"
            yield it
        finally:
            it.kill()


def test_second_process_is_refused_and_told_who_holds_it() -> None:
    with holder() as it:
        with pytest.raises(DeviceBusy, match=rf"edgetpu:0 is in use by process {it.pid}"), device_lock("edgetpu:0"):
            pass
        with device_lock("edgetpu:1"):
            pass


def test_lock_ends_with_its_process() -> None:
    with holder() as it:
        it.kill()
        it.wait()
        with device_lock("edgetpu:0", wait_s=5):
            pass


def test_waiting_gets_the_lock() -> None:
    with holder() as it:
        assert it.stdin is not None
        it.stdin.close()
        with device_lock("edgetpu:0", wait_s=20):
            pass


def test_same_process_is_refused_too_and_may_come_again() -> None:
    with device_lock("cpu"), pytest.raises(DeviceBusy, match=f"process {os.getpid()}"), device_lock("cpu"):
        pass
    with device_lock("cpu"):
        pass


def test_folder_and_files_are_ours_alone(runtime_folder: Path) -> None:
    with device_lock("../../evil"):
        (file,) = (runtime_folder / "paraedge").iterdir()
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_without_a_runtime_folder_the_temporary_one_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with device_lock("cpu"):
        assert (tmp_path / f"paraedge-{os.getuid()}" / "cpu.lock").is_file()
