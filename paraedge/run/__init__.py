"""Measuring: a child process for each device, the protocol of the pipe, locks, and the facts of the host."""

from __future__ import annotations

from paraedge.run.environment import environment
from paraedge.run.locks import device_lock
from paraedge.run.visit import measure_roofs, sustain, visit

__all__ = ["device_lock", "environment", "measure_roofs", "sustain", "visit"]
