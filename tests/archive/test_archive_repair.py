"""Every way a kill can cut the files, and damage that no kill explains."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paraedge.archive import Archive, Row, read_campaign
from paraedge.core.errors import BadCampaign

Whole = Callable[[Path], "list[dict[str, str]]"]


@pytest.fixture
def campaign(tmp_path: Path, make: Callable[..., Row], open_archive: Callable[..., Archive]) -> Path:
    """Five rows of three blocks, the third failed."""
    folder = tmp_path / "campaign"
    with open_archive(folder) as archive:
        for node in range(1, 6):
            archive.append(make(node, error='out of "memory", é' if node == 3 else None))
    return folder


def last_lines(data: bytes, count: int) -> int:
    """Where the last lines begin."""
    return len(data) - sum(len(line) for line in data.splitlines(keepends=True)[::-1][:count])


@pytest.fixture
def pipelines(tmp_path: Path, make: Callable[..., Row], open_archive: Callable[..., Archive]) -> Path:
    """Five rows: whole models and pipelines, one failed; a device with a name that needs quotes."""
    folder = tmp_path / "pipelines"
    with open_archive(folder) as archive:
        for node in range(1, 6):
            archive.append(piped(make, node))
    return folder


def piped(make: Callable[..., Row], node: int) -> Row:
    segments = {1: None, 2: 2, 3: 3, 4: 2, 5: 3}[node]
    return make(node, segments=segments, error="no" if node == 3 else None, device='a "cpu", b')


@pytest.mark.parametrize("file", ["runs.csv", "samples.csv", "stages.csv"])
def test_pipelines_cut_within_and_around_their_last_lines(
    pipelines: Path, make: Callable[..., Row], open_archive: Callable[..., Archive], whole: Whole, file: str
) -> None:
    data = (pipelines / file).read_bytes()
    ends = [last_lines(data, count) for count in range(5 if file == "stages.csv" else 3)]
    within = [(begin + end) // 2 for end, begin in itertools.pairwise(ends)]
    for length in [*within, *ends[1:], *(end + 1 for end in ends[1:]), *(end - 1 for end in ends[:-1])]:
        copy = pipelines.with_name("copy")
        shutil.copytree(pipelines, copy)
        (copy / file).write_bytes(data[:length])
        read_campaign(copy).stages()
        with open_archive(copy) as archive:
            for node in range(1, 6):
                if piped(make, node).key not in archive.done:
                    assert node >= 4
                    archive.append(piped(make, node))
        assert sorted(int(run["node"]) for run in whole(copy)) == [1, 2, 3, 4, 5]
        shutil.rmtree(copy)


def test_stages_that_are_all_gone_do_not_take_the_runs_with_them(
    pipelines: Path, make: Callable[..., Row], open_archive: Callable[..., Archive]
) -> None:
    before = (pipelines / "runs.csv").read_bytes()
    (pipelines / "stages.csv").unlink()
    assert read_campaign(pipelines).stages().empty
    with open_archive(pipelines) as archive:
        assert len(archive.done) == 5
        assert (pipelines / "runs.csv").read_bytes() == before
        archive.append(make(6, segments=2))
    assert len(read_campaign(pipelines).stages()) == 2


def test_a_bad_line_in_stages(pipelines: Path, open_archive: Callable[..., Archive]) -> None:
    edited(lambda lines: lines.insert(3, b"what,is,this\n"), pipelines / "stages.csv")
    with pytest.raises(BadCampaign, match=r"stages\.csv: line 4"):
        open_archive(pipelines)
    with pytest.raises(BadCampaign, match=r"stages\.csv: line 4"):
        read_campaign(pipelines).stages()


@pytest.mark.parametrize("file", ["runs.csv", "samples.csv"])
def test_cut_at_every_byte_of_the_last_two_lines(
    campaign: Path, make: Callable[..., Row], open_archive: Callable[..., Archive], whole: Whole, file: str
) -> None:
    data = (campaign / file).read_bytes()
    for length in range(last_lines(data, 2), len(data)):
        copy = campaign.with_name("copy")
        shutil.copytree(campaign, copy)
        (copy / file).write_bytes(data[:length])
        assert 0 < len(read_campaign(copy).runs) <= 5
        with open_archive(copy) as archive:
            for node in range(1, 6):
                if make(node).key not in archive.done:
                    assert node >= 4
                    archive.append(make(node))
        assert sorted(int(run["node"]) for run in whole(copy)) == [1, 2, 3, 4, 5]
        shutil.rmtree(copy)


@pytest.mark.parametrize("file", ["runs.csv", "samples.csv", "both"])
def test_cut_at_every_byte_of_the_header(
    campaign: Path, open_archive: Callable[..., Archive], whole: Whole, file: str
) -> None:
    header = (campaign / "samples.csv").read_bytes().split(b"\n")[0]
    for length in range(len(header) + 1):
        for name in ("runs.csv", "samples.csv") if file == "both" else (file,):
            data = (campaign / name).read_bytes()
            (campaign / name).write_bytes(data[:length])
        with open_archive(campaign) as archive:
            assert len(archive.done) == (5 if file == "samples.csv" else 0)
        if file != "samples.csv":
            assert whole(campaign) == []


def test_samples_that_are_all_gone_do_not_take_the_summaries_with_them(
    campaign: Path, open_archive: Callable[..., Archive]
) -> None:
    before = (campaign / "runs.csv").read_bytes()
    (campaign / "samples.csv").unlink()
    with open_archive(campaign) as archive:
        assert len(archive.done) == 5
    assert (campaign / "runs.csv").read_bytes() == before
    assert read_campaign(campaign).samples().empty


def test_orphans_go_wherever_they_are(campaign: Path, open_archive: Callable[..., Archive], whole: Whole) -> None:
    lines = (campaign / "samples.csv").read_text().splitlines(keepends=True)
    lines[4:4] = ["r000000000000000,0,1,5\n", "r000000000000000,1,1,5\n"]
    (campaign / "samples.csv").write_text("".join(lines) + "r000000000000001,0,1,5\nr0000")
    assert set(read_campaign(campaign).samples()["run_id"]).isdisjoint({"r000000000000000", "r000000000000001"})
    open_archive(campaign).close()
    assert len(whole(campaign)) == 5


def test_nothing_is_rewritten_where_nothing_is_wrong(campaign: Path, open_archive: Callable[..., Archive]) -> None:
    before = [(path.stat().st_ino, path.read_bytes()) for path in sorted(campaign.glob("*.csv"))]
    open_archive(campaign).close()
    assert [(path.stat().st_ino, path.read_bytes()) for path in sorted(campaign.glob("*.csv"))] == before


def test_saved_by_a_spreadsheet(campaign: Path, make: Callable[..., Row], open_archive: Callable[..., Archive]) -> None:
    """Carriage returns and a byte order mark: read, and resumed."""
    for file in ("runs.csv", "samples.csv"):
        data = (campaign / file).read_bytes()
        (campaign / file).write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
    with open_archive(campaign) as archive:
        assert len(archive.done) == 5
        archive.append(make(6))
    found = read_campaign(campaign)
    assert list(found.runs["node"]) == [1, 2, 3, 4, 5, 6]
    assert len(found.samples()) == 15


def edited(change: Callable[[list[bytes]], None], path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def set_line(number: int, old: bytes, new: bytes) -> Callable[[list[bytes]], None]:
    def change(lines: list[bytes]) -> None:
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)

    return change


DAMAGE = {
    "too few cells": (set_line(3, b",fc" if False else b",dense,", b","), "line 3"),
    "too many cells": (set_line(2, b"\n", b",\n"), "line 2"),
    "zero byte": (set_line(4, b"dense", b"d\0nse"), "line 4"),
    "open quote": (set_line(3, b"dense", b'"dense'), "line 3"),
    "not UTF-8": (set_line(5, b"dense", b"d\xffnse"), "line 5"),
    "header": (set_line(1, b"latency_median_ms", b"median"), "line 1"),
    "empty line": (lambda lines: lines.insert(2, b"\n"), "line 3"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_that_no_kill_explains_is_refused_by_line(
    campaign: Path, open_archive: Callable[..., Archive], kind: str
) -> None:
    change, line = DAMAGE[kind]
    edited(change, campaign / "runs.csv")
    before = (campaign / "runs.csv").read_bytes()
    for attempt in (lambda: open_archive(campaign), lambda: read_campaign(campaign)):
        with pytest.raises(BadCampaign, match=line) as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert (campaign / "runs.csv").read_bytes() == before
    assert not (campaign / ".lock").exists()


@pytest.mark.parametrize(
    ("column", "value"), [("round", "one"), ("status", "good"), ("attempt", ""), ("threads", "x"), ("inputs", "x")]
)
def test_cells_that_resuming_needs(
    campaign: Path, open_archive: Callable[..., Archive], column: str, value: str
) -> None:
    _set_cell(campaign / "runs.csv", 3, column, value)
    with pytest.raises(BadCampaign, match="line 3 is not a run"):
        open_archive(campaign)


@pytest.mark.parametrize(("column", "value"), [("round", "one"), ("latency_median_ms", "fast"), ("macs", "1.5")])
def test_cells_that_are_not_of_their_type(campaign: Path, column: str, value: str) -> None:
    _set_cell(campaign / "runs.csv", 3, column, value)
    with pytest.raises(BadCampaign, match=f"line 3: {column} is '{value}'"):
        read_campaign(campaign)


def test_bad_line_in_samples(campaign: Path, open_archive: Callable[..., Archive]) -> None:
    edited(lambda lines: lines.insert(3, b"what,is,this\n"), campaign / "samples.csv")
    with pytest.raises(BadCampaign, match=r"samples\.csv: line 4"):
        open_archive(campaign)
    with pytest.raises(BadCampaign, match=r"samples\.csv: line 4"):
        read_campaign(campaign).samples()


def _set_cell(path: Path, number: int, column: str, value: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[number - 1].split(",")
    cells[lines[0].split(",").index(column)] = value
    lines[number - 1] = ",".join(cells)
    path.write_text("".join(lines))
