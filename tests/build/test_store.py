"""Compiled models kept by content: found again, shared, and never believed when damaged."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from compiler_stand_in import Attempt, Bench, good

from paraedge.build import CompileOptions, store
from paraedge.build.store import Entry


def test_the_same_content_is_compiled_once(bench: Bench) -> None:
    bench.plan(bench.good())
    first = good(bench.compile())
    content = first.artifacts[0].path.read_bytes()
    bench.model = bench.model.rename(bench.root / "renamed.tflite")
    bench.out = bench.root / "elsewhere"
    second = good(bench.compile())
    assert (second.attempts, bench.attempts) == (0, 1)
    assert second.artifacts[0].path == bench.out / "renamed_edgetpu.tflite"
    assert second.artifacts[0].path.read_bytes() == content
    assert (second.placement, second.report) == (first.placement, first.report)
    assert good(bench.compile(use_store=False)).attempts == 1


def test_compiling_anew_replaces_what_was_kept(bench: Bench) -> None:
    bench.plan(Attempt(text="Model not quantized\n", exit=1), bench.good())
    assert [bench.failure().error for _ in range(2)] == ["NotQuantized"] * 2
    assert bench.attempts == 1
    assert good(bench.compile(use_store=False)).attempts == 1
    assert good(bench.compile()).attempts == 0


def test_other_content_options_or_compilers_are_compiled_again(bench: Bench) -> None:
    bench.plan(bench.good())
    bench.compile()
    bench.compile(CompileOptions(minimum_runtime=13))
    assert bench.attempts == 2
    with bench.model.open("ab") as file:
        file.write(b"\0")
    bench.compile()
    assert bench.attempts == 3
    bench.plan(bench.good(), version="15.0.340273435")
    assert good(bench.compile()).compiler == "15.0.340273435"
    assert bench.attempts == 1


def test_a_host_without_a_compiler_takes_what_the_newest_made(bench: Bench) -> None:
    for version in ("2.1.302470888", "16.0.384591198", "15.0.340273435"):
        bench.plan(bench.good(), version=version)
        good(bench.compile())
    bench.no_compiler()
    assert good(bench.compile()).compiler == "16.0.384591198"
    assert bench.failure(CompileOptions(segments=2)).error == "NoCompiler"


def test_a_store_that_cannot_be_written_is_no_failure(bench: Bench, store_folder: Path) -> None:
    store_folder.parent.mkdir(parents=True)
    store_folder.write_text("a file")
    bench.plan(bench.good())
    assert good(bench.compile()).attempts == 1
    assert good(bench.compile()).attempts == 1


def test_what_was_unused_for_longest_goes_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target, root = tmp_path / "source", tmp_path / "target", tmp_path / "s"
    source.write_bytes(bytes(1000))
    monkeypatch.setattr(store, "LIMIT_BYTES", 4000)

    def put(name: str) -> None:
        store.put(root, Entry(sha256=name, compiler="16.0", options="n1", printed="", files=(source,)))

    def kept() -> set[str]:
        return {path.name[0] for path in root.iterdir()}

    for age, name in enumerate("abc"):
        put(name)
        os.utime(root / f"{name}-16.0-n1.zip", (age, age))
    assert store.find(root, "a", "n1", None, (target,)) is not None
    put("d")
    assert kept() == {"a", "c", "d"}
    put("e")
    assert kept() == {"a", "d", "e"}


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert store.default_store() == tmp_path / "cache" / "compiled"
    monkeypatch.delenv("PARAEDGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert store.default_store() == Path("/x/paraedge/compiled")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert store.default_store() == Path("/h/.cache/paraedge/compiled")


def test_a_user_without_a_home_has_no_store(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PARAEDGE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert store.default_store() is None
    bench.plan(bench.good())
    assert [good(bench.compile()).attempts for _ in range(2)] == [1, 1]


def take(root: Path, compiler: str | None = None, options: str = "n2") -> Entry | None:
    return store.find(root / "s", "ab", options, compiler, (root / "out0", root / "out1"))


FAILED: Mapping[str, Any] = {"files": (), "error": "NotQuantized", "message": "m"}


def test_compiled_files_come_before_failures_and_newer_versions_before_older(tmp_path: Path, kept: Entry) -> None:
    store.put(tmp_path / "s", dataclasses.replace(kept, compiler="17.0", **FAILED))
    taken = take(tmp_path)
    assert taken is not None
    assert (taken.compiler, taken.error) == ("16.0", None)
    assert (tmp_path / "out1").read_bytes() == b"b" * 20
    newer = take(tmp_path, "17.0")
    assert newer is not None
    assert (newer.error, newer.message, newer.files) == ("NotQuantized", "m", ())
    for version in ("9.9.9", "16.0.1"):
        store.put(tmp_path / "s", dataclasses.replace(kept, compiler=version))
    taken = take(tmp_path)
    assert taken is not None
    assert taken.compiler == "16.0.1"
    assert take(tmp_path, "15.0") is None


def test_of_failures_alone_the_newest_is_told(tmp_path: Path, kept: Entry) -> None:
    for version in ("2.1", "17.0", "16.0"):
        store.put(tmp_path / "s", dataclasses.replace(kept, compiler=version, **FAILED))
    taken = take(tmp_path)
    assert taken is not None
    assert (taken.compiler, taken.error) == ("17.0", "NotQuantized")


def test_a_result_that_cannot_be_written_is_told(
    tmp_path: Path, kept: Entry, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError):
        store.find(tmp_path / "s", "ab", "n2", None, (tmp_path / "no" / "0", tmp_path / "no" / "1"))
    bench.plan(bench.good())
    good(bench.compile())
    bench.no_compiler()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store.shutil, "copyfileobj", full)
    found = bench.failure()
    assert (found.error, found.message) == ("OSError", "No space left on device")


@pytest.mark.parametrize("clock", ["of the host", "of the file"])
def test_a_clock_before_1980_is_no_harm(tmp_path: Path, clock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"model")
    if clock == "of the file":
        os.utime(source, (0, 0))
    else:
        local = time.localtime
        monkeypatch.setattr(time, "localtime", lambda *_: local(0))
    entry = Entry(sha256="ab", compiler="16.0", options="n1", printed="", files=(source,))
    store.put(tmp_path / "s", entry)
    taken = store.find(tmp_path / "s", "ab", "n1", None, (tmp_path / "out",))
    assert taken == dataclasses.replace(entry, files=(tmp_path / "out",))


def test_the_same_entry_is_the_same_bytes(tmp_path: Path, kept: Entry) -> None:
    for file in kept.files:
        os.utime(file, (1e9, 1e9))
    store.put(tmp_path / "again", kept)
    (first,), (second,) = (tmp_path / "s").iterdir(), (tmp_path / "again").iterdir()
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError, OSError])
def test_a_writer_that_is_ended_leaves_nothing(
    tmp_path: Path, kept: Entry, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def end(*_: object, **__: object) -> None:
        raise error

    before = sorted((tmp_path / "s").iterdir())
    monkeypatch.setattr(zipfile.ZipFile, "writestr", end)
    if issubclass(error, (OSError, ValueError)):
        store.put(tmp_path / "s", dataclasses.replace(kept, compiler="17.0"))
    else:
        with pytest.raises(error):
            store.put(tmp_path / "s", dataclasses.replace(kept, compiler="17.0"))
    assert sorted((tmp_path / "s").iterdir()) == before


def test_parts_of_writers_that_were_killed_are_deleted(tmp_path: Path, kept: Entry) -> None:
    dead, alive = tmp_path / "s" / ".dead.part", tmp_path / "s" / ".alive.part"
    for part in (dead, alive):
        part.write_bytes(b"half")
    os.utime(dead, (1e9, 1e9))
    store.put(tmp_path / "s", kept)
    assert sorted((tmp_path / "s").iterdir()) == [alive, tmp_path / "s" / "ab-16.0-n2.zip"]


def _write_and_read(folder: str, number: int) -> int:
    """Put and find the same entry again and again; how often what was found was not whole."""
    root, bad = Path(folder), 0
    source = root / f"source{number}"
    source.write_bytes(bytes([number]) * 200_000)
    for _ in range(30):
        store.put(root / "s", Entry(sha256="ab", compiler="16.0", options="n1", printed="p", files=(source,)))
        target = root / f"target{number}"
        found = store.find(root / "s", "ab", "n1", "16.0", (target,))
        bad += found is None or len(set(target.read_bytes())) != 1 or target.stat().st_size != 200_000
    return bad


def test_many_processes_at_once_see_whole_entries(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.starmap(_write_and_read, [(str(tmp_path), number) for number in range(3)]) == [0, 0, 0]
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["ab-16.0-n1.zip"]
