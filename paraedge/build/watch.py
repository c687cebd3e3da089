"""Runs a foreign program so that nothing of it outlives us. Started by `compiler.run_watched`, never by hand.

`python -I -S watch.py STATUS PROGRAM ARGUMENT...` is the head of its own process group. When the program ends, its exit
code goes to the descriptor STATUS as text (or why it couldn't be started); when standard input ends, since whoever
holds its other end died or gave up, there is none. Either way all that descends from this process is killed, and it
with it: on Linux also what left the group (`setsid`), elsewhere the group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
END_S, PAUSE_S = 5.0, 0.005
"""Most time for the end: a process in an uninterruptible wait can't be killed, and must not hang us."""
ENDING = threading.Lock()
"""Taken once, by whichever end comes first, and never given back."""


def main(status: int, command: list[str]) -> None:
    """Run `command` until it ends or standard input does."""
    if os.getpgrp() != os.getpid():
        sys.exit("watch.py must be the head of its own process group")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here, a core dump is not
    if LINUX:  # an orphan among our descendants becomes our child
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    threading.Thread(target=_wait, args=(status, command), daemon=True).start()
    os.read(0, 1)
    ENDING.acquire()
    _end()


def _wait(status: int, command: list[str]) -> None:
    try:
        code = str(subprocess.Popen(command, stdin=subprocess.DEVNULL).wait())
    except (OSError, ValueError) as error:
        code = f"{command[0]}: {getattr(error, 'strerror', None) or error}"
    ENDING.acquire()
    os.write(status, code.encode(errors="replace"))
    _end()


def _end() -> None:
    """Kill our children until there are none left, those of the killed having become ours; then the group."""
    with contextlib.suppress(ChildProcessError):
        deadline = time.monotonic() + END_S
        while LINUX and time.monotonic() < deadline:
            for pid in _children():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(PAUSE_S)
    os.killpg(0, signal.SIGKILL)


def _children() -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            _state, parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[:2]
            if int(parent) == os.getpid():
                yield int(folder.name)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
