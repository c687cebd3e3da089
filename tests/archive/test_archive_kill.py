"""A real writer, killed with SIGKILL again and again."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from paraedge.archive import Archive, read_campaign
from paraedge.core.errors import DeviceBusy

WRITER = Path(__file__).with_name("writer.py")
ROWS = 40_000


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(WRITER), str(folder), str(ROWS)], stdout=subprocess.PIPE, text=True)


def kill(writer: subprocess.Popen[str], after_s: float) -> list[int]:
    """Kill it so long after its first row; the rows it said it had written."""
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(after_s)
    writer.send_signal(signal.SIGKILL)
    said = [int(line) for line in [first, *writer.stdout] if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    return said


def test_killed_thirty_times_and_resumed(
    tmp_path: Path, open_archive: Callable[..., Archive], whole: Callable[[Path], list[dict[str, str]]]
) -> None:
    folder, random_, said = tmp_path / "campaign", random.Random(2), set[int]()
    for attempt in range(30):
        before = len(said)
        said.update(kill(start(folder), random_.uniform(0, 0.02)))
        assert len(said) > before
        if attempt % 6 == 0:
            assert len(read_campaign(folder).attempts) == (folder / "runs.csv").read_bytes().count(b"\n") - 1
        with open_archive(folder) as archive:
            assert len(archive.done) - len(said) in (0, 1)  # a row may be there before its writer could say so
        runs = whole(folder)
        nodes = [int(run["node"]) for run in runs]
        assert nodes == list(range(1, len(nodes) + 1))
        said = set(nodes)
    meta = json.loads((folder / "meta.json").read_text())
    assert sum(entry["ended"] is None for entry in meta["invocations"]) == 30


COUNTING = """
import os, signal, sys
folder, writer, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
steps = 0
def count(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate") and folder in str(arguments[0]):
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
import paraedge.archive
sys.addaudithook(count)
sys.argv = ["writer", folder, "3"]
exec(compile(open(writer).read(), writer, "exec"), {"__name__": "__main__", "__file__": writer})
"""


def test_killed_before_each_step_of_its_first_opening(
    tmp_path: Path, open_archive: Callable[..., Archive], whole: Callable[[Path], list[dict[str, str]]]
) -> None:
    for step in range(1, 100):
        folder = tmp_path / f"campaign{step}"
        command = [sys.executable, "-c", COUNTING, str(folder), str(WRITER), str(step)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        with open_archive(folder) as archive:
            assert len(archive.done) in range(4)
        whole(folder)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert step > 12


def test_a_second_writer_is_refused_and_told_who_has_it(tmp_path: Path, open_archive: Callable[..., Archive]) -> None:
    folder = tmp_path / "campaign"
    writer = start(folder)
    assert writer.stdout is not None
    writer.stdout.readline()
    writer.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(DeviceBusy, match=f"being written by process {writer.pid}"):
            open_archive(folder)
    finally:
        writer.send_signal(signal.SIGCONT)
        kill(writer, 0)
    open_archive(folder).close()
