"""Fixtures shared by all rooms."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def edgetpu_data() -> Path:
    """The folder of published Edge TPU data and models; skips where it is absent (set PARAEDGE_DATA to name it)."""
    folder = Path(os.environ.get("PARAEDGE_DATA", REPOSITORY.parent / "shared" / "edgetpu"))
    if not (folder / "synthetic_sweeps.csv").is_file():
        pytest.skip(f"no Edge TPU data at {folder}; name its folder in PARAEDGE_DATA")
    return folder
