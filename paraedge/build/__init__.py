"""LayerGraph -> Artifact: model files on disk."""

from __future__ import annotations

from paraedge.build.direct import build_artifact

__all__ = ["build_artifact"]
