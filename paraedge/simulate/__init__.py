"""Performance models: LayerGraph and a hardware file to a Prediction with its terms."""

from paraedge.simulate.constants import Constant, Hardware, Residuals
from paraedge.simulate.explain import Explanation, explain
from paraedge.simulate.hardware import hardware_names, load_hardware, user_hardware
from paraedge.simulate.mappable import check_mappable
from paraedge.simulate.pipeline import SimStage, simulate_pipeline, stages_of
from paraedge.simulate.predict import predict
from paraedge.simulate.roofs import roofs
from paraedge.simulate.sentences import latency_text, sentences
from paraedge.simulate.spans import spans

__all__ = [
    "Constant", "Explanation", "Hardware", "Residuals", "SimStage", "check_mappable", "explain", "hardware_names",
    "latency_text", "load_hardware", "predict", "roofs", "sentences", "simulate_pipeline", "spans", "stages_of",
    "user_hardware",
]  # fmt: skip
