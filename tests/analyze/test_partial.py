"""Predictions that leave ops out: which of them stand for the whole model, and which don't."""

from __future__ import annotations

import pandas as pd
import pytest

from paraedge import models, segment, simulate
from paraedge.analyze.partial import without_parts
from paraedge.core.spec import ModelSpec
from paraedge.models import FcParams, ZooParams


def row(origin: str, warnings: str | None) -> pd.DataFrame:
    cells = {"origin": origin, "status": "ok", "error": None, "warnings": warnings}
    return pd.DataFrame([{**cells, "latency_median_ms": 1.0, "throughput_per_s": 1000.0, "gops_per_s": 3.0}])


@pytest.mark.parametrize(
    ("warnings", "stands"),
    [
        (None, True),
        ("half of it was slower", True),
        ("latency leaves out op 9 (SOFTMAX): on the CPU, behind FULLY_CONNECTED", True),
        ("latency leaves out CONV_2D x2: on the CPU, more than one subgraph", False),
        ("slow; latency leaves out op 1 (UNIDIRECTIONAL_SEQUENCE_LSTM): mapped, but its compute has no model", False),
        ("latency leaves out op 0 (PAD): on the CPU, no; latency leaves ...", False),
        ("stage 1: the time leaves out RESHAPE x2: no; stage 2: the time leaves out BATCH_MATMUL x24: no", False),
    ],
)
def test_a_part_is_no_result(warnings: str | None, stands: bool) -> None:
    made = without_parts(row("simulated", warnings)).iloc[0]
    assert (made["status"] == "ok") == stands
    assert made[["latency_median_ms", "throughput_per_s", "gops_per_s"]].notna().all() == stands
    assert without_parts(row("measured", warnings)).iloc[0]["status"] == "ok"


@pytest.mark.parametrize(("model", "stands"), [("vit_base", False), ("squeezenet_1_0", True)])
def test_what_stages_say_is_understood(model: str, stands: bool) -> None:
    graph = models.build_graph(ModelSpec(family="zoo", params=ZooParams(model=model, image=64)))
    found = segment.choose(segment.problem_for(graph, ["sim-edgetpu-usb3"] * 2), graph, "balanced")
    said = "; ".join(f"stage {n}: {text}" for n, stage in enumerate(found.stages, 1) for text in stage.warnings)
    assert (without_parts(row("simulated", said)).iloc[0]["status"] == "ok") == stands


def test_what_predictions_say_is_understood() -> None:
    hardware = simulate.load_hardware("sim-edgetpu-usb3")
    for params, stands in ((FcParams(layer=2, node=64), True), (ZooParams(model="transformer_base", image=8), False)):
        family = "fc" if isinstance(params, FcParams) else "zoo"
        prediction = simulate.predict(models.build_graph(ModelSpec(family=family, params=params)), hardware)
        said = "; ".join(f"latency leaves out {text}" for text in prediction.untimed)
        assert (without_parts(row("simulated", said)).iloc[0]["status"] == "ok") == stands
