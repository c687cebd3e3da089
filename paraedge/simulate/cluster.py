"""Cluster files: which there are, and reading one."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from paraedge.core.errors import BadInput, short
from paraedge.core.words import did_you_mean
from paraedge.simulate.cluster_file import parse_cluster
from paraedge.simulate.hosts import Cluster

LARGEST_FILE_BYTES = 1 << 20
"""A cluster is a page of text; whatever is longer was named by mistake."""


@functools.cache
def shipped_clusters() -> dict[str, Path]:
    """The clusters that come with paraedge, by name: of the checkout, or in a wheel of the package's data."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "shipped" / "clusters", package.parent / "clusters"):
        found = sorted(folder.glob("*.toml"))
        if found:
            return {path.stem: path for path in found}
    return {}


def load_cluster(path_or_name: str | Path) -> Cluster:
    """Read a cluster file, or a shipped cluster by its name. Raises BadInput, one line, for anything wrong."""
    name, shipped = str(path_or_name), shipped_clusters()
    path = shipped[name] if name in shipped and not os.path.isfile(name) else Path(name)
    if not os.path.lexists(path):
        hint = did_you_mean(name, shipped)
        raise BadInput(f"no cluster file {short(name, 200)}, nor a shipped cluster of that name: {hint}")
    if not os.path.isfile(path):
        raise BadInput(f"{short(name, 200)} is not a file: name a cluster file, or one of {', '.join(shipped)}")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{short(name, 200)} can't be read: {error.strerror}") from None
    if len(data) > LARGEST_FILE_BYTES:
        raise BadInput(f"{path} is over 1 MiB: a cluster file is a page of TOML")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not text: a cluster file is TOML in UTF-8") from None
    return parse_cluster(text, source=str(path))
