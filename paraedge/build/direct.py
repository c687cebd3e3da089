"""The direct writer: LayerGraph -> .tflite file, without TensorFlow; a file of the user's own is copied."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from paraedge.core.errors import BadInput, TooLarge, short
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec
from paraedge.models.file import FileParams, own_bytes
from paraedge.tflite import model_bytes_estimate, write_model

RECIPE = "direct"
"""How such an artifact is made; other recipes are other writers."""
OWN_RECIPE = "file"
"""Of the user's own bytes."""


def build_artifact(spec: ModelSpec, graph: LayerGraph, folder: Path) -> Artifact | Failure:
    """Write `graph` to `<spec_id>.tflite` in `folder`, which is made if absent; of the family `file`, the file's bytes.

    A file is there whole or not at all. What can't be built (2 GiB or more, out of memory, a full disk, a file that has
    changed) is a Failure of stage `build`.
    """
    own = spec.params if isinstance(spec.params, FileParams) else None
    path = folder / f"{spec.spec_id}.tflite"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        data = write_model(graph) if own is None else own_bytes(own)
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except (TooLarge, BadInput) as error:
        return _failure(error, str(error))
    except MemoryError as error:
        needed_mb = model_bytes_estimate(graph) / 1e6
        return _failure(error, f"{spec.label()} needs {needed_mb:.0f} MB of memory to be written")
    except OSError as error:
        _remove(part)
        return _failure(error, _disk_message(error, folder))
    if own is not None:
        return Artifact(path=path, file_bytes=len(data), recipe=OWN_RECIPE, sha256=own.sha256)
    return Artifact(path=path, file_bytes=len(data), recipe=RECIPE)


def _failure(error: Exception, message: str) -> Failure:
    return Failure(stage="build", error=type(error).__name__, message=short(message))


def _disk_message(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left in {folder}; free some, or choose another folder"
    return f"can't write into {folder}: {error.strerror or error}"


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:  # the folder itself may be what is wrong; the first error is the one to tell
        return
