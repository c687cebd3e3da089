"""Hardware files: the shipped ones, a user's own, and every kind of bad one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paraedge.core.errors import BadInput
from paraedge.simulate import hardware_names, load_hardware
from paraedge.simulate.hardware import SHIPPED, UNITS

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


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('name = "sim-edgetpu-usb3"', 'name = "usb3"', "must begin with 'sim-'"),
        ('name = "sim-edgetpu-usb3"', 'name = ""', "name must be a text"),
        ('name = "sim-edgetpu-usb3"', "colour = 3", "unknown key 'colour'"),
        ("link_mbit_per_s = 5000", "link_mbit_per_s = -1", "positive whole number"),
        ("[constants.clock_mhz]", "[constants.clock_ghz]", "unknown constant 'clock_ghz'"),
        ('unit = "MHz"', 'unit = "GHz"', "must be 'MHz'"),
        ("value = 500\n", "value = 0\n", "must be above 0"),
        ("value = 500\n", "value = -3\n", "must be above 0"),
        ("value = 500\n", "value = nan\n", "must be a number"),
        ("value = 500\n", f"value = 1{'0' * 400}\n", "must be a number"),
        ("value = 500\n", "value = true\n", "must be a number"),
        ("value = 500\n", "", "must be a number"),
        ("value = 500\n", "value = 500\nlow = 600\n", "outside its interval"),
        ("value = 500\n", "value = 500\nmean = 3\n", "unknown key 'mean'"),
        ("value = 8\n", "value = 0.5\n", "at least once"),
        ("[constants.clock_mhz]", "[constants.clock_mhz", "not a TOML file"),
    ],
)
def test_bad_files_get_one_line_that_says_what_is_wrong(tmp_path: Path, old: str, new: str, text: str) -> None:
    assert old in GOOD
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BadInput, match=re.escape(text)) as caught:
        load_hardware(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"constants = 3", b"[[" * 5000, b"x = 1"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"mine\.toml"):
        load_hardware(path)


def test_missing_constant(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(re.sub(r"\[constants\.overhead_ms\].*?(?=\n\[|\Z)", "", GOOD, flags=re.DOTALL))
    with pytest.raises(BadInput, match="overhead_ms is missing"):
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
