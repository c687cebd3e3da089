"""What the commands write while they work, and how they write values."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from paraedge.cli import output, progress
from paraedge.flow import Progress

SWEEP = """
name = "tiny"
devices = ["sim-edgetpu-usb3"]
[[grid]]
family = "fc"
input = 64
layer = [2, 3]
node = [32, 64]
output = 10
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(SWEEP)
    return path


def events(count: int) -> Iterator[Progress]:
    for done in range(1, count + 1):
        yield Progress(
            done=done, total=count, label=f"fc layer={done}", device="cpu", round=1, status="ok", elapsed_s=done / 100
        )


def test_progress_elsewhere_is_a_few_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.shown() as listener:
        for event in events(1000):
            listener(event)
    out, err = capsys.readouterr()
    assert out == ""
    assert 1 <= len(err.splitlines()) <= 3
    assert "1000/1000" in err


def test_progress_on_a_terminal_is_a_bar_with_the_point_rate_and_time_left(sweep: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "paraedge", "run", str(sweep), "--out", str(sweep.parent / "out")]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=follower, text=True, env={**os.environ, "TERM": "xterm"}
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the child's end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    assert child.communicate(timeout=60)[0]
    text = shown.decode(errors="replace")
    assert "4/4" in text
    assert "rows/s" in text
    assert " left" in text


def test_each_phase_of_a_model_is_drawn_where_a_narrow_terminal_shows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one may stand for minutes, however soon it followed the one before."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    phases = ("starting TensorFlow", "building the Keras model", "converting")
    with progress.shown() as listener:
        for phase in phases:
            listener(
                Progress(
                    done=0, total=6, label="fc input=64 " * 9, device="tensorflow", round=None, status=phase,
                    elapsed_s=0.01,
                )
            )  # fmt: skip
    shown = capsys.readouterr().err
    assert all(f"tensorflow, {phase}" in shown for phase in phases)


def test_stopped_by_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(
        SWEEP.replace('["sim-edgetpu-usb3"]', '["cpu"]').replace("[2, 3]", "{ min = 1, max = 400, plus = 1 }")
    )
    command = [sys.executable, "-m", "paraedge", "run", str(path), "--out", str(tmp_path / "out")]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},  # no lock shared with a campaign of the user
    )
    runs = tmp_path / "out" / "runs.csv"
    while child.poll() is None and not (runs.is_file() and runs.read_bytes().count(b"\n") > 1):
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert err.strip().splitlines()[-1] == "paraedge: stopped; run the same command to go on"
    assert "Traceback" not in err


def test_json_has_no_nan_and_no_foreign_types() -> None:
    assert output.plain({"a": float("nan"), "b": float("inf"), "c": (1, None), "d": Path("x")}) == {
        "a": None, "b": None, "c": [1, None], "d": "x",
    }  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(8.4, "8 s"), (125, "2 min 05 s"), (11_400, "3 h 10 min")])
def test_durations(seconds: float, text: str) -> None:
    assert output.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(None, ""), (5, "5 B"), (2048, "2.0 KiB"), (3 * 2**30, "3.00 GiB")])
def test_bytes(count: int | None, text: str) -> None:
    assert output.quantity_bytes(count) == text


def test_the_rate_is_that_of_late() -> None:
    """A thousand points in the first second and one a second since: sixty seconds for the sixty that are left."""
    rate, text = progress.Rate(), ""
    seconds = [done / 1000 if done <= 1000 else float(done - 999) for done in range(1, 1041)]
    for done, elapsed_s in enumerate(seconds, start=1):
        text = rate.text(
            Progress(done=done, total=1100, label="", device="", round=1, status="ok", elapsed_s=elapsed_s)
        )
    assert text == "1 rows/s, 1 min 00 s left"
