"""Archive: the one writer of a campaign's folder. Append-only, and whole after a kill at any moment."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence, Set
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from paraedge.archive.columns import names, run_columns
from paraedge.archive.lines import csv_line, temporary_path
from paraedge.archive.lock import LOCK, FolderLock
from paraedge.archive.meta import META, RESERVED, Json, new_meta, plain, read_meta, write_meta
from paraedge.archive.repair import RUNS, SAMPLES_FILE, repair
from paraedge.archive.row import Key, Row
from paraedge.core.errors import BadCampaign, ParaedgeError, short


class Archive:
    """A campaign that is being written: made by `Archive.open`, left by `close` or the end of its `with`."""

    def __init__(self, folder: Path, header: Sequence[str], meta: dict[str, Json], lock: FolderLock) -> None:
        self.folder = folder
        self._lock = lock
        self._header = tuple(header)
        self._names = frozenset(header)
        self._meta = meta
        self._attempts: dict[Key, int] = {}
        self._failed: set[Key] = set()
        for line in repair(folder, header):
            self._count(line.key, line.attempt, failed=line.failed)
        self._runs = _Appender(folder / RUNS)
        self._samples = _Appender(folder / SAMPLES_FILE)
        self._begin()

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
    def meta(self) -> dict[str, Json]:
        """The sections of meta.json as they are now; a copy of the outermost level."""
        return dict(self._meta)

    def next_attempt(self, key: Key) -> int:
        """1 for a key without a row, else one more than its last."""
        return self._attempts.get(key, 0) + 1

    def append(self, row: Row) -> None:
        """Write a row's samples, then the row: each in one piece, on its way to the disk when this returns.

        Raises ParaedgeError where the disk refuses (what was written before stays whole), ValueError for a row with
        cells that the sweep has no column for, and for an attempt that is already there.
        """
        if not self._names.issuperset(row.cells):
            raise ValueError(f"no columns for {sorted(set(row.cells) - self._names)}")
        if row.attempt < self.next_attempt(row.key):
            raise ValueError(f"attempt {row.attempt} at {row.key} is already there")
        samples = "".join(
            f"{row.run_id},{number},{block.invokes},{block.duration_ns}\n" for number, block in enumerate(row.blocks)
        )
        line = csv_line(map(row.cells.get, self._header))
        try:
            self._samples.write(samples.encode())
            self._runs.write(line.encode())
        except OSError as error:
            self._undo()
            raise ParaedgeError(f"can't write {self.folder}: {error.strerror}; rows so far are kept") from None
        except BaseException:  # an interrupt between the two leaves orphans to whoever catches it and goes on
            self._undo()
            raise
        self._samples.keep()
        self._runs.keep()
        self._count(row.key, row.attempt, failed=row.status == "failed")
        self._rows += 1
        self._timed_s += row.timed_s

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
        try:
            self._end()
            self._runs.close()
            self._samples.close()
        finally:
            lock.release()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
