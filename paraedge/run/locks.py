"""One lock a device and user: a second campaign on it waits or is refused."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from paraedge.core.errors import DeviceBusy, ParaedgeError

POLL_S = 0.1


@contextlib.contextmanager
def device_lock(device: str, *, wait_s: float = 0) -> Iterator[None]:
    """Hold the lock of `device` (its id); raises DeviceBusy when another holds it for longer than `wait_s`.

    The system releases it when the process ends, however it ends; the file stays and means nothing by itself.
    """
    path = _runtime_folder() / f"{quote(device, safe='')}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, device, path, time.monotonic() + wait_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, device: str, path: Path, deadline: float) -> None:
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= deadline:
            holder = path.read_text(errors="replace").strip() or "unknown"
            raise DeviceBusy(f"device {device} is in use by process {holder}; wait for it or end it")
        time.sleep(POLL_S)


def _runtime_folder() -> Path:
    """A folder of this user alone: XDG_RUNTIME_DIR where there is one, else in the folder for temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        folder = Path(runtime) / "paraedge"
    else:
        folder = Path(tempfile.gettempdir()) / f"paraedge-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ParaedgeError(f"{folder} belongs to another user; remove it or set XDG_RUNTIME_DIR")
    return folder
