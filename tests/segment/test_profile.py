"""Latencies of segments: simulated as predicted, measured in real children, kept, and gone on with after a kill."""

from __future__ import annotations

import dataclasses
import itertools
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from compiler_stand_in import Attempt, calls, compiled_twin, report_text, write_compiler
from edgetpu_stand_in import make_host
from graph_builder import Builder

from paraedge import models, run, tflite
from paraedge.core.cut import cut
from paraedge.core.device import DeviceInfo, MeasureSettings, Origin, Target
from paraedge.core.errors import ParaedgeError
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Block, Failure, Measurement
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.conv_stack import ConvStackParams
from paraedge.models.fc import FcParams
from paraedge.partition.profiled import SpanLatency, profiled_cuts
from paraedge.segment.profile import estimate, span_latency
from paraedge.segment.profile_cache import ProfileCache, Visit
from paraedge.simulate import load_hardware, predict

QUICK = MeasureSettings(time_budget_s=0.01, warm_up_s=0.001, min_blocks=6, block_ms=0.2)
FC = ModelSpec(family="fc", params=FcParams(input=64, layer=5, node=64, output=10))
CPU = Target(device="cpu", threads=1, kernels="xnnpack")
INFO = DeviceInfo(id="cpu", origin=Origin.MEASURED, batch_mode="native")


@pytest.fixture
def graph() -> LayerGraph:
    return models.build_graph(FC)


@pytest.fixture
def cache() -> Iterator[ProfileCache]:
    with ProfileCache(None) as memory:
        yield memory


def on_cpu(
    graph: LayerGraph, cache: ProfileCache, folder: Path, settings: MeasureSettings = QUICK, target: Target = CPU
) -> SpanLatency:
    return span_latency(graph, None, registry.find("cpu"), target, settings, cache, folder)


def no_visit(*_: object) -> Iterator[Failure]:
    raise AssertionError("it was measured though it was kept")


def test_simulated_segments_take_what_is_predicted_for_them(cache: ProfileCache, tmp_path: Path) -> None:
    stack = ConvStackParams(layer=4, kernel=3, image=16, channel=3, filter=32)
    graph, device = models.build_graph(ModelSpec(family="conv_stack", params=stack)), "sim-edgetpu-usb3"
    driver = registry.find(device)
    latency = span_latency(graph, None, driver, Target(device=device), QUICK, cache, tmp_path)
    for first, end in itertools.combinations(range(len(graph.layers) + 1), 2):
        found = latency(first, end, 5)
        wanted = predict(cut(graph, range(first, end)), load_hardware(device)).latency_ms
        assert (found.low_ms, found.value_ms, found.high_ms, found.rounds) == (wanted, wanted, wanted, 5)
    assert not list(tmp_path.iterdir())


def test_a_simulated_segment_without_an_op_for_the_device_is_infinite(cache: ProfileCache, tmp_path: Path) -> None:
    builder = Builder()
    x = builder.tensor((1, 8))
    strange = builder.op("CUSTOM", (builder.dense(x, 8),), (1, 8), custom_code="nobody's")
    graph = builder.graph([x], [builder.dense(strange, 8)])
    target = Target(device="sim-edgetpu-pcie")
    latency = span_latency(graph, None, registry.find(target.device), target, QUICK, cache, tmp_path)
    assert math.isfinite(latency(0, 1, 1).value_ms)
    assert latency(1, 2, 1).value_ms == math.inf
    assert "no op can run on the Edge TPU" in (latency(1, 2, 1).reason or "")


