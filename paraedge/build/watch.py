"""Runs a foreign program so that nothing of it outlives us. Started by `compiler.run_watched`, never by hand.

`python -I -S watch.py STATUS PROGRAM ARGUMENT...` is the head of its own process group. When the program ends, its exit
code goes to the descriptor STATUS as text (or why it couldn't be started); when standard input ends, since whoever
holds its other end died or gave up, there is none. Either way the whole group is killed, this process included.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading


def main(status: int, command: list[str]) -> None:
    """Run `command` until it ends or standard input does."""
    if os.getpgrp() != os.getpid():
        sys.exit("watch.py must be the head of its own process group")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here, a core dump is not
    threading.Thread(target=_wait, args=(status, command), daemon=True).start()
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def _wait(status: int, command: list[str]) -> None:
    try:
        code = str(subprocess.Popen(command, stdin=subprocess.DEVNULL).wait())
    except (OSError, ValueError) as error:
        code = f"{command[0]}: {getattr(error, 'strerror', None) or error}"
    os.write(status, code.encode(errors="replace"))
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
