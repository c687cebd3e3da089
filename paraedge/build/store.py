"""Compiled models kept by content: the same bytes, compiler version and options are compiled once.

One entry is one zip file, so it appears whole or not at all, carries its own checksums, and can be copied to a board
that has no compiler. Several processes may use a store at once; the last to write an entry wins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CACHE_VARIABLE = "PARAEDGE_CACHE"
FACTS = "entry.json"
COPY_BYTES = 1 << 20
LIMIT_BYTES = 10 << 30
"""Entries beyond this are deleted, those unused for longest first: a sweep's models would fill a home folder."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What came of compiling a model once: its compiled files, in order, or the failure that it always ends in.

    sha256: of the model. options: `CompileOptions.key`. printed: the compiler's text. error, message: of the failure.
    """

    sha256: str
    compiler: str
    options: str
    printed: str
    files: tuple[Path, ...] = ()
    error: str | None = None
    message: str | None = None


def default_store() -> Path:
    """`compiled` in the folder that PARAEDGE_CACHE names, else in XDG_CACHE_HOME/paraedge or ~/.cache/paraedge."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named) / "compiled"
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "paraedge" / "compiled"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_whole(source: IO[bytes], path: Path) -> None:
    """Copy a stream into a file that is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def put(store: Path, entry: Entry) -> None:
    """Keep an entry. A store that can't be written (no space, read-only) is no reason to fail: nothing is kept then."""
    facts = {**vars(entry), "files": len(entry.files)}
    with contextlib.suppress(OSError):
        store.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=store)
        try:
            with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
                archive.writestr(FACTS, json.dumps(facts))
                for number, path in enumerate(entry.files):
                    archive.write(path, f"{number}.tflite")
            os.replace(name, store / f"{entry.sha256}-{entry.compiler}-{entry.options}.zip")
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        _make_room(store)


def _make_room(store: Path) -> None:
    """Delete the entries that were unused for longest until the rest is within the limit."""
    room_bytes = LIMIT_BYTES
    status = {path: path.stat() for path in store.glob("*.zip")}
    for path in sorted(status, key=lambda path: status[path].st_mtime_ns, reverse=True):
        room_bytes -= status[path].st_size
        if room_bytes < 0:
            path.unlink(missing_ok=True)


def find(store: Path, sha256: str, options: str, compiler: str | None, names: Sequence[Path]) -> Entry | None:
    """The entry of this model and these options, its files written under `names`; None where there is none.

    compiler: its version; None for any, the newest first and compiled files before failures. An entry that is damaged
    or has not as many files as there are names is passed over.
    """
    found = [(path, facts) for path, facts in _facts(store, sha256) if facts.get("options") == options]
    if compiler is not None:
        found = [(path, facts) for path, facts in found if facts["compiler"] == compiler]
    found.sort(key=lambda item: (item[1].get("error") is None, _release(item[1]["compiler"])), reverse=True)
    for path, facts in found:
        entry = _taken(path, facts, names)
        if entry is not None:
            return entry
    return None


def _facts(store: Path, sha256: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Each entry of this model that can be read, with what it says of itself."""
    for path in sorted(store.glob(f"{sha256}-*.zip")):
        with contextlib.suppress(*DAMAGED), zipfile.ZipFile(path) as archive:
            facts = json.loads(archive.read(FACTS))
            if facts["sha256"] == sha256 and all(isinstance(facts[name], str) for name in ("compiler", "printed")):
                yield path, facts


DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, NotImplementedError, RuntimeError)
"""What zipfile and json raise on a file that is not, or no longer, an entry."""


def _taken(path: Path, facts: Mapping[str, Any], names: Sequence[Path]) -> Entry | None:
    failed = facts.get("error") is not None
    if not failed and facts.get("files") != len(names):
        return None
    files = () if failed else tuple(names)
    try:
        with zipfile.ZipFile(path) as archive:
            for number, name in enumerate(files):
                with archive.open(f"{number}.tflite") as source:
                    write_whole(source, name)
    except DAMAGED:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # its last use
    kept = {name: facts.get(name) for name in ("sha256", "compiler", "options", "printed", "error", "message")}
    return Entry(**kept, files=files)  # type: ignore[arg-type]


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
