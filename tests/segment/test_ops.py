"""Profiles: what is said of how the ops compare with the whole, and ops that can't run alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paraedge import models
from paraedge.core.device import Origin, Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Block, Failure, Job, Measurement, Outcome
from paraedge.core.profile import OpTime, Profile, by_kind
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.fc import FcParams
from paraedge.models.zoo import ZooParams
from paraedge.segment import pieces
from paraedge.segment.ops import check_profiled, open_profiler, sentences
from paraedge.tflite import read_graph, write_model

CPU = Target(device="cpu", threads=1, kernels="xnnpack")


@pytest.fixture(scope="module")
def graph() -> LayerGraph:
    return models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=3, node=256, output=10)))


def job(graph: LayerGraph, folder: Path) -> Job:
    path = folder / "net.tflite"
    path.write_bytes(write_model(graph))
    return Job(spec=None, graph=graph, artifact=Artifact(path=path, file_bytes=1, recipe="direct"))


def profile(whole_ms: float, *ops: tuple[str, int, float | None], target: Target = CPU) -> Profile:
    """Ops by name, count and latency."""
    found, index = [], 0
    for op, count, ms in ops:
        error = "run: RuntimeError: no" if ms is None else None
        indices = tuple(range(index, index + count))
        found.append(OpTime(op=op, indices=indices, macs=100, latency_ms=ms, error=error))
        index += count
    return Profile(
        target=target, origin=Origin.MEASURED, ops=tuple(found), other_ms={}, whole_ms=whole_ms, low_ms=None,
        high_ms=None,
    )  # fmt: skip


def last(made: Profile, graph: LayerGraph) -> str:
    return list(sentences(made, graph))[-1]


def test_a_small_difference_is_none(graph: LayerGraph) -> None:
    assert "agree within 3 %" in last(profile(1.0, ("ADD", 2, 0.3), ("MUL", 1, 0.42)), graph)
    wide = dataclasses.replace(profile(1.0, ("ADD", 2, 0.3), ("MUL", 1, 0.6)), low_ms=0.9, high_ms=1.3)
    assert "within the interval of the whole" in last(wide, graph)


def test_what_invokes_cost_is_taken_off_the_shares(graph: LayerGraph) -> None:
    made = profile(1.0, ("ADD", 10, 0.1), ("MUL", 1, 1.0))  # 2.0 together: 0.1 too much for each of 10
    assert made.fixed_ms == pytest.approx(0.1)
    shares = {kind.op: kind.share for kind in by_kind(made)}
    assert shares == {"ADD": pytest.approx(0.0), "MUL": pytest.approx(1.0)}
    assert "of its own, 100 us (" in last(made, graph)
    assert "100 % more" in last(made, graph)
    less = profile(1.5, ("ADD", 10, 0.1), ("MUL", 1, 1.0))
    assert less.fixed_ms == pytest.approx(0.05)
    assert {kind.op: kind.share for kind in by_kind(less)}["ADD"] == pytest.approx(0.5 / 1.45)


def test_less_than_the_whole_is_put_down_to_the_caches(graph: LayerGraph) -> None:
    made = profile(2.0, ("ADD", 2, 0.3))
    assert made.fixed_ms == 0
    assert "70 % less" in last(made, graph)
    assert "caches" in last(made, graph)
    assert "copy for each op" not in last(made, graph)


def test_one_op_has_nobody_to_compete_with(graph: LayerGraph) -> None:
    single = last(profile(2.0, ("FULLY_CONNECTED", 1, 1.0)), graph)
    assert "50 % apart" in single
    assert "caches" not in single


def test_ops_that_a_prediction_leaves_to_the_cpu_have_no_time(tmp_path: Path) -> None:
    spec = ModelSpec(family="zoo", params=ZooParams(model="transformer_base"))
    whole, target = models.build_graph(spec), Target(device="sim-edgetpu-usb3")
    with open_profiler(registry.find(target.device), target, tmp_path) as take:
        found = take(Job(spec=spec, graph=whole, artifact=None))
    assert isinstance(found, Profile)
    assert sum(len(one.indices) for one in found.ops) == len(whole.layers)
    assert {one.op for one in found.failed} >= {"FULLY_CONNECTED", "BATCH_MATMUL"}
    assert all((one.error or "").startswith("on the CPU, ") for one in found.failed)
    assert found.added_ms == pytest.approx(found.whole_ms)
    said = list(sentences(found, whole))
    assert "which leaves out what is not timed" in said[-1]
    assert not any("can't run alone" in text for text in said)


def test_an_op_without_a_timing_model_has_no_time(tmp_path: Path, edgetpu_data: Path) -> None:
    whole = read_graph(edgetpu_data / "models" / "keras_lstm_mnist_ptq.tflite")
    target = Target(device="sim-edgetpu-usb3")
    with open_profiler(registry.find(target.device), target, tmp_path) as take:
        found = take(Job(spec=None, graph=whole, artifact=None))
    assert isinstance(found, Profile)
    assert [one.op for one in found.failed] == ["UNIDIRECTIONAL_SEQUENCE_LSTM"]
    assert found.failed[0].error == "mapped, but its compute has no timing model"
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" not in [kind.op for kind in by_kind(found)]
    assert "which leaves out what is not timed" in list(sentences(found, whole))[-1]


def test_pieces_of_several_ops_are_not_called_ops(graph: LayerGraph) -> None:
    said = next(sentences(profile(1.0, ("DEQUANTIZE + ADD", 2, 0.3)), graph))
    assert said.startswith(f"2 pieces of {len(graph.layers)} ops")


def test_shared_parameters_are_said_to_be_copied(graph: LayerGraph) -> None:
    twice = dataclasses.replace(graph, layers=(*graph.layers, *graph.layers))
    made = profile(2.0, ("FULLY_CONNECTED", 8, 0.1))
    assert "XNNPACK keeps a copy for each op" in last(made, twice)
    other = dataclasses.replace(made, target=dataclasses.replace(CPU, kernels="builtin"))
    assert "XNNPACK" not in last(other, twice)


def test_ops_alike_and_ops_that_fail_are_named(graph: LayerGraph) -> None:
    said = list(sentences(profile(1.0, ("ADD", 3, 0.1), ("MUL", 1, None)), graph))
    assert said[0].startswith("4 ops, 2 of them timed: the other 2")
    assert said[1] == "op 3 (MUL) can't run alone, so the sum is without it: run: RuntimeError: no"
    assert "can't be compared" in said[-1]


def test_an_op_that_fails_alone_has_no_time(graph: LayerGraph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = Measurement(
        device=registry.info("cpu"), blocks=(Block(invokes=1, duration_ns=10**6),) * 8, stop_reason="precision"
    )
    bad = Failure(stage="run", error="ChildKilled", message="gone", signal="SIGSEGV")
    outcomes = [good, good, bad, good, good]  # the whole, three sorts of ops, the whole again
    monkeypatch.setattr(pieces.run, "visit", lambda *_: iter(outcomes))
    with open_profiler(registry.find("cpu"), CPU, tmp_path) as take:
        found = take(job(graph, tmp_path))
    assert isinstance(found, Profile)
    assert [(one.indices, one.latency_ms) for one in found.ops] == [((0,), 1.0), ((1, 2), None), ((3,), 1.0)]
    assert found.failed[0].error == "run: ChildKilled: SIGSEGV: gone"
    assert found.added_ms == 2.0


def test_a_model_that_fails_whole_is_a_failure(
    graph: LayerGraph, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad = Failure(stage="load", error="ValueError", message="refused")

    def visit(*_: Any) -> Iterator[Outcome]:
        yield bad

    monkeypatch.setattr(pieces.run, "visit", visit)
    with open_profiler(registry.find("cpu"), CPU, tmp_path) as take:
        assert take(job(graph, tmp_path)) == bad


def test_the_cpu_is_profiled_here(graph: LayerGraph, tmp_path: Path) -> None:
    with open_profiler(registry.find("cpu"), CPU, tmp_path) as take:
        found = take(job(graph, tmp_path))
    assert isinstance(found, Profile)
    assert found.origin is Origin.MEASURED
    assert [(one.op, one.indices) for one in found.ops] == [("FULLY_CONNECTED", i) for i in ((0,), (1, 2), (3,))]
    assert all(one.latency_ms and one.low_ms and one.low_ms <= one.latency_ms for one in found.ops)
    assert found.whole_ms > 0
    assert sum(one.total_macs or 0 for one in found.ops) == graph.macs
    assert sum(kind.share for kind in by_kind(found)) == pytest.approx(1.0)


def test_a_looped_batch_takes_as_often(tmp_path: Path) -> None:
    one, many = (ModelSpec(family="fc", params=FcParams(layer=2, node=64), batch=batch) for batch in (1, 5))
    graph, target = models.build_graph(one), Target(device="sim-edgetpu-usb3")
    with open_profiler(registry.find(target.device), target, tmp_path) as take:
        single, five = (take(Job(spec=spec, graph=graph, artifact=None)) for spec in (one, many))
    assert isinstance(single, Profile)
    assert isinstance(five, Profile)
    assert five.added_ms == pytest.approx(5 * single.added_ms)
    assert five.whole_ms == pytest.approx(five.added_ms)
    assert five.fixed_ms == 0


def test_devices_whose_ops_cannot_be_told_apart_are_refused() -> None:
    edgetpu = next(driver for driver in registry.drivers() if driver.name == "edgetpu")
    with pytest.raises(BadInput, match="simulated device of its link"):
        check_profiled(edgetpu, "edgetpu:0")
