"""Measuring: child processes for devices, one or a pipeline of them, the protocol of the pipe, locks, host facts."""

from __future__ import annotations

from paraedge.run.environment import environment
from paraedge.run.locks import device_lock
from paraedge.run.pipeline import Pipeline
from paraedge.run.pipeline_run import run_pipeline
from paraedge.run.stages import PipelineStage
from paraedge.run.visit import measure_roofs, sustain, visit

__all__ = [
    "Pipeline", "PipelineStage", "device_lock", "environment", "measure_roofs", "run_pipeline", "sustain", "visit",
]  # fmt: skip