def test_measured_segments_are_kept(graph: LayerGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, work = tmp_path / "cache.jsonl", tmp_path / "work"
    work.mkdir()
    with ProfileCache(path) as cache:
        latency = on_cpu(graph, cache, work)
        once, thrice, whole = latency(1, 3, 1), latency(1, 3, 3), latency(0, 5, 1)
    assert (once.rounds, thrice.rounds, whole.rounds) == (1, 3, 1)
    for found in (once, thrice, whole):
        assert 0 < found.low_ms <= found.value_ms <= found.high_ms < 100
    assert once.high_ms >= 1.03 * once.value_ms
    assert not list(work.iterdir())
    monkeypatch.setattr(run, "visit", no_visit)
    with ProfileCache(path) as cache:
        again = on_cpu(graph, cache, work)
        assert (again(1, 3, 3), again(1, 3, 1), again(0, 5, 1)) == (thrice, once, whole)
        more_rounds = dataclasses.replace(QUICK, rounds=7)  # a visit knows nothing of how many there are to be
        assert on_cpu(graph, cache, work, more_rounds)(1, 3, 1) == once
        for other in (
            on_cpu(graph, cache, work, dataclasses.replace(QUICK, time_budget_s=0.02)),
            on_cpu(graph, cache, work, dataclasses.replace(QUICK, seed=1)),
            on_cpu(graph, cache, work, target=Target(device="cpu", threads=2, kernels="xnnpack")),
            on_cpu(models.build_graph(ModelSpec(family="fc", params=FC.params, seed=1)), cache, work),
        ):
            with pytest.raises(AssertionError, match="it was measured"):
                other(1, 3, 1)
    assert not list(work.iterdir())


def test_equal_contents_are_one_segment(
    graph: LayerGraph, cache: ProfileCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model as a file, its graph read from it: the same segments under another name."""
    data = bytes(tflite.write_model(graph))
    found = on_cpu(graph, cache, tmp_path)(2, 4, 1)
    monkeypatch.setattr(run, "visit", no_visit)
    other = tflite.parse_graph(data, "another name")
    latency = span_latency(other, data, registry.find("cpu"), CPU, QUICK, cache, tmp_path)
    assert latency(2, 4, 1) == found


def outcomes(monkeypatch: pytest.MonkeyPatch, *planned: Measurement | Failure) -> list[int]:
    """What the next visits give; the list grows by one with each."""
    asked: list[int] = []

    def visit(*_: object) -> Iterator[Measurement | Failure]:
        asked.append(len(asked))
        yield planned[asked[-1]]

    monkeypatch.setattr(run, "visit", visit)
    return asked


def measured(*blocks_ns: int) -> Measurement:
    blocks = tuple(Block(invokes=10, duration_ns=ns) for ns in blocks_ns)
    return Measurement(device=INFO, blocks=blocks, stop_reason="precision")


def test_a_failure_is_an_infinite_latency_and_is_tried_once(
    graph: LayerGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = Failure(stage="run", error="ChildKilled", message="SIGSEGV", signal="SIGSEGV")
    asked = outcomes(monkeypatch, measured(10_000_000), died, measured(10_000_000))
    path = tmp_path / "cache.jsonl"
    with ProfileCache(path) as cache:
        latency = on_cpu(graph, cache, tmp_path)
        assert latency(0, 2, 1).value_ms == 1.0
        for _ in range(3):
            found = latency(0, 2, 2)
            assert (found.value_ms, found.low_ms, found.reason) == (math.inf, math.inf, died.text())
    assert len(asked) == 2
    with ProfileCache(path) as cache:  # a failure isn't kept: another day it may run
        assert on_cpu(graph, cache, tmp_path)(0, 2, 2).value_ms == 1.0


def test_a_device_that_can_t_be_opened_is_no_fault_of_the_segment(
    graph: LayerGraph, cache: ProfileCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes(monkeypatch, Failure(stage="open", error="DeviceMissing", message="unplugged"))
    with pytest.raises(ParaedgeError, match="cpu threads=1 kernels=xnnpack: open: DeviceMissing: unplugged"):
        on_cpu(graph, cache, tmp_path)(0, 1, 1)


def test_a_work_folder_that_is_gone(graph: LayerGraph, cache: ProfileCache, tmp_path: Path) -> None:
    with pytest.raises(ParaedgeError, match=r"can't write into .*gone: No such file"):
        on_cpu(graph, cache, tmp_path / "gone")(0, 1, 1)


def test_a_visit_is_the_median_of_its_blocks(
    graph: LayerGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten blocks of ten invokes; the second and the ninth bound the median of ten at 95 % (Conover, table A3)."""
    outcomes(monkeypatch, measured(*(1_000_000 * (10 + number) for number in (0, 9, 1, 8, 2, 7, 3, 6, 4, 5))))
    with ProfileCache(None) as cache:
        found = on_cpu(graph, cache, tmp_path)(0, 1, 1)
    assert found.value_ms == pytest.approx(1.45)
    assert (found.low_ms, found.high_ms) == pytest.approx((1.1, 1.8))


def test_the_interval_of_several_visits_comes_from_their_spread() -> None:
    """Student's t with two degrees of freedom, 4.302653: logs 0 and +-0.1, standard error 0.1 / sqrt(3)."""
    visits = [Visit(value_ms=math.exp(x), low_ms=0.1, high_ms=9.0) for x in (-0.1, 0.0, 0.1)]
    found = estimate(visits)
    half = 4.302653 * 0.1 / math.sqrt(3)
    assert (math.log(found.low_ms), math.log(found.high_ms)) == pytest.approx((-half, half), rel=1e-6)
    assert (found.value_ms, found.rounds) == (pytest.approx(1.0), 3)
    assert estimate(visits[1:2]).low_ms == 0.1
    steady = estimate([Visit(value_ms=2.0, low_ms=1.99, high_ms=2.01)])
    assert (steady.low_ms, steady.high_ms) == pytest.approx((2 / 1.03, 2 * 1.03))


def test_segments_for_an_edge_tpu_are_compiled(
    graph: LayerGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "kept"))
    host = make_host(tmp_path / "host", monkeypatch)
    host.pcie()
    host.behave(ms={"pci:0": 2.0})
    part = tflite.parse_graph(tflite.cut_model(tflite.write_model(graph), [1, 3])[1].data, "part")
    good = Attempt(text=report_text(), files={"model_edgetpu.tflite": compiled_twin(part)})
    program = write_compiler(tmp_path / "compiler", good, Attempt(text="Internal compiler error. Aborting!", exit=1))
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(program))
    work = tmp_path / "work"
    work.mkdir()
    target = Target(device="edgetpu:0")
    with ProfileCache(None) as cache:
        latency = span_latency(graph, None, registry.find("edgetpu:0"), target, QUICK, cache, work)
        assert latency(1, 3, 2).value_ms >= 2.0
        assert len(calls(program)) == 1
        bad = latency(0, 3, 1)
    assert bad.value_ms == math.inf
    assert (bad.reason or "").startswith("compile: InternalError")
    assert not list(work.iterdir())


