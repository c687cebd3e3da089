"""ResNet-50 v1 and v2, ResNet-152 v2."""

from __future__ import annotations

from collections.abc import Mapping

from paraedge.models.zoo.model import Model

MODELS: Mapping[str, Model] = {}
