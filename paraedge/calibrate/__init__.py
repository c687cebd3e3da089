"""Measurements to hardware files, and how far predictions are from measurements they haven't seen."""

from __future__ import annotations

from paraedge.calibrate.run import Calibration, calibrate, calibrate_published
from paraedge.calibrate.validate import validate

__all__ = ["Calibration", "calibrate", "calibrate_published", "validate"]
