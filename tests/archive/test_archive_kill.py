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
    for _ in range(30):
        before = len(said)
        said.update(kill(start(folder), random_.uniform(0, 0.06)))
        assert len(said) > before
        torn = (folder / "runs.csv").read_bytes()
        assert len(read_campaign(folder).attempts) == torn.count(b"\n") - 1
        with open_archive(folder) as archive:
            assert len(archive.done) - len(said) in (0, 1)  # a row may be there before its writer could say so
        runs = whole(folder)
        nodes = [int(run["node"]) for run in runs]
        assert nodes == list(range(1, len(nodes) + 1))
        said = set(nodes)
    meta = json.loads((folder / "meta.json").read_text())
    assert sum(entry["ended"] is None for entry in meta["invocations"]) == 30


@pytest.mark.parametrize("moment", range(12))
def test_killed_while_it_begins(
    tmp_path: Path, open_archive: Callable[..., Archive], whole: Callable[[Path], list[dict[str, str]]], moment: int
) -> None:
    """Each step of the first opening, one by one: the folder must open afterwards."""
    script = f"""
import os, signal, sys
steps = 0
def count(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate") and {str(tmp_path)!r} in str(arguments[0]):
        steps += 1
        if steps == {moment + 2}:
            os.kill(os.getpid(), signal.SIGKILL)
import paraedge.archive
sys.addaudithook(count)
sys.argv = ["writer", {str(tmp_path / "campaign")!r}, "3"]
exec(compile(open({str(WRITER)!r}).read(), {str(WRITER)!r}, "exec"), {{"__name__": "__main__", "__file__": {str(WRITER)!r}}})
"""
    subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, check=False)
    with open_archive(tmp_path / "campaign") as archive:
        assert len(archive.done) in range(4)
    whole(tmp_path / "campaign")


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
        kill(writer, 0) if writer.send_signal(signal.SIGCONT) is None else None
    open_archive(folder).close()
