"""Appending, resuming and refusing."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from paraedge.archive import Archive, Row
from paraedge.archive.columns import SCHEMA_VERSION, run_columns
from paraedge.core.errors import BadCampaign, DeviceBusy, ParaedgeError

Open = Callable[..., Archive]
Make = Callable[..., Row]
Whole = Callable[[Path], "list[dict[str, str]]"]


def test_resumed_campaign_knows_what_is_done_and_what_failed(
    tmp_path: Path, make: Make, open_archive: Open, whole: Whole
) -> None:
    folder = tmp_path / "deep" / "campaign"
    with open_archive(folder) as archive:
        archive.append(make(1))
        archive.append(make(2, error="no"))
        archive.append(make(1, number=2))
        expected = {make(1).key, make(2).key, make(1, number=2).key}
        assert (archive.done, archive.failed) == (expected, {make(2).key})
    with open_archive(folder) as archive:
        assert (archive.done, archive.failed) == (expected, {make(2).key})
        assert [archive.next_attempt(make(node).key) for node in (1, 2, 9)] == [2, 2, 1]
        archive.append(make(2, attempt=2))
        assert archive.failed == set()
    with open_archive(folder) as archive:
        assert (archive.done, archive.failed, archive.next_attempt(make(2).key)) == (expected, set(), 3)
    assert [run["attempt"] for run in whole(folder)] == ["1", "1", "1", "2"]


def test_row_is_refused_twice_and_with_unknown_cells(tmp_path: Path, make: Make, open_archive: Open) -> None:
    row = make(1)
    strange = Row(
        run_id="r", key=row.key, attempt=2, status="ok", origin=row.origin, cells={**row.cells, "speed": 1}, blocks=()
    )
    with open_archive(tmp_path / "c") as archive:
        archive.append(row)
        with pytest.raises(ValueError, match="already there"):
            archive.append(row)
        with pytest.raises(ValueError, match="speed"):
            archive.append(strange)


def test_samples_are_the_blocks(tmp_path: Path, make: Make, open_archive: Open) -> None:
    row = make(5, blocks=4)
    with open_archive(tmp_path / "c") as archive:
        archive.append(row)
    _, *lines = csv.reader((tmp_path / "c" / "samples.csv").read_text().splitlines())
    assert lines == [[row.run_id, str(i), str(b.invokes), str(b.duration_ns)] for i, b in enumerate(row.blocks)]


def test_samples_are_written_before_their_run_each_in_one_piece(
    tmp_path: Path, make: Make, open_archive: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    write = os.write
    with open_archive(tmp_path) as archive, monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: written.append(bytes(data)) or write(fd, data))
        archive.append(make(1, blocks=3))
    samples, run = written
    assert samples.count(b"\n") == 3
    assert samples.endswith(b"\n")
    assert run.count(b"\n") == 1
    assert run.endswith(b"\n")


class FullDisk:
    """Stands before os.write: lets so many bytes through, then says the disk is full."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room, self.error, self.write = room, error, os.write

    def __call__(self, fd: int, data: bytes) -> int:
        if self.room <= 0:
            raise self.error
        written = self.write(fd, bytes(data)[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 10, 90, 91, 200])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_full_disk_or_interrupt_leaves_whole_rows(
    tmp_path: Path,
    make: Make,
    open_archive: Open,
    whole: Whole,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    error: Exception,
) -> None:
    expected = ParaedgeError if isinstance(error, OSError) else KeyboardInterrupt
    with open_archive(tmp_path / "c") as archive:
        archive.append(make(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", FullDisk(room, error))
            with pytest.raises(expected):
                archive.append(make(2))
        assert make(2).key not in archive.done
        archive.append(make(2))
        archive.append(make(3))
    assert [run["node"] for run in whole(tmp_path / "c")] == ["1", "2", "3"]


def test_another_sweep_is_refused(tmp_path: Path, make: Make, open_archive: Open) -> None:
    folder = tmp_path / "c"
    with open_archive(folder, text="a = 1\nb = 2\n") as archive:
        archive.append(make(1))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(BadCampaign, match="holds the campaign 'test', not 'other'"):
        open_archive(folder, name="other", text="a = 1\nb = 2\n")
    with pytest.raises(BadCampaign, match="line 2 was 'b = 2' and is 'b = 3'"):
        open_archive(folder, text="a = 1\nb = 3\n")
    with pytest.raises(BadCampaign, match="line 3 was 'nothing' and is 'c = 1'"):
        open_archive(folder, text="a = 1\nb = 2\nc = 1\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    open_archive(folder, text="a = 1\r\nb = 2\r\n").close()


def test_other_parameters_are_refused(tmp_path: Path, open_archive: Open) -> None:
    open_archive(tmp_path / "c").close()
    with pytest.raises(
        BadCampaign, match=r"line 1 is not the header of this sweep \(lacks n; has layer, node, widths\)"
    ):
        Archive.open(tmp_path / "c", sweep_name="test", sweep_text='name = "test"\n', parameters=["n"])


def test_foreign_folder_is_refused_and_left_alone(tmp_path: Path, open_archive: Open) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(BadCampaign, match=r"is not a campaign: it has thesis\.tex but no meta\.json"):
        open_archive(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_or_a_closed_folder_is_refused(tmp_path: Path, open_archive: Open) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadCampaign, match="can't use"):
            open_archive(folder)


@pytest.mark.parametrize("left_over", [[], [".lock"], [".meta.json.tmp"], [".lock", ".meta.json.tmp"]])
def test_what_a_kill_before_the_first_meta_leaves_is_fresh(
    tmp_path: Path, make: Make, open_archive: Open, whole: Whole, left_over: list[str]
) -> None:
    for name in left_over:
        (tmp_path / name).write_text("123456")
    with open_archive(tmp_path) as archive:
        archive.append(make(1))
    assert len(whole(tmp_path)) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "not that of a campaign"),
        ('{"name": "test"}', "not that of a campaign"),
        (f'{{"schema_version": {SCHEMA_VERSION + 1}, "name": "test", "sweep": ""}}', "newer paraedge"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_meta_that_is_not_ours_is_refused(tmp_path: Path, open_archive: Open, text: str, message: str) -> None:
    open_archive(tmp_path).close()
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(BadCampaign, match=message):
        open_archive(tmp_path)


class Colour(str, Enum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    size: float
    colour: Colour


def test_meta_holds_sections_and_columns(tmp_path: Path, make: Make, open_archive: Open) -> None:
    with open_archive(tmp_path) as archive:
        archive.update_meta(things=(Thing(1.5, Colour.RED), Thing(float("nan"), Colour.RED)), where=Path("/x"))
        archive.update_meta(where={"a": {3, 1}})
        archive.append(make(2, blocks=5))
        assert archive.meta["where"] == {"a": [1, 3]}
        with pytest.raises(ValueError, match="the archive's own"):
            archive.update_meta(columns=[])
    meta = json.loads((tmp_path / "meta.json").read_text())
    assert meta["things"] == [{"size": 1.5, "colour": "red"}, {"size": None, "colour": "red"}]
    assert meta["sweep"] == 'name = "test"\n'
    header = (tmp_path / "runs.csv").read_text().split("\n")[0].split(",")
    assert [column["name"] for column in meta["columns"]] == header
    assert header == [column.name for column in run_columns(meta["parameters"])]
    (invocation,) = meta["invocations"]
    assert invocation["rows"] == 1
    assert invocation["timed_s"] == pytest.approx(
        sum(block.duration_ns for block in make(2, blocks=5).blocks) / 1e9, abs=1e-3
    )
    assert invocation["ended"] >= invocation["started"]


def test_same_process_is_refused_too_and_let_in_after_the_end(tmp_path: Path, open_archive: Open) -> None:
    archive = open_archive(tmp_path)
    with pytest.raises(DeviceBusy, match=f"process {os.getpid()}"):
        open_archive(tmp_path)
    archive.close()
    archive.close()
    open_archive(tmp_path).close()
