"""Compiled models kept by content: found again, shared, and never believed when damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import zipfile
from pathlib import Path

import pytest
from compiler_stand_in import Bench, good

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


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "flipped", "no facts", "other facts", "no model"])
def test_a_damaged_entry_is_compiled_again(bench: Bench, store_folder: Path, damage: str) -> None:
    bench.plan(bench.good())
    content = good(bench.compile()).artifacts[0].path.read_bytes()
    (entry,) = store_folder.iterdir()
    whole = entry.read_bytes()
    middle = whole.index(content) + len(content) // 2
    simple = {
        "empty": b"",
        "garbage": b"garbage",
        "cut": whole[:-30],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
    }
    if damage in simple:
        entry.write_bytes(simple[damage])
    else:
        facts = {"no facts": None, "other facts": [1], "no model": read_facts(entry)}[damage]
        with zipfile.ZipFile(entry, "w") as archive:
            if facts is not None:
                archive.writestr("entry.json", json.dumps(facts))
    again = good(bench.compile())
    assert again.attempts == 1
    assert again.artifacts[0].path.read_bytes() == content
    assert good(bench.compile()).attempts == 0


def read_facts(entry: Path) -> object:
    with zipfile.ZipFile(entry) as archive:
        return json.loads(archive.read("entry.json"))


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
