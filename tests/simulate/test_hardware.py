"""Hardware files: the shipped ones, a user's own, and every kind of bad one."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from paraedge.core.errors import BadInput
from paraedge.simulate import hardware_names, load_hardware
from paraedge.simulate.constants import OF_PIPELINES, UNITS
from paraedge.simulate.hardware import SHIPPED
from paraedge.simulate.hardware_file import parse_hardware

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOOD = (SHIPPED / "sim-edgetpu-usb3.toml").read_text()


def test_shipped_names() -> None:
    names = {"sim-edgetpu-pcie", "sim-edgetpu-usb3", "sim-edgetpu-usb2", "sim-edgetpu-devboard"}
    assert set(hardware_names()) == names
    for name in names:
        hardware = load_hardware(name)
        assert hardware.name == name
        assert hardware is load_hardware(name)  # read once


@pytest.mark.parametrize("name", hardware_names())
def test_every_constant_has_unit_and_public_source(name: str) -> None:
    hardware = load_hardware(name)
    assert set(hardware.sources) == set(UNITS)
    for key, constant in hardware.sources.items():
        assert constant.value == getattr(hardware, key)
        assert len(constant.source) > 5
        assert not re.search(r"(^|\s)/\w|shared/|\.csv", constant.source + constant.note)


RESIDUALS: dict[str, Any] = {
    "regime": "convolutions, on chip",
    "device": "sim-edgetpu-usb3",
    "rows": 12,
    "median_ape": 0.03,
    "p90_ape": 0.1,
    "within_10": 0.9,
    "bias": -0.01,
    "spread": 1.2,
    "spread_outside": 1.5,
    "ops": ["CONV_2D"],
    "macs": [1, 1000000],
    "parameter_bytes": [0, 1e6],
    "input_bytes": [3, 3],
    "output_bytes": [10, 20.5],
}
GONE = object()


def edited(path: str, value: object) -> dict[str, Any]:
    """A shipped file's table with residuals, and the value at `a.b.c` changed, or taken out where it is GONE."""
    table: dict[str, Any] = {**tomllib.loads(GOOD), "residuals": [dict(RESIDUALS)]}
    *folders, key = path.split("/")
    place: Any = table
    for folder in folders:
        place = place[int(folder) if isinstance(place, list) else folder]
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    return table


def test_residuals_are_read_as_written() -> None:
    found = parse_hardware(edited("summary", "mine"), source="mine.toml")
    assert found.summary == "mine"
    seen = found.residuals["convolutions, on chip"]
    assert (seen.rows, seen.bias, seen.ops, seen.output_bytes) == (12, -0.01, ("CONV_2D",), (10.0, 20.5))


