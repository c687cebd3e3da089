"""What an owner of devices asks: are they alike, do they hold their speed, and why is this result far off."""

from __future__ import annotations

from paraedge.checkup.model import compiled_probe, model_job, place_and_job, placement_of
from paraedge.checkup.place import Place, hold, place_of

__all__ = ["Place", "compiled_probe", "hold", "model_job", "place_and_job", "place_of", "placement_of"]
