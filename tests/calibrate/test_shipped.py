"""The shipped hardware files are made by `paraedge calibrate` from the published tables, where these are present."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.simulate.hardware import SHIPPED

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def flat(value: Any, key: str = "") -> dict[str, object]:
    """Every number and text of a TOML table by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {key: value}
    return {name: leaf for part, item in items for name, leaf in flat(item, f"{key}.{part}").items()}


@pytest.mark.parametrize("name", ["pcie", "usb3", "usb2", "devboard"])
def test_a_shipped_file_is_made_again(name: str, edgetpu_data: Path, tmp_path: Path) -> None:
    device = f"sim-edgetpu-{name}"
    out = tmp_path / f"{device}.toml"
    result = CliRunner().invoke(app, ["calibrate", str(edgetpu_data), "--base", device, "-o", str(out)])
    assert result.exit_code == 0, (result.stderr, result.exception)
    made, shipped = (flat(tomllib.loads((folder / out.name).read_text())) for folder in (tmp_path, SHIPPED))
    assert made.keys() == shipped.keys()
    for key, value in shipped.items():
        number = isinstance(value, int | float)
        assert made[key] == (pytest.approx(value, rel=1e-6) if number else value), key


def test_every_shipped_file_is_tested() -> None:
    assert sorted(path.stem for path in SHIPPED.glob("*.toml")) == sorted(
        f"sim-edgetpu-{name}" for name in ("pcie", "usb3", "usb2", "devboard")
    )
