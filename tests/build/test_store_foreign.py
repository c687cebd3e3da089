"""A store may come from anywhere: what was not written by this module is passed over."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from compiler_stand_in import Bench, good

from paraedge.build import store
from paraedge.build.store import Entry


def read_facts(entry: Path) -> object:
    with zipfile.ZipFile(entry) as archive:
        return json.loads(archive.read("entry.json"))


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


def test_an_entry_that_holds_no_compiled_model_is_compiled_again(bench: Bench, store_folder: Path) -> None:
    bench.plan(bench.good())
    content = good(bench.compile()).artifacts[0].path.read_bytes()
    (entry,) = store_folder.iterdir()
    with zipfile.ZipFile(entry) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(entry, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data if name == "entry.json" else b"no model at all")
    again = good(bench.compile())
    assert (again.attempts, again.artifacts[0].path.read_bytes()) == (1, content)
    assert good(bench.compile()).attempts == 0


def take(root: Path, compiler: str | None = None, options: str = "n2") -> Entry | None:
    return store.find(root / "s", "ab", options, compiler, (root / "out0", root / "out1"))


def test_an_entry_under_another_ones_name_is_passed_over(tmp_path: Path, kept: Entry) -> None:
    (entry,) = (tmp_path / "s").iterdir()
    for name in ("cd-16.0-n2.zip", "ab-17.0-n2.zip", "ab-16.0-n3.zip"):
        entry.rename(tmp_path / "s" / name)
        entry = tmp_path / "s" / name
        sha256, _, rest = name.partition("-")
        assert store.find(tmp_path / "s", sha256, rest[-6:-4], None, kept.files) is None


def rewrite(entry: Path, facts: object, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(entry, "w", compression) as archive:
        archive.writestr("entry.json", facts if isinstance(facts, str) else json.dumps(facts))
        for name, content in members.items():
            archive.writestr(name, content)


FILES = {"0.tflite": b"a" * 20, "1.tflite": b"b" * 20}
ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "no format": lambda facts: {key: value for key, value in facts.items() if key != "format"},
    "another format": lambda facts: {**facts, "format": 2},
    "no text": lambda facts: {**facts, "printed": None},
    "a number": lambda facts: {**facts, "printed": 5},
    "no options": lambda facts: {key: value for key, value in facts.items() if key != "options"},
    "a fact too many": lambda facts: {**facts, "more": 1},
    "files": lambda facts: {**facts, "files": ["/etc/passwd"]},
    "a version of words": lambda facts: {**facts, "compiler": "new"},
    "a version of other digits": lambda facts: {**facts, "compiler": "\u00b2"},
    "a long version": lambda facts: {**facts, "compiler": "9" * 200},
    "an error beside files": lambda facts: {**facts, "error": "NotQuantized", "message": "m"},
    "a list": lambda facts: [facts],
    "null": lambda _: None,
    "deep": lambda _: "[" * 100_000,
    "a long number": lambda _: "9" * 10_000,
}


@pytest.mark.parametrize("odd", ODD)
def test_facts_that_were_not_written_here_are_passed_over(tmp_path: Path, kept: Entry, odd: str) -> None:
    (entry,) = (tmp_path / "s").iterdir()
    facts = read_facts(entry)
    assert isinstance(facts, dict)
    rewrite(entry, facts, FILES)
    assert take(tmp_path) is not None
    bad = ODD[odd](facts)
    version = bad["compiler"] if isinstance(bad, dict) else "16.0"
    if len(version) < 200:
        entry = entry.rename(tmp_path / "s" / f"ab-{version}-n2.zip")
    rewrite(entry, bad, FILES)
    assert take(tmp_path) is None
    assert kept.files[0].exists()


@pytest.mark.parametrize(
    "change",
    [{"error": "TimedOut"}, {"error": 5}, {"error": None}, {"message": None}, {"message": ["m"]}, {"error": ["x"]}],
    ids=str,
)
def test_failures_that_do_not_last_are_passed_over(tmp_path: Path, kept: Entry, change: Mapping[str, object]) -> None:
    (entry,) = (tmp_path / "s").iterdir()
    facts = read_facts(entry)
    assert isinstance(facts, dict)
    good_facts = {**facts, "error": "NotQuantized", "message": "m" * 10_000}
    rewrite(entry, good_facts, {})
    taken = take(tmp_path)
    assert taken is not None
    assert len(taken.message or "") == 500
    rewrite(entry, {**good_facts, **change}, {})
    assert take(tmp_path) is None


@pytest.mark.parametrize(
    ("members", "compression"),
    [
        (FILES, zipfile.ZIP_DEFLATED),
        ({"0.tflite": bytes(1 << 24), "1.tflite": b""}, zipfile.ZIP_DEFLATED),
        ({"0.tflite": b"a"}, zipfile.ZIP_STORED),
        ({**FILES, "2.tflite": b""}, zipfile.ZIP_STORED),
        ({"../0.tflite": b"a", "1.tflite": b"b"}, zipfile.ZIP_STORED),
    ],
    ids=["compressed", "bomb", "few", "many", "elsewhere"],
)
def test_other_zip_files_are_passed_over(
    tmp_path: Path, kept: Entry, members: Mapping[str, bytes], compression: int
) -> None:
    (entry,) = (tmp_path / "s").iterdir()
    rewrite(entry, read_facts(entry), members, compression)
    assert take(tmp_path) is None
    assert not (tmp_path / "out0").exists()


def test_sizes_that_are_no_models_are_passed_over(tmp_path: Path, kept: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    assert take(tmp_path) is not None
    monkeypatch.setattr(store, "FILE_BYTES", 19)
    assert take(tmp_path) is None
    monkeypatch.setattr(store, "FILE_BYTES", 20)
    monkeypatch.setattr(store, "FACTS_BYTES", 20)
    assert take(tmp_path) is None


def test_any_byte_may_be_another(tmp_path: Path, kept: Entry) -> None:
    """The entry is then passed over, or its files are as they were."""
    (entry,) = (tmp_path / "s").iterdir()
    whole = entry.read_bytes()
    for place in range(len(whole)):
        for value in {0, 0xFF, whole[place] ^ 1, whole[place] ^ 0x80} - {whole[place]}:
            entry.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            if take(tmp_path) is not None:
                assert (tmp_path / "out0").read_bytes() + (tmp_path / "out1").read_bytes() == b"a" * 20 + b"b" * 20


def test_a_pipe_or_a_folder_in_place_of_an_entry(tmp_path: Path, kept: Entry) -> None:
    (entry,) = (tmp_path / "s").iterdir()
    entry.unlink()
    os.mkfifo(entry)
    assert take(tmp_path) is None
    entry.unlink()
    entry.mkdir()
    assert take(tmp_path) is None