CLOCK = "constants/clock_mhz"


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("name", "usb3", "must begin with 'sim-'"),
        ("name", "", "name must be a text"),
        ("name", GONE, "name must be a text"),
        ("colour", 3, "unknown key 'colour'"),
        ("link_mbit_per_s", -1, "positive whole number"),
        ("link_mbit_per_s", 5e3, "positive whole number"),
        ("link_mbit_per_s", True, "positive whole number"),
        ("constants", 3, "[constants] is missing"),
        ("constants", GONE, "[constants] is missing"),
        ("constants/clock_ghz", {}, "unknown constant 'clock_ghz'"),
        (CLOCK, GONE, "clock_mhz is missing"),
        (CLOCK, 500, "write it as a table"),
        (f"{CLOCK}/unit", "GHz", "must be 'MHz'"),
        (f"{CLOCK}/source", " ", "must be a text"),
        (f"{CLOCK}/note", 3, "must be a text"),
        (f"{CLOCK}/value", 0, "must be above 0"),
        (f"{CLOCK}/value", -3, "must be above 0"),
        ("constants/overhead_ms/value", -1e-9, "must be above 0"),
        (f"{CLOCK}/value", math.nan, "must be a number"),
        (f"{CLOCK}/value", math.inf, "must be a number"),
        (f"{CLOCK}/value", 10**400, "must be a number"),
        (f"{CLOCK}/value", True, "must be a number"),
        (f"{CLOCK}/value", "500", "must be a number"),
        (f"{CLOCK}/value", GONE, "must be a number"),
        (f"{CLOCK}/low", 600, "outside its interval"),
        (f"{CLOCK}/high", 400, "outside its interval"),
        (f"{CLOCK}/mean", 3, "unknown key 'mean'"),
        ("constants/most_fetches/value", 0.5, "at least once"),
        ("residuals", {}, "written as [[residuals]]"),
        ("residuals", [3], "residuals 1: must have the keys"),
        ("residuals", [RESIDUALS, RESIDUALS], "residuals 2: 1 <= spread <= spread_outside, and a regime has one table"),
        ("residuals/0/spread", GONE, "must have the keys"),
        ("residuals/0/spreads", 1, "must have the keys"),
        ("residuals/0/spread", 0.99, "1 <= spread"),
        ("residuals/0/spread_outside", 1.1, "1 <= spread"),
        ("residuals/0/spread", "wide", "spread must be a number"),
        ("residuals/0/rows", True, "rows must be a number"),
        ("residuals/0/bias", math.nan, "bias must be a number"),
        ("residuals/0/regime", "", "regime must be a text"),
        ("residuals/0/device", 3, "device must be a text"),
        ("residuals/0/ops", "CONV_2D", "ops must be a list"),
        ("residuals/0/ops", [3], "ops must be a text"),
        ("residuals/0/macs", 3, "macs must be a list"),
        ("residuals/0/macs", [3], "must be two numbers, the smaller first"),
        ("residuals/0/macs", [3, 2], "must be two numbers, the smaller first"),
        ("residuals/0/macs", [3, "4"], "macs must be a number"),
    ],
)
def test_bad_files_get_one_line_that_says_what_is_wrong(path: str, value: object, text: str) -> None:
    with pytest.raises(BadInput, match=re.escape(text)) as caught:
        parse_hardware(edited(path, value), source="mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"constants = 3", b"[[" * 5000, b"x = 1", b"[constants.clock_mhz"]
)
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"mine\.toml"):
        load_hardware(path)


def test_a_file_that_is_older_than_pipelines_takes_over_what_was_measured(tmp_path: Path) -> None:
    """It says so beside each, keeps what it does say, and no other constant may be missing."""
    older = re.sub(rf"\[constants\.({'|'.join(OF_PIPELINES)})\]\n(.+\n)+\n?", "", GOOD)
    path = tmp_path / "mine.toml"
    path.write_text(older)
    hardware, measured = load_hardware(path), load_hardware("sim-edgetpu-pcie")
    for name in OF_PIPELINES:
        assert hardware.values[name] == measured.values[name]
        assert "the file has none" in hardware.sources[name].source
        assert (hardware.sources[name].low, hardware.sources[name].high) == (None, None)
    path.write_text(older + '\n[constants.host_ms]\nvalue = 0\nunit = "ms"\nsource = "my own clock"\n')
    assert (load_hardware(path).host_ms, load_hardware(path).idle_ms) == (0, measured.idle_ms)
    path.write_text(older.replace("[constants.overhead_ms]", "[constants.host_ms]"))
    with pytest.raises(BadInput, match=r"overhead_ms is missing"):
        load_hardware(path)


@pytest.mark.parametrize("name", ["sim-edgetpu", "", "cpu", "../x", "nowhere/mine.toml", "a\0b", "x" * 5000, "."])
def test_unknown_names(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_hardware(name)
    assert "\n" not in str(caught.value)


def test_folder_of_the_users_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.toml").write_text(GOOD.replace("sim-edgetpu-usb3", "sim-mine"))
    (tmp_path / "b.toml").write_text(GOOD)  # the name of a shipped one
    (tmp_path / "c.toml").write_text("nonsense")
    monkeypatch.setenv("PARAEDGE_HARDWARE", str(tmp_path))
    assert hardware_names()[-1] == "sim-mine"
    assert load_hardware("sim-mine").name == "sim-mine"
    assert len(hardware_names()) == 5
    (tmp_path / "a.toml").write_text(GOOD.replace("sim-edgetpu-usb3", "sim-renamed"))
    assert hardware_names()[-1] == "sim-renamed"
    monkeypatch.setenv("PARAEDGE_HARDWARE", str(tmp_path / "nowhere"))
    assert len(hardware_names()) == 4
