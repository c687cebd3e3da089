"""Archive: the one writer of a campaign's folder. Append-only, and whole after a kill at any moment."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from paraedge.archive.columns import names, run_columns
from paraedge.archive.lines import csv_line, replace_file, temporary_path
from paraedge.archive.lock import LOCK, FolderLock
from paraedge.archive.meta import META, RESERVED, Json, new_meta, plain, read_meta, write_meta
from paraedge.archive.repair import DETAILS, RUNS, SAMPLES_FILE, STAGES_FILE, repair
from paraedge.archive.row import Key, Row
from paraedge.core.errors import BadCampaign, ParaedgeError, short


class Archive:
    """A campaign that is being written: made by `Archive.open`, left by `close` or the end of its `with`."""

    def __init__(self, folder: Path, header: Sequence[str], meta: dict[str, Json], lock: FolderLock) -> None:
        self.folder = folder
        self._lock: FolderLock | None = lock
        self._header = tuple(header)
        self._names = frozenset(header)
        self._meta = meta
        self._attempts: dict[Key, int] = {}
        self._failed: set[Key] = set()
        self._cuts: dict[Key, tuple[int, ...]] = {}
        for line in repair(folder, header):
            self._count(line.key, line.attempt, failed=line.failed)
            if line.cuts is not None:
                self._cuts[line.key] = line.cuts
        self._files = {name: _Appender(folder / name) for name in (SAMPLES_FILE, RUNS)}
        self._started = time.monotonic()
        self._rows = 0
        self._timed_s = 0.0
        self._note_invocation(started=_now(), ended=None)

    @classmethod
    def open(cls, folder: Path, *, sweep_name: str, sweep_text: str, parameters: Sequence[str]) -> Archive:
        """Create the campaign of a sweep in `folder`, or resume it there.

        parameters: the sweep's parameters, in the order of their columns. Raises BadCampaign for a folder of something
        else, of another or of an edited sweep; DeviceBusy where another process writes it.
        """
        header = names(run_columns(parameters))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(folder)
            lock = FolderLock(folder)
        except OSError as error:
            raise BadCampaign(f"can't use {folder} as a campaign's folder: {error.strerror}; choose another") from None
        try:
            meta = _own_meta(folder, sweep_name, sweep_text, parameters)
            return cls(folder, header, meta, lock)
        except OSError as error:
            lock.release()
            raise ParaedgeError(f"can't write {folder}: {error.strerror}") from None
        except BaseException:
            lock.release()
            raise

    @property
    def done(self) -> Set[Key]:
        """Keys that have a row, good or failed."""
        return self._attempts.keys()

    @property
    def failed(self) -> Set[Key]:
        """Keys whose last attempt failed."""
        return self._failed

    @property
    def cuts(self) -> Mapping[Key, tuple[int, ...]]:
        """Where the good pipelines were cut that were there when the campaign was opened."""
        return self._cuts

    @property
    def meta(self) -> dict[str, Any]:
        """The sections of meta.json as they are now; a copy of the outermost level."""
        return dict(self._meta)

    def next_attempt(self, key: Key) -> int:
        """1 for a key without a row, else one more than its last."""
        return self._attempts.get(key, 0) + 1

    def append(self, row: Row) -> None:
        """Write a row's samples and stages, then the row: each in one piece, on its way to the disk at the return.

        Raises ParaedgeError where the disk refuses (what was written before stays whole), ValueError for a row with
        cells that the sweep has no column for, and for an attempt that is already there.
        """
        if not self._names.issuperset(row.cells):
            raise ValueError(f"no columns for {sorted(set(row.cells) - self._names)}")
        if row.attempt < self.next_attempt(row.key):
            raise ValueError(f"attempt {row.attempt} at {row.key} is already there")
        samples = "".join(
            f"{row.run_id},{number},{block.invokes},{block.duration_ns}\n" for number, block in enumerate(row.blocks)
        ).encode()
        stages = "".join(csv_line([row.run_id, *line]) for line in row.stages).encode()
        line = csv_line(map(row.cells.get, self._header)).encode()
        self._write({SAMPLES_FILE: samples, STAGES_FILE: stages, RUNS: line})
        self._count(row.key, row.attempt, failed=row.status == "failed")
        self._rows += 1
        self._timed_s += row.timed_s

    def _write(self, lines: Mapping[str, bytes]) -> None:
        """All of them or none, in order."""
        try:
            for name, data in lines.items():
                if data:
                    self._file(name).write(data)
        except BaseException as error:  # an interrupt too: whoever catches it and goes on must not find half a row
            for file in reversed(self._files.values()):
                file.undo()
            if isinstance(error, OSError):
                raise ParaedgeError(f"can't write {self.folder}: {error.strerror}; rows so far are kept") from None
            raise
        for name, data in lines.items():
            if data:
                self._files[name].keep(len(data))

    def _file(self, name: str) -> _Appender:
        """An open table; stages.csv is there from the first pipeline on."""
        if name not in self._files:
            if not (self.folder / name).exists():
                replace_file(self.folder / name, csv_line(names(DETAILS[name])).encode())
            self._files[name] = _Appender(self.folder / name)
        return self._files[name]

    def update_meta(self, **sections: object) -> None:
        """Replace sections of meta.json (`environment`, `roofs`, `devices`, `timing`, ...) in one step.

        Values may hold dataclasses, enumerations, paths and tuples; keys the archive writes itself raise ValueError.
        """
        taken = RESERVED.intersection(sections)
        if taken:
            raise ValueError(f"sections {sorted(taken)} are the archive's own")
        self._meta.update({name: plain(value) for name, value in sections.items()})
        self._write_meta()

    def close(self) -> None:
        """Bring everything to the disk, note the end of this invocation and let others in; twice is once."""
        if self._lock is None:
            return
        lock, self._lock = self._lock, None
        with contextlib.ExitStack() as last:
            last.callback(lock.release)
            for file in self._files.values():
                last.callback(file.close)
            self._note_invocation(ended=_now())

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count(self, key: Key, attempt: int, *, failed: bool) -> None:
        self._attempts[key] = max(attempt, self._attempts.get(key, 0))
        (self._failed.add if failed else self._failed.discard)(key)

    def _note_invocation(self, **facts: Json) -> None:
        """Begin or end the last entry of `invocations`; one that was killed keeps `ended: null`."""
        found = self._meta.get("invocations")
        invocations = list(found) if isinstance(found, list) else []
        if "started" in facts:
            invocations.append({})
        last = invocations[-1] if invocations else {}
        if isinstance(last, dict):
            wall_s = time.monotonic() - self._started
            counts: dict[str, Json] = {
                "rows": self._rows,
                "wall_s": round(wall_s, 3),
                "timed_s": round(self._timed_s, 3),
            }
            invocations[-1] = {**last, **facts, **counts}
        self._meta["invocations"] = invocations
        self._write_meta()

    def _write_meta(self) -> None:
        try:
            write_meta(self.folder, self._meta)
        except OSError as error:
            raise ParaedgeError(f"can't write {self.folder / META}: {error.strerror}") from None


class _Appender:
    """A file that is only added to. What is written counts once it is kept; before, it can be undone."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        """One write where the system takes all at once; a full disk takes a part and refuses the rest."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def keep(self, size: int) -> None:
        self._size += size

    def undo(self) -> None:
        os.ftruncate(self._fd, self._size)

    def close(self) -> None:
        os.fsync(self._fd)
        os.close(self._fd)


