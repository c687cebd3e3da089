"""The cache of profiled segments: foreign files, torn ends, a full disk, and writers that are killed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.errors import BadInput
from paraedge.segment.profile_cache import HEADER, ProfileCache, Visit, default_cache

WRITER = """
import hashlib, pathlib, sys
from paraedge.segment.profile_cache import ProfileCache, Visit
path, name, count = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with ProfileCache(path) as cache:
    for number in range(count):
        key = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
        if not cache.visits(key):
            cache.add(key, Visit(value_ms=1.0 + number, low_ms=1.0, high_ms=number + 1.5), "x" * (number % 200))
            print(number, flush=True)
"""
VISIT = Visit(value_ms=2.0, low_ms=1.5, high_ms=2.25)


def key(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(writer: subprocess.Popen[str]) -> list[int]:
    """The numbers of the lines that it said it had written, at its end."""
    assert writer.stdout is not None
    numbers = [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    writer.stdout.close()
    return numbers


def test_visits_are_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cache.jsonl"
    with ProfileCache(path) as cache:
        cache.add(key(1), VISIT, "model ops 0 to 3 on cpu")
        cache.add(key(1), Visit(value_ms=3.0, low_ms=3.0, high_ms=3.0), "again\nand again")
        cache.add(key(2), VISIT, "")
        before = cache.visits(key(1))
    with ProfileCache(path) as cache:
        assert cache.visits(key(1)) == before == (VISIT, Visit(value_ms=3.0, low_ms=3.0, high_ms=3.0))
        assert (cache.visits(key(2)), cache.visits(key(3))) == ((VISIT,), ())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("about") for line in lines] == [None, "model ops 0 to 3 on cpu", "again and again", ""]


def test_without_a_path_visits_last_as_long_as_the_object() -> None:
    with ProfileCache(None) as cache:
        cache.add(key(1), VISIT, "")
        assert cache.visits(key(1)) == (VISIT,)


def test_the_file_lies_beside_the_store_of_compiled_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARAEDGE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "paraedge" / "profile.jsonl"
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "mine"))
    assert default_cache() == tmp_path / "mine" / "profile.jsonl"
    ProfileCache(default_cache()).close()
    assert default_cache() == tmp_path / "mine" / "profile.jsonl"


def test_where_the_default_can_t_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no")):
        monkeypatch.setenv("PARAEDGE_CACHE", str(folder))
        assert default_cache() is None


@given(keep=st.integers(0, 1000))
def test_cut_off_anywhere_it_keeps_its_whole_lines(keep: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cut") / "cache.jsonl"
    with ProfileCache(path) as cache:
        for number in range(4):
            cache.add(key(number), VISIT, f"number {number}")
    data = path.read_bytes()
    data = data[: keep % (len(data) + 1)]
    path.write_bytes(data)
    whole = data.count(b"\n")
    with ProfileCache(path) as cache:
        assert [bool(cache.visits(key(number))) for number in range(4)] == [number < whole - 1 for number in range(4)]
        cache.add(key(9), VISIT, "")
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines[0] == HEADER
    assert len(lines) == max(whole, 1) + 1
    assert all(line.endswith(b"\n") for line in lines)


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 100, b"a,b\n1,2\n", b'{"paraedge": "profile", "format": 2}\n', HEADER.upper(), b"x", HEADER[1:]],
)
def test_a_foreign_file_is_refused_and_left_alone(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_bytes(data)
    with pytest.raises(BadInput, match="is not a cache of profiled segments; choose another file"):
        ProfileCache(path)
    assert path.read_bytes() == data


LINE = json.dumps({"key": key(1), "value_ms": 2.0, "low_ms": 1.0, "high_ms": 3.0, "about": ""})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1, 2]",
        "null",
        "\x00" * 40,
        "[" * 100_000,
        LINE.replace("2.0", "4.0"),
        LINE.replace("2.0", "NaN"),
        LINE.replace("3.0", "Infinity"),
        LINE.replace("1.0", "-1.0"),
        LINE.replace("2.0", '"2.0"'),
        LINE.replace("2.0", "2"),
        LINE.replace(key(1), "short"),
        LINE[:-9],
        LINE + LINE,
    ],
)
def test_a_damaged_line_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    path.write_bytes(HEADER + f"{LINE}\n{line}\n{LINE}\n".encode())
    with pytest.raises(BadInput, match="line 3 is not a profiled segment; remove that line or the file"):
        ProfileCache(path)
    path.write_bytes(HEADER + f"{LINE}\n{LINE}\n".encode())
    assert len(ProfileCache(path).visits(key(1))) == 2


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "pipe", Path(os.devnull), tmp_path / "file" / "cache", Path("nul\0byte")):
        with pytest.raises(BadInput, match=r"as a cache of profiled segments: .*; choose another file"):
            ProfileCache(path)


def test_a_file_that_shrinks_while_it_is_in_use_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    with ProfileCache(path) as cache:
        cache.add(key(1), VISIT, "")
        path.write_bytes(HEADER)
        with pytest.raises(BadInput, match="while it was in use"):
            cache.add(key(2), VISIT, "")


def test_two_users_see_each_others_visits_when_they_add_their_own(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    with ProfileCache(path) as one, ProfileCache(path) as two:
        one.add(key(1), VISIT, "")
        assert two.visits(key(1)) == ()
        two.add(key(2), VISIT, "")
        assert two.visits(key(1)) == two.visits(key(2)) == (VISIT,)
    with ProfileCache(path) as cache:
        assert cache.visits(key(1)) == cache.visits(key(2)) == (VISIT,)


def test_nobody_writes_while_another_does(tmp_path: Path) -> None:
    path = tmp_path / "cache.jsonl"
    with ProfileCache(path) as cache, path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        adding = threading.Thread(target=cache.add, args=(key(1), VISIT, ""))
        adding.start()
        adding.join(0.3)
        assert path.read_bytes() == HEADER
        fcntl.flock(other, fcntl.LOCK_UN)
        adding.join()
        assert path.read_bytes() != HEADER


def test_on_a_full_disk_the_file_stays_whole(tmp_path: Path) -> None:
    """The limit on a file's size cuts a line in two; that line is taken back and kept in memory."""
    path = tmp_path / "cache.jsonl"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with ProfileCache(path) as cache:
            cache.add(key(1), VISIT, "")
            size = path.stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, limit[1]))
            cache.add(key(2), VISIT, "")
            assert path.stat().st_size == size
            assert cache.visits(key(2)) == (VISIT,)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    with ProfileCache(path) as cache:
        assert (cache.visits(key(1)), cache.visits(key(2))) == ((VISIT,), ())


