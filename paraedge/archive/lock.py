"""The lock of a campaign's folder: one writer at a time; the kernel releases it when the holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from paraedge.core.errors import DeviceBusy, ParaedgeError

LOCK = ".lock"
"""The file that is locked; it holds the holder's process id and is gone after a clean end."""


class FolderLock:
    """Held from its making until `release`. Raises DeviceBusy, naming the holder, where another process has it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._fd = self._acquire()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def _acquire(self) -> int:
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(fd):
                    return fd
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).split(b"\n")[0].decode("ascii", "replace")
                os.close(fd)
                raise DeviceBusy(
                    f"{self._path.parent} is being written by {f'process {holder}' if holder else 'another process'}; "
                    "wait for its end or choose another folder"
                ) from None
            except OSError as error:
                os.close(fd)
                raise ParaedgeError(f"can't lock {self._path}: {error.strerror}; choose a local disk") from None
            os.close(fd)

    def _is_current(self, fd: int) -> bool:
        # the last holder unlinks the file: what was locked may be a file that nobody else can see any more
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let others in. Unlinked while it is still held, so that no clean campaign keeps a lock file."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)