def _refuse_foreign(folder: Path) -> None:
    """A folder is ours with a meta.json, or fresh with nothing but what a kill before the first one leaves."""
    if (folder / META).is_file():
        return
    ours = {LOCK, temporary_path(folder / META).name}
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in ours)
    if foreign:
        listed = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise BadCampaign(
            f"{folder} is not a campaign: it has {short(listed, 100)} but no {META}; choose another folder"
        )


def _own_meta(folder: Path, name: str, text: str, parameters: Sequence[str]) -> dict[str, Json]:
    """The campaign's meta.json, written here if the folder is fresh; raises BadCampaign if it is another sweep's."""
    _refuse_foreign(folder)
    for file in (META, RUNS, *DETAILS):
        temporary_path(folder / file).unlink(missing_ok=True)
    if not (folder / META).is_file():
        write_meta(folder, new_meta(name, text, parameters))
    meta = read_meta(folder)
    if meta["name"] != name:
        raise BadCampaign(
            f"{folder} holds the campaign {meta['name']!r}, not {name!r}; choose another folder or delete it"
        )
    difference = _first_difference(str(meta["sweep"]), text)
    if difference:
        raise BadCampaign(
            f"{folder} holds {name!r} as it was before the sweep file was edited ({difference}); "
            "choose another folder, restore the sweep or delete the folder"
        )
    described = new_meta(name, text, parameters)
    return {**meta, **{section: described[section] for section in ("columns", "stages_columns")}}


def _first_difference(old: str, new: str) -> str | None:
    """Where two sweep texts differ, line ends aside, for people."""
    old_lines, new_lines = old.splitlines(), new.splitlines()
    if old_lines == new_lines:
        return None
    number = next((i for i, pair in enumerate(zip(old_lines, new_lines, strict=False)) if pair[0] != pair[1]), None)
    if number is None:
        number = min(len(old_lines), len(new_lines))
    was, now = ((lines[number] if number < len(lines) else "nothing") for lines in (old_lines, new_lines))
    return f"line {number + 1} was {short(was, 60)!r} and is {short(now, 60)!r}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
