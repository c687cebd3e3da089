"""Latencies of segments kept on disk: one line a visit, appended whole, read and written by several processes at once.

A file is locked while it is read or written; the kernel lets go of the lock when a process dies. So a last line without
its line feed is that of a writer who was killed, and whoever comes next removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paraedge.build.store import default_store
from paraedge.core.errors import BadInput, ParaedgeError, short

HEADER = b'{"paraedge": "profile", "format": 1}\n'
"""First line of the file."""
NAME = "profile.jsonl"
KEY = re.compile(r"[0-9a-f]{64}")
ABOUT_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Median latency of a segment in one visit, with its interval within the visit."""

    value_ms: float
    low_ms: float
    high_ms: float


def default_cache() -> Path | None:
    """`profile.jsonl` beside the store of compiled models.

    None for a user without a home folder, and where that file can't be written: nothing is kept then.
    """
    store = default_store()
    if store is None:
        return None
    path = store.with_name(NAME)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = path if path.exists() else path.parent
    except OSError:
        return None
    return path if os.access(found, os.R_OK | os.W_OK) else None


class ProfileCache:
    """Visits by key; a context manager. Without a path they are kept as long as the object.

    Made if absent. Raises BadInput for what is not such a file or holds a line that no kill explains, and where it
    can't be read and written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._visits: dict[str, list[Visit]] = {}
        self._end_bytes = self._lines = 0
        self._descriptor = None if path is None else _open(path)
        try:
            with self._locked() as descriptor:
                if descriptor is not None:
                    self._catch_up(descriptor)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ProfileCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; twice is once."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def visits(self, key: str) -> tuple[Visit, ...]:
        """Those of a key, in order."""
        return tuple(self._visits.get(key, ()))

    def add(self, key: str, visit: Visit, about: str) -> None:
        """Keep a visit; other processes' visits come in too. On a disk that is full it is kept in memory alone.

        key: 64 hexadecimal digits. about: for people who read the file.
        """
        said = {"key": key, **vars(visit), "about": short(about, ABOUT_CHARACTERS)}
        line = json.dumps(said).encode() + b"\n"
        with self._locked() as descriptor:
            if descriptor is not None:
                self._catch_up(descriptor)
                self._append(descriptor, line)
        self._visits.setdefault(key, []).append(visit)

    def _append(self, descriptor: int, line: bytes) -> None:
        written = 0
        with contextlib.suppress(OSError):
            written = os.pwrite(descriptor, line, self._end_bytes)
        if written == len(line):
            self._end_bytes += written
            self._lines += 1
        else:
            os.ftruncate(descriptor, self._end_bytes)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int | None]:
        """The file's descriptor, locked; None where there is no file."""
        if self._descriptor is None:
            yield None
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                yield self._descriptor
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            raise ParaedgeError(f"{self._path}: {error.strerror}; choose a file on a local disk with room") from None

    def _catch_up(self, descriptor: int) -> None:
        """Read what was appended since the last time, and remove what a killed writer left behind it."""
        size = os.fstat(descriptor).st_size
        if size < self._end_bytes:
            raise BadInput(f"{self._path} was cut or replaced while it was in use; begin again")
        if self._end_bytes == 0:
            self._begin(descriptor)
            size = os.fstat(descriptor).st_size
        data = _read(descriptor, self._end_bytes, size)
        whole, mark, torn = data.rpartition(b"\n")
        for line in whole.split(b"\n") if mark else ():
            self._lines += 1
            self._keep(line)
        self._end_bytes = size - len(torn)
        if torn:
            os.ftruncate(descriptor, self._end_bytes)

    def _begin(self, descriptor: int) -> None:
        """Read the first line, or write it where there is none or only a part of it."""
        first = _read(descriptor, 0, len(HEADER))
        if first != HEADER:
            if not HEADER.startswith(first):
                raise BadInput(f"{self._path} is not a cache of profiled segments; choose another file")
            os.ftruncate(descriptor, 0)
            if os.pwrite(descriptor, HEADER, 0) != len(HEADER):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end_bytes, self._lines = len(HEADER), 1

    def _keep(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            key, values = said["key"], [said[name] for name in ("low_ms", "value_ms", "high_ms")]
            is_visit = isinstance(key, str) and KEY.fullmatch(key) and all(type(v) is float for v in values)
            if not (is_visit and 0 < values[0] <= values[1] <= values[2] < math.inf):
                raise ValueError("not a visit")
        except (ValueError, KeyError, TypeError, RecursionError):
            raise BadInput(
                f"{self._path}: line {self._lines} is not a profiled segment; remove that line or the file"
            ) from None
        visit = Visit(low_ms=values[0], value_ms=values[1], high_ms=values[2])
        self._visits.setdefault(key, []).append(visit)


def _open(path: Path) -> int:
    """A regular file, made if absent, for reading and writing; a pipe is not waited for."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"can't use {path} as a cache of profiled segments: {reason}; choose another file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(f"can't use {path} as a cache of profiled segments: it is no regular file; choose another file")
    return descriptor


def _read(descriptor: int, start: int, end: int) -> bytes:
    """Bytes [start, end) of a file, or up to its end."""
    parts = []
    while start < end and (part := os.pread(descriptor, end - start, start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts)
