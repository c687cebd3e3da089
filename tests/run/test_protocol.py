"""Every noun crosses the pipe unchanged, and what is no message is refused."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.device import DeviceInfo, MeasureSettings, Origin, Roof, Target
from paraedge.core.graph import ConstantWeights, FileWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.core.outcome import Artifact, Block, Failure, Job, Measurement, Placement, Prediction
from paraedge.core.partition import Partition, Stage
from paraedge.core.pipeline import PipelineRun, StageRun
from paraedge.core.spec import ModelSpec, Params
from paraedge.core.window import Window
from paraedge.run.protocol import NOUNS, BadMessage, PlainParams, expect, from_line, to_line

PLACEMENT = Placement(
    source="estimated",
    on_device=(0, 1),
    on_cpu=(2,),
    on_chip=(0,),
    off_chip=(1,),
    on_chip_bytes=10,
    off_chip_bytes=20,
    reasons={2: "no such op"},
)
INFO = DeviceInfo(id="cpu", origin=Origin.MEASURED, batch_mode="native", details={"threads": "1", "is": "odd"})
GRAPH = LayerGraph(
    name="näme\n",
    tensors=(
        Tensor(
            name="w",
            shape=(2, 3),
            dtype="int8",
            quantization=Quantization(scales=(0.1, 1e-30), zero_points=(0, -128), axis=0),
            weights=SeededWeights(seed=1, stream=2, bound=0.5),
        ),
        Tensor(name="c", shape=(), dtype="int32", weights=ConstantWeights(values=(1, 2.5))),
        Tensor(name="f", shape=(4,), dtype="int8", weights=FileWeights(offset=8, size_bytes=4)),
    ),
    layers=(Layer(op="RESHAPE", inputs=(0, -1), outputs=(2,), options={"new_shape": (1, 2), "keep": True, "x": None}),),
    inputs=(0,),
    outputs=(2,),
)
MEASUREMENT = Measurement(
    device=INFO,
    blocks=(Block(invokes=3, duration_ns=10**18), Block(invokes=1, duration_ns=0)),
    stop_reason="simulated",
    temperature_c=41.25,
    warnings=("hot", "late"),
    prediction=Prediction(
        device="sim", latency_ms=0.1, first_ms=None, terms={"compute_ms": 0.1}, placement=PLACEMENT, untimed=("X",)
    ),
)
ROOF = Roof(
    name="L1", kind="bandwidth", level="L1", value=1 / 3, unit="gb_per_s", origin=Origin.SIMULATED, capacity_bytes=2**40
)
SPLIT = Partition(
    model="m",
    strategy="data",
    objective="throughput",
    stages=(
        Stage(
            first=0, end=2, devices=("a", "b"), receive_ms=0.1, compute_ms=0.2, send_ms=0.3, busy_ms=0.6,
            input_bytes=1, output_bytes=2, low_ms=0.5, warnings=("hot",),
        ),
    ),
    unused=("c",),
    bottleneck_ms=0.3,
    limit="stage 1",
    latency_ms=0.6,
    host_ms=0.0,
    lower_bound_ms=0.3,
    any_bound_ms=0.2,
    best_ms=(float("inf"), 0.3),
)  # fmt: skip
RUN = PipelineRun(
    inputs=2,
    wall_ms=3.0,
    fill_ms=1.0,
    drain_ms=2.0,
    pass_ms=(1.0, 2.5),
    stages=(
        StageRun(
            stage=1, replica=2, device="a", first=0, end=2, inputs=1, receive_ms=0.1, compute_ms=0.2, send_ms=0.3,
            wait_ms=0.0, blocked_ms=1e-9, busy_share=0.5, input_bytes=1, output_bytes=2,
        ),
    ),
)  # fmt: skip
MESSAGES = [
    MEASUREMENT,
    replace(MEASUREMENT, pipeline=RUN, partition=SPLIT),
    GRAPH,
    ROOF,
    MeasureSettings(memory_mb=5),
    Target(device="cpu", kernels="builtin"),
    Failure(stage="run", error="E", message="m" * 1000, signal="SIGBUS"),
    Job(spec=None, graph=GRAPH, artifact=Artifact(path=Path("/a b/ü.tflite"), file_bytes=1, recipe="direct")),
    Window(end_s=1.5, invokes=3, latency_median_ms=1 / 3, latency_p99_ms=0.5, temperature_c=None),
    (ROOF, ROOF),
    None,
]


@dataclass(frozen=True)
class Shape(Params):
    layer: int = 3
    widths: tuple[int, ...] | None = (1, 2)
    kind: str | None = None


@pytest.mark.parametrize("noun", MESSAGES, ids=lambda noun: type(noun).__name__)
def test_nouns_arrive_unchanged(noun: object) -> None:
    line = to_line({"noun": noun})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert from_line(line) == {"noun": noun}


def test_every_noun_of_the_examples_is_covered() -> None:
    text = b"".join(to_line({"noun": noun}) for noun in MESSAGES).decode()
    assert {name for name in NOUNS if f'"is":"{name}"' in text} == set(NOUNS) - {"ModelSpec", "PlainParams"}


def test_spec_keeps_its_id_and_columns() -> None:
    spec = ModelSpec(family="fc", params=Shape(), batch=4, precision="float32", seed=9)
    arrived = from_line(to_line({"spec": spec}))["spec"]
    assert isinstance(arrived.params, PlainParams)
    assert arrived.params.columns() == spec.params.columns()
    assert arrived.spec_id == spec.spec_id
    assert arrived.label() == spec.label()


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"3", b"null", b'{"a":{"is":"Nobody"}}', b'{"a":{"is":"Block"}}', b'{"a":{}}', b"\xff\xfe"],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(BadMessage):
        from_line(line)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_bytes_give_a_message_or_our_error(data: bytes) -> None:
    with contextlib.suppress(BadMessage):
        assert isinstance(from_line(data), dict)


def test_expect_names_what_is_wrong() -> None:
    assert expect({"target": 3}, "target", int) == 3
    with pytest.raises(BadMessage, match="target should be a Target, not NoneType"):
        expect({}, "target", Target)


def test_a_line_is_plain_json() -> None:
    assert json.loads(to_line({"say": "stage", "stage": "load"})) == {"say": "stage", "stage": "load"}
