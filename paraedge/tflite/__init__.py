"""TensorFlow Lite files: LayerGraph <-> .tflite, without TensorFlow; and what the Edge TPU's compiler put into them."""

from __future__ import annotations

from paraedge.tflite.cut import Segment, cut_model
from paraedge.tflite.estimate import model_bytes_estimate
from paraedge.tflite.executable import DmaHint, Executable, ExecutableLayer, Package, read_packages
from paraedge.tflite.read import parse_graph, read_graph
from paraedge.tflite.write import write_model

__all__ = [
    "DmaHint",
    "Executable",
    "ExecutableLayer",
    "Package",
    "Segment",
    "cut_model",
    "model_bytes_estimate",
    "parse_graph",
    "read_graph",
    "read_packages",
    "write_model",
]
