"""The device in meta.json is that of the first good sample; later ones that differ carry a warning."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from paraedge.archive import Archive, make_row, read_campaign
from paraedge.archive.first_device import FirstDevice
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.outcome import Block, Failure, Measurement, Outcome
from paraedge.core.spec import ModelSpec
from paraedge.models.matmul import MatmulParams

TARGET = Target(device="edgetpu:0")
FOUND = DeviceInfo(
    id="edgetpu:0", origin=Origin.MEASURED, batch_mode="looped", link="USB 2", link_mbit_per_s=480, port="USB 2-1"
)
OPENED = dataclasses.replace(
    FOUND,
    link="USB 3",
    link_mbit_per_s=5000,
    runtime="libedgetpu std",
    runtime_version="16.0",
    details={"option": "usb:0"},
)
BAD = Failure(stage="open", error="DeviceBusy", message="no")


def good(info: DeviceInfo) -> Measurement:
    return Measurement(device=info, blocks=(Block(invokes=1, duration_ns=1000),), stop_reason="precision")


def call(folder: Path, *outcomes: Outcome) -> list[Outcome]:
    """One call of a campaign: its rows are appended; returns them as they were compared."""
    told = []
    with Archive.open(folder, sweep_name="x", sweep_text="x", parameters=["n"]) as book:
        if "devices" not in book.meta:
            book.update_meta(devices={TARGET.label(): FOUND})
        device = FirstDevice(book, TARGET)
        for outcome in outcomes:
            told.append(device.compare(outcome))
            device.keep(outcome)
            number = len(book.done) + 1
            spec = ModelSpec(family="matmul", params=MatmulParams(n=number))
            book.append(
                make_row(
                    spec=spec, target=TARGET, round=1, attempt=1, outcome=told[-1], origin=Origin.MEASURED,
                    batch_mode="looped",
                )
            )  # fmt: skip
    return told


def kept(folder: Path) -> Any:
    return read_campaign(folder).meta["devices"]["edgetpu:0"]


def warnings(outcome: Outcome) -> tuple[str, ...]:
    assert isinstance(outcome, Measurement)
    return outcome.warnings


def test_the_first_good_sample_replaces_what_was_found_before(tmp_path: Path) -> None:
    _, first, second = call(tmp_path, BAD, good(OPENED), good(OPENED))
    assert warnings(first) == warnings(second) == ()
    assert (kept(tmp_path)["link"], kept(tmp_path)["runtime_version"]) == ("USB 3", "16.0")
    assert kept(tmp_path)["details"] == {"option": "usb:0"}


@pytest.mark.parametrize("calls", [1, 2])
def test_a_device_that_changes_is_a_warning_and_the_first_stays(tmp_path: Path, calls: int) -> None:
    other = dataclasses.replace(OPENED, port="USB 1-4", link="USB 2", link_mbit_per_s=480)
    outcomes = [good(OPENED), good(other)]
    told = call(tmp_path, *outcomes) if calls == 1 else [call(tmp_path, one)[0] for one in outcomes]
    assert warnings(told[0]) == ()
    assert warnings(told[1]) == (
        "port is USB 1-4, was USB 2-1 at the first sample",
        "link is USB 2, was USB 3 at the first sample",
        "link_mbit_per_s is 480, was 5000 at the first sample",
    )
    assert kept(tmp_path)["port"] == "USB 2-1"
    cells = read_campaign(tmp_path).runs["warnings"].tolist()
    assert "link_mbit_per_s is 480" in cells[1]


def test_a_call_without_a_good_sample_leaves_the_first_to_the_next(tmp_path: Path) -> None:
    call(tmp_path, BAD)
    assert kept(tmp_path)["link"] == "USB 2"
    (told,) = call(tmp_path, good(OPENED))
    assert warnings(told) == ()
    assert kept(tmp_path)["link"] == "USB 3"


def test_what_is_unknown_differs_from_nothing(tmp_path: Path) -> None:
    call(tmp_path, good(FOUND))
    (told,) = call(tmp_path, good(dataclasses.replace(FOUND, runtime_version="16.0", link_mbit_per_s=None)))
    assert warnings(told) == ()
