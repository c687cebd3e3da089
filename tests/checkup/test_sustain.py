"""Sustained runs: real ones on the CPU and the stand-in, and the verdict on made-up windows."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from compiled_files import compiled_model
from edgetpu_stand_in import make_host

from paraedge import checkup, models, run
from paraedge.checkup.sustain import COLUMNS, conclusion, drift, record
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.errors import BadInput, ParaedgeError
from paraedge.core.outcome import Artifact, Job
from paraedge.core.spec import ModelSpec
from paraedge.core.window import Window
from paraedge.devices import registry
from paraedge.models.matmul import MatmulParams
from paraedge.tflite import write_model

SETTINGS = MeasureSettings(warm_up_s=0.002)


def windows(
    latencies_ms: list[float], celsius: list[float | None] | None = None, length_s: float = 1.0
) -> list[Window]:
    return [
        Window(
            end_s=number + 1.0,
            invokes=10,
            latency_median_ms=latency_ms,
            latency_p99_ms=2 * latency_ms,
            temperature_c=celsius[number] if celsius else None,
        )
        for number, latency_ms in enumerate(latencies_ms)
    ]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(write_model(models.build_graph(ModelSpec(family="matmul", params=MatmulParams(n=256), batch=2))))
    return path


# --- the verdict ---


@pytest.mark.parametrize(
    ("last", "change"), [(1.0, "steady"), (1.02, "steady"), (1.1, "slower"), (2.0, "slower"), (0.5, "faster")]
)
def test_the_last_minute_against_the_first(last: float, change: str) -> None:
    found = drift(windows([1.0] * 300 + [last] * 300))
    assert found is not None
    assert (found.change, found.first_ms, found.last_ms, found.part_s) == (change, 1.0, last, 60.0)
    assert found.ratio.value == pytest.approx(last)


@pytest.mark.parametrize(("middle", "part"), [(10, 10), (480, 60)])
def test_what_came_before_the_last_part_does_not_count(middle: int, part: int) -> None:
    """A third of ten windows, a minute of sixty; the windows between, of 5 ms, would shift the median."""
    found = drift(windows([1.0] * part + [5.0] * middle + [2.0, 3.0] * (part // 2)))
    assert found is not None
    assert (found.first_ms, found.last_ms, found.part_s) == (1.0, 2.5, part)


def test_a_short_run_is_compared_by_thirds() -> None:
    found = drift(windows([1.0] * 10 + [5.0] * 10 + [2.0] * 10))
    assert found is not None
    assert (found.first_ms, found.last_ms, found.part_s) == (1.0, 2.0, 10.0)


def test_a_few_windows_decide_nothing() -> None:
    assert drift(windows([1.0])) is None
    found = drift(windows([1.0, 1.0, 2.0]))
    assert found is not None
    assert found.change == "undecided"
    assert "run longer" in conclusion(found)


def test_noise_decides_nothing() -> None:
    found = drift(windows([1.0, 1.3, 0.8, 1.1, 0.7, 1.2] * 10 + [1.05, 1.35, 0.85, 1.15, 0.75, 1.25] * 10))
    assert found is not None
    assert found.change == "undecided"


def test_throttling_is_named_where_the_temperature_tells() -> None:
    warm: list[float | None] = [45.0] * 100 + [91.0] * 100
    found = drift(windows([1.0] * 100 + [2.0] * 100, warm))
    assert found is not None
    assert "from 45 to 91" in conclusion(found)
    assert "cool it" in conclusion(found, trip_c=85.0)
    assert "cool it" not in conclusion(found, trip_c=95.0)


def test_a_slowdown_without_a_sensor_or_without_heat_blames_none() -> None:
    slow = [1.0] * 100 + [2.0] * 100
    for celsius in (None, [45.0] * 200):
        found = drift(windows(slow, celsius))  # type: ignore[arg-type]
        assert found is not None
        assert "+100 %" in conclusion(found)
        assert "chip" not in conclusion(found)


# --- recording ---


def test_each_window_is_on_disk_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    info = registry.info("cpu")
    for number, _ in enumerate(record(path, info, iter(windows([1.0, 2.0, 3.0]))), start=1):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert len(rows) == number
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["device"] == "cpu"
    assert rows[0]["origin"] == "measured"
    assert rows[0]["temperature_c"] == ""
    assert [float(row["latency_median_ms"]) for row in rows] == [1.0, 2.0, 3.0]


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("mine")
    with pytest.raises(BadInput, match="there already"):
        next(record(path, registry.info("cpu"), iter(windows([1.0]))))
    assert path.read_text() == "mine"


# --- running ---


def test_the_cpu_under_load(model: Path) -> None:
    place = checkup.place_of("cpu")
    job = checkup.model_job(model, place.driver)
    found = list(run.sustain(place.driver, place.target, job, SETTINGS, for_s=0.6, window_s=0.2))
    assert len(found) >= 2
    ends = [window.end_s for window in found]
    assert ends == sorted(ends)
    assert ends[-1] >= 0.6
    assert all(window.invokes > 0 and 0 < window.latency_median_ms <= window.latency_p99_ms for window in found)


def test_a_module_that_gets_hot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(tmp_path, monkeypatch)
    host.pcie(celsius=45.0)
    host.behave(ms={"pci:0": 2.0}, hot_after_s=1.2)
    compiled = tmp_path / "m_edgetpu.tflite"
    compiled.write_bytes(compiled_model())
    place = checkup.place_of("edgetpu:0")
    job = checkup.model_job(compiled, place.driver)
    found = list(run.sustain(place.driver, place.target, job, SETTINGS, for_s=3.0, window_s=0.1))
    told = drift(found)
    assert told is not None
    assert told.change == "slower"
    assert (told.first_c, told.last_c) == (45.0, 91.0)
    assert "cool it" in conclusion(told, float(place.info.details["trip_c"]))


def test_a_child_that_dies_ends_the_run_with_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(tmp_path, monkeypatch)
    host.usb("2-1")
    host.behave(invoke="crash")
    compiled = tmp_path / "m_edgetpu.tflite"
    compiled.write_bytes(compiled_model())
    place = checkup.place_of("edgetpu:0")
    job = checkup.model_job(compiled, place.driver)
    with pytest.raises(ParaedgeError, match="SIGSEGV"):
        list(run.sustain(place.driver, place.target, job, SETTINGS, for_s=1.0))


def test_a_bad_model_and_a_simulated_device_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"nothing")
    job = Job(spec=None, graph=None, artifact=Artifact(path=bad, file_bytes=7, recipe="given"))
    place = checkup.place_of("cpu")
    with pytest.raises(ParaedgeError, match="load"):
        list(run.sustain(place.driver, place.target, job, SETTINGS, for_s=1.0))
    simulated = registry.find("sim-edgetpu-usb3")
    with pytest.raises(BadInput, match="simulated"):
        list(run.sustain(simulated, Target(device="sim-edgetpu-usb3"), job, SETTINGS, for_s=1.0))


def test_ctrl_c_keeps_what_was_written(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    command = ["edgetpu", "run", str(model), "--device", "cpu", "--sustain", "10min", "--out", str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "paraedge", *command],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not path.exists() or len(path.read_text().splitlines()) < 3):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said, noted = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "stopped after" in noted
    assert str(path) in said
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) >= 2
    assert all(float(row["latency_median_ms"]) > 0 for row in rows)
