"""TensorFlow Lite files: LayerGraph <-> .tflite, without TensorFlow."""

from __future__ import annotations

from paraedge.tflite.estimate import model_bytes_estimate
from paraedge.tflite.read import parse_graph, read_graph
from paraedge.tflite.write import write_model

__all__ = ["model_bytes_estimate", "parse_graph", "read_graph", "write_model"]
