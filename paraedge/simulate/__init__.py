"""Performance models: LayerGraph and a hardware file to a Prediction with its terms."""

from paraedge.simulate.explain import explain
from paraedge.simulate.hardware import Constant, Hardware, hardware_names, load_hardware, user_hardware
from paraedge.simulate.mappable import check_mappable
from paraedge.simulate.predict import predict
from paraedge.simulate.roofs import roofs

__all__ = [
    "Constant", "Hardware", "check_mappable", "explain", "hardware_names", "load_hardware", "predict", "roofs",
    "user_hardware",
]  # fmt: skip
