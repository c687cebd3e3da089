"""The converter's child: TensorFlow in a process of its own, JSON lines over two pipes. Started by `converter_process`.

`python -m paraedge.build.converter_child PARENT WRITE MEMORY_MB`: the parent's process id, the descriptor to answer on,
and a limit of memory (0: none). Requests come over standard input; whatever TensorFlow prints goes to the log, and so
does the traceback of a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paraedge.core.errors import short
from paraedge.core.spec import ModelSpec
from paraedge.devices import guard
from paraedge.models import FAMILIES

OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError")
"""What Python and TensorFlow raise where an allocation fails."""
OUT_OF_MEMORY_SIGNS = ("bad_alloc", "OOM when allocating")
"""What is said then by errors of another type, as the converter's own."""


def main(arguments: list[str]) -> None:
    """Serve the parent until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what ends
    parent, write, memory_mb = map(int, arguments)
    guard.die_with_parent(parent)
    guard.limit_memory(memory_mb or None)
    os.set_inheritable(write, False)
    for line in sys.stdin.buffer:
        answer(json.loads(line), write)
    os._exit(0)  # past the native libraries' own clean-up


def answer(request: Mapping[str, Any], write: int) -> None:
    """Convert the model that is asked for into the file at `path`, and say how it went."""
    try:
        if "paraedge.build.keras_model" not in sys.modules:
            say(write, phase="starting TensorFlow")
        from paraedge.build import keras_model

        data = keras_model.convert(spec_of(request["spec"]), lambda phase: say(write, phase=phase))
        say(write, phase="writing")
        Path(request["path"]).write_bytes(data)
    except Exception as error:  # TensorFlow fails in many ways; each is this model's trouble alone
        with contextlib.suppress(OSError, MemoryError):  # a full disk; what went wrong is said all the same
            traceback.print_exc()
        kind = type(error).__name__
        starved = kind in OUT_OF_MEMORY or any(sign in str(error) for sign in OUT_OF_MEMORY_SIGNS)
        say(write, error="MemoryError" if starved else kind, message=short(error))
    else:
        say(write, file_bytes=len(data), memory_bytes=memory_bytes())


def spec_of(fields: Mapping[str, Any]) -> ModelSpec:
    """The spec of the fields that `converter.fields_of` gives."""
    given: Mapping[str, Any] = fields["params"]
    params: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return ModelSpec(**{**fields, "params": FAMILIES[fields["family"]].params(**params)})


def memory_bytes() -> int:
    """What this process has in memory."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def say(write: int, **message: object) -> None:
    """Send a message to the parent."""
    data = memoryview(json.dumps(message).encode() + b"\n")
    while data:
        data = data[os.write(write, data) :]


if __name__ == "__main__":
    main(sys.argv[1:])
