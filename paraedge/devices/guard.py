"""What a child does to itself before anything else: it dies with its parent, and stays within its memory.

And the name of what ended it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
WATCH_S = 0.5


def die_with_parent(parent: int) -> None:
    """End this process when the process `parent` ends, even inside native code.

    On Linux the kernel sends SIGKILL when the *thread* that started this process ends: start children from a thread
    that outlives them. Elsewhere a thread looks for the parent twice a second; native code that holds Python's global
    lock for long would delay it, LiteRT's invoke doesn't.
    """
    by_kernel = sys.platform == "linux" and _ask_kernel()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)
    if not by_kernel:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def limit_memory(memory_mb: int | None) -> None:
    """Have allocations beyond `memory_mb` MiB fail in this process. None: no limit.

    Linux counts private writable memory (RLIMIT_DATA), so libraries and a mapped model file don't; elsewhere it is
    the whole address space.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here, gigabytes of core dump are not
    if memory_mb is None:
        return
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, most = resource.getrlimit(kind)
    limit = memory_mb << 20
    resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def signal_name(number: int) -> str:
    """`SIGSEGV` of 11."""
    try:
        return signal.Signals(number).name
    except ValueError:  # the real-time signals have no names of their own
        return f"signal {number}"


def _ask_kernel() -> bool:
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0)
    return False


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)