RESUMED = """
import pathlib, random, sys, time
from paraedge import models, run
from paraedge.core.device import DeviceInfo, MeasureSettings, Origin, Target
from paraedge.core.outcome import Block, Measurement
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.fc import FcParams
from paraedge.partition.profiled import profiled_cuts
from paraedge.segment.profile import span_latency
from paraedge.segment.profile_cache import ProfileCache

def visit(driver, target, jobs, settings):
    time.sleep(0.002)
    [job] = jobs
    ns = int(job.artifact.file_bytes * random.lognormvariate(0, 0.1))
    info = DeviceInfo(id="cpu", origin=Origin.MEASURED, batch_mode="native")
    yield Measurement(device=info, blocks=(Block(invokes=1, duration_ns=ns),), stop_reason="precision")

run.visit = visit
graph = models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=9, node=64, output=10)))
target = Target(device="cpu", threads=1, kernels="xnnpack")
with ProfileCache(pathlib.Path(sys.argv[1])) as cache:
    work = pathlib.Path(sys.argv[2])
    latency = span_latency(graph, None, registry.find("cpu"), target, MeasureSettings(), cache, work)
    print(profiled_cuts(latency, len(graph.layers), (1, 2)))
"""


def test_killed_it_goes_on_where_it_was_and_then_measures_nothing_more(tmp_path: Path) -> None:
    """The way it takes depends on noise that differs from call to call, and is the same once it was kept."""
    path = tmp_path / "cache.jsonl"
    command = [sys.executable, "-c", RESUMED, str(path), str(tmp_path)]
    seen = b""
    for lines in (2, 20):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not path.exists() or path.read_bytes().count(b"\n") < lines:
            assert child.poll() is None
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert path.read_bytes().startswith(seen)
        seen = path.read_bytes()
    first = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    whole = path.read_bytes()
    assert whole.startswith(seen[: seen.rindex(b"\n") + 1])
    assert len(whole) > len(seen)
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == first
    assert path.read_bytes() == whole


def test_on_the_cpu_two_large_layers_are_parted(cache: ProfileCache, tmp_path: Path) -> None:
    """Layers 1 and 2 have 30 times the work of the others; any other split has both in one segment."""
    params = FcParams(input=64, layer=3, node=2048, output=10)
    graph = models.build_graph(ModelSpec(family="fc", params=params))
    profile = profiled_cuts(on_cpu(graph, cache, tmp_path), 4, (1,), every_end=False, most_rounds=3)
    assert profile.cuts == (2,)
