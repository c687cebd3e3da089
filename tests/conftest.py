"""Fixtures shared by all rooms."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Device locks of the tests' own: a campaign of the same user on this machine is no failure of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session")
def edgetpu_data() -> Path:
    """The folder of published Edge TPU data and models; skips where it is absent (set PARAEDGE_DATA to name it)."""
    folder = Path(os.environ.get("PARAEDGE_DATA", REPOSITORY.parent / "shared" / "edgetpu"))
    if not (folder / "synthetic_sweeps.csv").is_file():
        pytest.skip(f"no Edge TPU data at {folder}; name its folder in PARAEDGE_DATA")
    return folder


@pytest.fixture(scope="session")
def edgetpu_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delegate in C that stands in for libedgetpu behind real LiteRT; skips where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler: the delegate for real LiteRT can't be built; the Python stand-in is tested anyway")
    made = tmp_path_factory.mktemp("direct") / "libedgetpu.so.1"
    source = REPOSITORY / "tests" / "devices" / "stand_in_delegate.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source)], check=True)
    return made