def test_killed_again_and_again_no_visit_is_lost_or_doubled(tmp_path: Path) -> None:
    path, draw, known = tmp_path / "cache.jsonl", random.Random(4), set[int]()
    for _ in range(15):
        writer = start(path, "a", 100_000)
        assert writer.stdout is not None
        first = int(writer.stdout.readline())
        time.sleep(draw.uniform(0, 0.02))
        writer.send_signal(signal.SIGKILL)
        known.update((first, *said(writer)))
        with ProfileCache(path) as cache:
            assert all(len(cache.visits(key("a", number))) == 1 for number in known)
            assert len(cache.visits(key("a", max(known) + 2))) == 0
    lines = path.read_bytes().splitlines()
    assert len(lines) - 1 - len(known) in range(16)  # a line may be there before its writer could say so


def test_writers_beside_each_other_don_t_harm_each_others_lines(tmp_path: Path) -> None:
    path, count = tmp_path / "cache.jsonl", 400
    steady = [start(path, name, count) for name in ("a", "b")]
    killed: set[int] = set()
    while any(writer.poll() is None for writer in steady):
        victim = start(path, "c", 100_000)
        assert victim.stdout is not None
        killed.add(int(victim.stdout.readline()))
        victim.send_signal(signal.SIGKILL)
        killed.update(said(victim))
    assert [said(writer) for writer in steady] == [list(range(count))] * 2
    with ProfileCache(path) as cache:
        assert all(len(cache.visits(key(name, number))) == 1 for name in "ab" for number in range(count))
        assert all(len(cache.visits(key("c", number))) == 1 for number in killed)
