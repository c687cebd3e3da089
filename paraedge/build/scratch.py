"""A folder for models that live as long as their measurement: in memory where the machine offers it, else on disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from paraedge.build.builders import DIRECT, Maker
from paraedge.core.outcome import Failure

PREFIX = "paraedge-work-"
MEMORY = Path("/dev/shm")  # noqa: S108  a private folder is made inside
ROOM_BYTES = 4 << 30
"""Free space asked of the memory file system: a model of 2 GiB and the interpreter's copy of it."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the models of one run share: the folder for their files, what makes them, and what failed to compile."""

    folder: Path
    maker: Maker = DIRECT
    failed: dict[str, Failure] = field(default_factory=dict)


@contextlib.contextmanager
def work_folder(*, in_memory: bool = True) -> Iterator[Path]:
    """A private folder, in memory if that has room, deleted at the end; first, those of processes that were killed."""
    root = MEMORY if in_memory and _has_room(MEMORY) else Path(tempfile.gettempdir())
    _remove_abandoned(root)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_room(root: Path) -> bool:
    try:
        stat = os.statvfs(root)
    except (OSError, AttributeError):
        return False
    return os.access(root, os.W_OK) and stat.f_bavail * stat.f_frsize >= ROOM_BYTES


def _remove_abandoned(root: Path) -> None:
    for folder in root.glob(f"{PREFIX}*"):
        pid = folder.name[len(PREFIX) :].split("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
