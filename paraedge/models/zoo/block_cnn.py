"""Block-wise CNNs."""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.zoo.model import Model

MODELS: Mapping[str, Model] = {}
