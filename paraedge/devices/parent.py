"""What a parent of child processes needs: the environment that it gives them, and how one of them ended."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from paraedge.devices import guard

DROPPED = frozenset(
    """PYTHONSTARTUP PYTHONINSPECT PYTHONDEBUG PYTHONVERBOSE PYTHONPROFILEIMPORTTIME PYTHONTRACEMALLOC PYTHONWARNINGS
    PYTHONASYNCIODEBUG PYTHONDEVMODE PYTHONOPTIMIZE PYTHONBREAKPOINT PYTHONMALLOCSTATS PYTHONDUMPREFS""".split()
)
"""Variables that would change how a child's interpreter behaves or prints."""

QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OPENBLAS_NUM_THREADS": "1",  # numpy's threads would run beside the timed invokes
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",  # a file of the user's folder must not stand in for a library
}


class Ending(NamedTuple):
    """How a child ended: the kind of error, `was ended by SIGSEGV` or the like, and its signal if there was one."""

    error: str
    text: str
    signal: str | None = None


def child_environment() -> dict[str, str]:
    """Ours without what would make the child's interpreter behave otherwise, and with our own search path."""
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return {**kept, **QUIET, "PYTHONPATH": path}


def kernel_kills() -> int | None:
    """How many processes the kernel has killed for lack of memory since it started, or None."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def ending(code: int | None, printed: str, kills_before: int | None) -> Ending:
    """Of a child with this exit code, negative for a signal, by what it printed last and the kernel's count before."""
    starved = any(sign in printed for sign in ("bad_alloc", "MemoryError", "out of memory", "failed to allocate"))
    if code is None or code >= 0:
        return Ending("MemoryError" if starved else "ChildEnded", f"ended with exit code {code}")
    name = guard.signal_name(-code)
    text = f"was ended by {name}"
    if name == "SIGKILL":
        by_kernel = kernel_kills() != kills_before
        text += ", by the kernel for lack of memory" if by_kernel else ", probably out of memory"
        return Ending("MemoryError" if by_kernel else "ChildKilled", text, name)
    return Ending("MemoryError", f"{text}, out of memory", name) if starved else Ending("ChildKilled", text, name)
