"""The Edge TPU compiler as a program: finding it, and running it so that it can neither hang us nor outlive us."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paraedge.build import watch
from paraedge.core.device import Absence
from paraedge.core.errors import short

PROGRAM = "edgetpu_compiler"
NAMED_BY = "PARAEDGE_EDGETPU_COMPILER"
PAGE = "https://coral.ai/docs/edgetpu/compiler/#download"
VERSION_TIMEOUT_S = 20.0
MARGIN_S = 20.0
"""The compiler has a time-out of its own, which tells more; ours is so much longer."""
TEXT_BYTES = 1 << 20
"""Most of its text that is kept; a real report is a few thousand bytes."""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """An edgetpu_compiler that answered with its version, such as `16.0.384591198`."""

    path: Path
    version: str


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """What the compiler is asked for.

    segments: files that the model is cut into. timeout_s: of one attempt. attempts: for failures known to be random.
    minimum_runtime: version of the runtime that the file must suit (None: the compiler's own choice).
    search_delegate: on failure, retry with fewer ops on the device, which takes long.
    """

    segments: int = 1
    timeout_s: int = 180
    attempts: int = 3
    minimum_runtime: int | None = None
    search_delegate: bool = False

    @property
    def key(self) -> str:
        """What of these changes the result, as a short text."""
        runtime = "" if self.minimum_runtime is None else f"-m{self.minimum_runtime}"
        return f"n{self.segments}{runtime}{'-d' if self.search_delegate else ''}"

    def arguments(self) -> list[str]:
        """The compiler's own options."""
        chosen = ["--show_operations", "--timeout_sec", str(self.timeout_s)]
        if self.segments > 1:
            chosen += ["--num_segments", str(self.segments)]
        if self.minimum_runtime is not None:
            chosen += ["--min_runtime_version", str(self.minimum_runtime)]
        return [*chosen, "--search_delegate"] if self.search_delegate else chosen


@dataclass(frozen=True, kw_only=True)
class Ran:
    """How a run ended. Exactly one is given: exit_code, signal, error (it couldn't be started), or timed_out."""

    text: str
    exit_code: int | None = None
    signal: str | None = None
    error: str | None = None
    timed_out: bool = False


def find_compiler() -> Compiler | Absence:
    """The compiler that PARAEDGE_EDGETPU_COMPILER names, else the one on the path; or why there is none."""
    named = os.environ.get(NAMED_BY)
    if named:
        if not Path(named).is_file() or not os.access(named, os.X_OK):
            return _absent(f"{NAMED_BY}={named} is not an executable file", f"export {NAMED_BY}=/path/to/{PROGRAM}")
        path = Path(named).absolute()
    else:
        found = shutil.which(PROGRAM)
        if found is None:
            return _nowhere()
        path = Path(found).absolute()
    try:
        status = path.stat()
    except OSError as error:
        return _absent(f"{path}: {error.strerror or error}", f"export {NAMED_BY}=/path/to/{PROGRAM}")
    return _asked(path, status.st_mtime_ns, status.st_size)


def _nowhere() -> Absence:
    if platform.machine() not in {"x86_64", "AMD64"}:
        return _absent(
            f"{PROGRAM} runs on x86-64 only, this is {platform.machine()}",
            "compile on an x86-64 host and copy its folder of compiled models (paraedge compile --help) to this one",
        )
    return _absent(f"{PROGRAM} is not on the path", f"sudo apt install edgetpu-compiler   (repository: {PAGE})")


def _absent(reason: str, remedy: str) -> Absence:
    return Absence(id=PROGRAM, reason=reason, remedy=remedy)


@functools.lru_cache(maxsize=8)
def _asked(path: Path, _changed_ns: int, _size: int) -> Compiler | Absence:
    """Its version, asked once while the file stays as it is."""
    ran = run_watched([str(path), "--version"], VERSION_TIMEOUT_S)
    match = re.search(r"\bEdge TPU Compiler version\s+(\d{1,9}(?:\.\d{1,12}){1,5})", ran.text)
    if ran.exit_code == 0 and match:
        return Compiler(path=path, version=match[1])
    said = ran.error or ran.signal or ("no answer in time" if ran.timed_out else short(ran.text, 100) or "nothing")
    reason = f"{path} doesn't answer `--version` as {PROGRAM} does: {said}"
    return _absent(reason, f"export {NAMED_BY}=/path/to/{PROGRAM}   (16.0)")


def run_compiler(compiler: Compiler, model: Path, out: Path, options: CompileOptions) -> Ran:
    """One attempt at `model`; what the compiler writes lands in `out`."""
    command = [str(compiler.path), *options.arguments(), "--out_dir", str(out), str(model)]
    return run_watched(command, options.timeout_s + MARGIN_S)


def run_watched(command: Sequence[str], timeout_s: float) -> Ran:
    """Run a program; all that descends from it is gone when this returns or raises, and soon after this process dies.

    Its output and errors are one text, cut after a mebibyte. Its input is empty.
    """
    read, write = os.pipe()
    with os.fdopen(read, "rb") as told, contextlib.ExitStack() as sender:
        sender.enter_context(os.fdopen(write, "wb"))
        program = [sys.executable, "-I", "-S", str(Path(watch.__file__)), str(write), *command]
        with subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=(write,), start_new_session=True,
        ) as watcher:  # whose input ends with this block, and it with that  # fmt: skip
            sender.close()
            text, ended = _read(watcher.stdout, time.monotonic() + timeout_s)
        status = told.read().decode(errors="replace")
    return _how_it_ended(text.decode(errors="replace"), status, ended)


def _read(stream: IO[bytes] | None, deadline: float) -> tuple[bytes, bool]:
    """The first of what comes until the stream ends, the rest thrown away; False where the deadline came first."""
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]
        while (left_s := deadline - time.monotonic()) > 0:
            if not selector.select(left_s):
                continue
            data = os.read(stream.fileno(), 1 << 16)  # type: ignore[union-attr]
            if not data:
                return bytes(kept), True
            kept += data[: TEXT_BYTES - len(kept)]
    return bytes(kept), False


def _how_it_ended(text: str, status: str, ended: bool) -> Ran:
    if not ended:  # whatever it said after that
        return Ran(text=text, timed_out=True)
    if not status:
        return Ran(text=text, signal="SIGKILL")
    try:
        code = int(status)
    except ValueError:
        return Ran(text=text, error=short(status))
    number = -code if code < 0 else code - 128 if code > 128 else 0  # a shell around it says 128 + signal
    with contextlib.suppress(ValueError):
        return Ran(text=text, signal=signal.Signals(number).name)
    return Ran(text=text, exit_code=code)
