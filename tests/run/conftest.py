"""A fixture that looks for what a test has left behind: processes, threads, descriptors, shared memory, files."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 10.0


@pytest.fixture
def nothing_left(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that wasn't there before the test is there after it; its temporary folder is its own."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    before = present()
    yield
    until = time.monotonic() + PATIENCE_S
    while (left := present() - before) and time.monotonic() < until:
        time.sleep(0.02)
        gc.collect()  # an exception may hold the frame that held it, and so an array of a ring
    assert not left


def present() -> set[str]:
    """Children, threads, open files, mappings and named files of shared or temporary memory, each as a text."""
    found = {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}
    found |= {f"thread {thread.name}" for thread in threading.enumerate()}
    found |= {f"descriptor {number} of a count" for number in range(len(os.listdir("/proc/self/fd")))}
    mappings = Path("/proc/self/maps").read_text().splitlines()
    found |= {f"mapping {line}" for line in mappings if "memfd" in line or "(deleted)" in line}
    found |= {f"temporary file {name}" for name in os.listdir(tempfile.gettempdir())}
    # another campaign of this machine may come and go meanwhile; its scratch folder is no ring of ours
    shared = [name for name in os.listdir("/dev/shm") if not name.startswith("paraedge-work-")]  # noqa: S108
    return found | {f"shared memory {name}" for name in shared}
