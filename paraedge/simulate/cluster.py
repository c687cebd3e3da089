"""Cluster files: reading one."""

from __future__ import annotations

from pathlib import Path

from paraedge.named_files import read_named
from paraedge.simulate.cluster_file import parse_cluster
from paraedge.simulate.hosts import Cluster


def load_cluster(path_or_name: str | Path) -> Cluster:
    """Read a cluster file, or a shipped cluster by its name. Raises BadInput, one line, for anything wrong."""
    text, source = read_named(path_or_name, "cluster")
    return parse_cluster(text, source=source)
