"""Compiled models kept by content: the same bytes, compiler version and options are compiled once.

One entry is one zip file, so it appears whole or not at all, carries its own checksums, and can be copied to a board
that has no compiler. Several processes may use a store at once; the last to write an entry wins. A store may come from
anywhere, so an entry that this module would not have written is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import struct
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from paraedge.build.compiler_failures import LASTING
from paraedge.core.errors import short

CACHE_VARIABLE = "PARAEDGE_CACHE"
FACTS = "entry.json"
FORMAT = 1
"""Of entries; those of another format are passed over."""
COPY_BYTES = 1 << 20
LIMIT_BYTES = 10 << 30
"""Entries beyond this are deleted, those unused for longest first: a sweep's models would fill a home folder."""
FACTS_BYTES = 64 << 20
FILE_BYTES = 2 << 30
"""Most that is read of each: the compiler's text is a mebibyte or two, a FlatBuffer is below 2 GiB."""
ABANDONED_S = 86_400
"""Age of a part of an entry whose writer must be dead."""
VERSION = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12}){0,5}")
DAMAGED = (OSError, EOFError, OverflowError, LookupError, RuntimeError, TypeError, ValueError, struct.error,
           zipfile.BadZipFile)  # fmt: skip
"""What zipfile and json raise on a file that is not, or no longer, an entry."""


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


def default_store() -> Path | None:
    """`compiled` in the folder that PARAEDGE_CACHE names, else in XDG_CACHE_HOME/paraedge or ~/.cache/paraedge.

    None for a user without a home folder, who has no store.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named) / "compiled"
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "paraedge" / "compiled"
    except RuntimeError:  # neither HOME nor an entry in the list of users, as in some containers
        return None


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


def put(store: Path | None, entry: Entry) -> None:
    """Keep an entry. A store that can't be written (no space, read-only) is no reason to fail: nothing is kept then."""
    if store is None:
        return
    facts = {"format": FORMAT, **{name: value for name, value in vars(entry).items() if name != "files"}}
    with contextlib.suppress(OSError, ValueError):
        store.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=store)
        try:
            with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
                archive.writestr(zipfile.ZipInfo(FACTS), json.dumps(facts))  # a ZipInfo has a fixed date
                for member, path in zip(_members(len(entry.files)), entry.files, strict=True):
                    archive.writestr(zipfile.ZipInfo(member), path.read_bytes())
            os.replace(name, store / _name(entry.sha256, entry.compiler, entry.options))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _make_room(store)


def _make_room(store: Path) -> None:
    """Delete what killed writers left, and the entries unused for longest until the rest is within the limit."""
    for part in store.glob(".*.part"):
        if part.stat().st_mtime < time.time() - ABANDONED_S:
            part.unlink(missing_ok=True)
    room_bytes = LIMIT_BYTES
    status = {path: path.stat() for path in store.glob("*.zip")}
    for path in sorted(status, key=lambda path: status[path].st_mtime_ns, reverse=True):
        room_bytes -= status[path].st_size
        if room_bytes < 0:
            path.unlink(missing_ok=True)


def find(store: Path | None, sha256: str, options: str, compiler: str | None, names: Sequence[Path]) -> Entry | None:
    """The entry of this model and these options, its files written under `names`; None where there is none.

    compiler: its version; None for any, compiled files before failures and the newest first. An entry that is damaged
    or has not as many files as there are names is passed over. Raises OSError where `names` can't be written.
    """
    found = []
    for path in [] if store is None else sorted(store.glob(_name(sha256, compiler or "*", options))):
        entry = _entry(path)
        if entry is None or _name(entry.sha256, entry.compiler, entry.options) != path.name:
            continue
        if entry.error is not None or len(entry.files) == len(names):
            found.append((path, entry))
    found.sort(key=lambda item: (item[1].error is None, _release(item[1].compiler)), reverse=True)
    for path, entry in found:
        contents = _contents(path, entry)
        if contents is None:
            continue
        for content, name in zip(contents, names, strict=False):  # a failure has no files
            write_whole(io.BytesIO(content), name)
        with contextlib.suppress(OSError):
            os.utime(path)  # its last use
        return replace(entry, files=tuple(names) if contents else ())
    return None


def _name(sha256: str, compiler: str, options: str) -> str:
    return f"{sha256}-{compiler}-{options}.zip"


def _members(count: int) -> list[str]:
    return [f"{number}.tflite" for number in range(count)]


def _entry(path: Path) -> Entry | None:
    """The entry in a file, its `files` being the names in the zip; None for one that `put` would not have written."""
    with contextlib.suppress(*DAMAGED):
        if not path.is_file():  # a pipe would be waited for
            return None
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            members = [part.filename for part in parts[1:]]
            # uncompressed, as small to read as the file is
            plain = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
            small = parts[0].file_size <= FACTS_BYTES and all(part.file_size <= FILE_BYTES for part in parts)
            if plain and small and archive.namelist() == [FACTS, *_members(len(members))]:
                return _checked(json.loads(archive.read(FACTS)), tuple(map(Path, members)))
    return None


def _checked(facts: Any, files: tuple[Path, ...]) -> Entry | None:
    """The entry that a JSON value describes, every fact of its type, with either files or a lasting failure."""
    if not isinstance(facts, dict) or facts.pop("format", None) != FORMAT:
        return None
    entry = Entry(**facts, files=files)
    if not all(isinstance(text, str) for text in (entry.sha256, entry.compiler, entry.options, entry.printed)):
        return None
    if not VERSION.fullmatch(entry.compiler):
        return None
    if files:
        return entry if entry.error is None and entry.message is None else None
    lasting = isinstance(entry.message, str) and any(entry.error == error.value for error in LASTING)
    return replace(entry, message=short(entry.message)) if lasting else None


def _contents(path: Path, entry: Entry) -> list[bytes] | None:
    """The compiled files of an entry, none for a failure; None where one is damaged."""
    with contextlib.suppress(*DAMAGED), zipfile.ZipFile(path) as archive:
        return [archive.read(file.name) for file in entry.files]
    return None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
