"""A hardware file's text: it reads back equal, and a person can read it."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.calibrate.hardware_text import hardware_text
from paraedge.simulate import Constant, Hardware, Residuals, load_hardware
from paraedge.simulate.constants import MAY_BE_ZERO, UNITS
from paraedge.simulate.hardware import SHIPPED
from paraedge.simulate.hardware_file import parse_hardware

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST = 9e14
texts = st.text(min_size=1, max_size=20).filter(str.strip)
shares = st.floats(0, 10)
ranges = st.lists(st.floats(0, MOST), min_size=2, max_size=2).map(sorted).map(tuple)


@st.composite
def constants(draw: st.DrawFn, name: str) -> Constant:
    least = 1.0 if name == "most_fetches" else 0.0 if name in MAY_BE_ZERO else 1e-300
    value = draw(st.floats(least, MOST) | st.integers(1, 10**14).map(float))
    low, high = draw(st.none() | st.floats(0, value)), draw(st.none() | st.floats(value, MOST))
    note = draw(st.just("") | st.text(max_size=20))
    return Constant(value=value, unit=UNITS[name], source=draw(texts), note=note, low=low, high=high)


residuals = st.builds(
    Residuals,
    regime=texts,
    device=texts,
    rows=st.integers(0, 10**6),
    median_ape=shares,
    p90_ape=shares,
    within_10=st.floats(0, 1),
    bias=st.floats(-1, 10),
    spread=st.floats(1, 100),
    spread_outside=st.floats(100, 1000),
    ops=st.lists(texts, max_size=3).map(tuple),
    macs=ranges,
    parameter_bytes=ranges,
    input_bytes=ranges,
    output_bytes=ranges,
)


@st.composite
def hardwares(draw: st.DrawFn) -> Hardware:
    sources = {name: draw(constants(name)) for name in UNITS}
    found = draw(st.lists(residuals, max_size=3))
    values: dict[str, Any] = {name: constant.value for name, constant in sources.items()}
    return Hardware(
        name="sim-" + draw(st.text(max_size=10)),
        summary=draw(texts),
        interface=draw(texts),
        host=draw(texts),
        link_mbit_per_s=draw(st.none() | st.integers(1, 10**6)),
        sources=sources,
        residuals={entry.regime: entry for entry in found},
        **values,
    )


def read_back(hardware: Hardware) -> Hardware:
    data = hardware_text(hardware).encode()  # as a file holds it
    return parse_hardware(tomllib.loads(data.decode()), source="text")


@given(hardwares())
def test_any_hardware_reads_back_equal(hardware: Hardware) -> None:
    assert read_back(hardware) == hardware


@pytest.mark.parametrize(
    "text", ['a "quote"', "back\\slash", "two\nlines", "\r\n", "\x7f\x00\t", "Höhe 日本 🙂", "'''"]
)
def test_awkward_texts(text: str) -> None:
    table = tomllib.loads((SHIPPED / "sim-edgetpu-pcie.toml").read_text(encoding="utf-8"))
    table["summary"] = f"x{text}"
    table["constants"]["clock_mhz"]["note"] = text
    hardware = parse_hardware(table, source="text")
    assert read_back(hardware) == hardware


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_files_read_back_equal(path: Any) -> None:
    hardware = load_hardware(path)
    assert read_back(hardware) == hardware


def test_a_person_can_read_it() -> None:
    text = hardware_text(load_hardware("sim-edgetpu-usb3"))
    assert text.startswith("# ")
    headings = [line for line in text.splitlines() if line.startswith("[constants.")]
    assert headings == [f"[constants.{name}]" for name in UNITS]
    assert "[constants.clock_mhz]\nvalue = 500\nunit = " in text
    table = tomllib.loads(text)
    assert type(table["constants"]["wide_memory_bytes"]["value"]) is int
    assert type(table["constants"]["conv_cycles"]["value"]) is float
