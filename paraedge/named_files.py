"""TOML files by their path, or those that come with paraedge by name: found and read, or one line on what is wrong."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from paraedge.core.errors import BadInput, short
from paraedge.core.words import did_you_mean

LARGEST_FILE_BYTES = 1 << 20
"""Such a file is a page of text; whatever is longer was named by mistake."""


@functools.cache
def shipped(kind: str) -> dict[str, Path]:
    """The files of a kind (`sweep`, `cluster`) by name: of the checkout, or in a wheel of the package's data."""
    package = Path(__file__).resolve().parent
    for folder in (package / "shipped" / f"{kind}s", package.parent / f"{kind}s"):
        found = sorted(folder.glob("*.toml"))
        if found:
            return {path.stem: path for path in found}
    return {}


def read_named(path_or_name: str | Path, kind: str) -> tuple[str, str]:
    """The text of a file, or of a shipped one by its name, and its path; raises BadInput for what can't be read."""
    path, name, known = Path(path_or_name), str(path_or_name), shipped(kind)
    if not os.path.isfile(path) and name in known:
        path = known[name]
    if not os.path.lexists(path):
        hint = did_you_mean(name, known)
        raise BadInput(f"no {kind} file {short(name, 200)}, nor a shipped {kind} of that name: {hint}")
    if not os.path.isfile(path):
        raise BadInput(f"{short(path, 200)} is not a file: name a {kind} file, or one of {', '.join(known)}")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{short(path, 200)} can't be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE_BYTES:
        raise BadInput(f"{path} is over 1 MiB: a {kind} file is a page of TOML")
    try:
        return data.decode("utf-8-sig"), str(path)
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text: a {kind} file is TOML in UTF-8") from None
