"""Partitions run for real on the CPU and on stand-in Edge TPUs: segment files, what is told, what goes wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from compiler_stand_in import VERSION, Attempt, compiled_twin, report_text, write_compiler
from edgetpu_stand_in import make_host

from paraedge import build, models
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Measurement
from paraedge.core.partition import Partition
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.fc import FcParams
from paraedge.segment import choose, execute, problem_for
from paraedge.segment.execute import run_partition

FC = ModelSpec(family="fc", params=FcParams(input=64, layer=5, node=64, output=10))
SETTINGS = MeasureSettings(time_budget_s=0.02, timeout_s=60)
CPU = Target(device="cpu", threads=1, kernels="xnnpack", segments=2, strategy="equal", inputs=6)


@pytest.fixture(scope="module")
def graph() -> LayerGraph:
    return models.build_graph(FC)


@pytest.fixture
def artifact(graph: LayerGraph, tmp_path: Path) -> Iterator[Artifact]:
    """The model's file; afterwards nothing else may be left beside it."""
    made = build.build_artifact(FC, graph, tmp_path / "work")
    assert isinstance(made, Artifact)
    yield made
    assert list((tmp_path / "work").iterdir()) == [made.path]


def split(graph: LayerGraph, strategy: str, segments: int, device: str = "cpu") -> Partition:
    """Cut by simulated costs, quick to find, and put on `device`, numbered where there are several."""
    found = choose(problem_for(graph, ["sim-edgetpu-usb3"] * segments), graph, strategy, segments)
    stages = tuple(
        dataclasses.replace(stage, devices=tuple(name.replace("sim-edgetpu-usb3", device) for name in stage.devices))
        for stage in found.stages
    )
    return dataclasses.replace(found, stages=stages)


def test_segments_on_the_cpu(graph: LayerGraph, artifact: Artifact) -> None:
    partition = split(graph, "equal", 2)
    found = run_partition(
        partition, artifact, registry.find("cpu"), CPU, inputs=6, settings=SETTINGS, folder=artifact.path.parent
    )
    assert isinstance(found, Measurement), found
    ran = found.pipeline
    assert ran is not None
    assert [(s.stage, s.device.split()[0], s.first, s.end, s.inputs) for s in ran.stages] == [
        (1, "cpu", 0, 3, 6),
        (2, "cpu", 3, 6, 6),
    ]
    assert (found.stop_reason, len(ran.pass_ms)) == ("max_invokes", 6)
    assert [block.invokes for block in found.blocks] == [6] * 4  # so few inputs are pushed again until there are 20
    walls_ns = [1e6 * wall_ms for wall_ms in (*ran.earlier_ms, ran.wall_ms)]
    assert [block.duration_ns for block in found.blocks] == pytest.approx(walls_ns, abs=1)
    assert found.partition == partition


def test_copies_on_the_cpu(graph: LayerGraph, artifact: Artifact) -> None:
    found = run_partition(
        split(graph, "data", 2), artifact, registry.find("cpu"), CPU, inputs=6, settings=SETTINGS,
        folder=artifact.path.parent,
    )  # fmt: skip
    assert isinstance(found, Measurement), found
    assert found.pipeline is not None
    assert [(s.stage, s.replica, s.end, s.inputs) for s in found.pipeline.stages] == [(1, 1, 6, 3), (1, 2, 6, 3)]


def test_a_stage_that_dies_is_a_failure_that_names_it(
    graph: LayerGraph, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_model = execute.tflite.cut_model

    def damaged(*args, **options):  # type: ignore[no-untyped-def]
        first, second = cut_model(*args, **options)
        return [first, dataclasses.replace(second, data=memoryview(bytes(second.data[: len(second.data) // 2])))]

    monkeypatch.setattr(execute.tflite, "cut_model", damaged)
    found = run_partition(
        split(graph, "equal", 2), artifact, registry.find("cpu"), CPU, inputs=6, settings=SETTINGS,
        folder=artifact.path.parent,
    )  # fmt: skip
    assert isinstance(found, Failure)
    assert "stage 2 of 2 on cpu" in found.message


def test_cuts_that_are_not_in_the_model(graph: LayerGraph, artifact: Artifact) -> None:
    first, second = split(graph, "equal", 2).stages
    wrong = (dataclasses.replace(first, end=9), dataclasses.replace(second, first=9, end=10))
    partition = dataclasses.replace(split(graph, "equal", 2), stages=wrong)
    found = run_partition(
        partition, artifact, registry.find("cpu"), CPU, inputs=6, settings=SETTINGS, folder=artifact.path.parent
    )
    assert isinstance(found, Failure)
    assert found.error == "BadInput"


def test_memory_that_lacks_in_this_process(
    graph: LayerGraph, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs a sweep one row."""

    def cut_model(*_: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(execute.tflite, "cut_model", cut_model)
    found = run_partition(
        split(graph, "equal", 2), artifact, registry.find("cpu"), CPU, inputs=6, settings=SETTINGS,
        folder=artifact.path.parent,
    )  # fmt: skip
    assert isinstance(found, Failure)
    assert (found.error, found.message) == ("MemoryError", "no memory left")


def test_copies_on_edge_tpus_are_compiled_and_each_on_its_own(
    graph: LayerGraph, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    host = make_host(tmp_path, monkeypatch)
    host.pcie(0)
    host.pcie(1)
    host.behave(ms={"pci:0": 2.0, "pci:1": 2.0})
    files = {"model_edgetpu.tflite": compiled_twin(graph, cached_bytes=4096)}
    attempt = Attempt(text=report_text(operators=[]), files=files)
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(write_compiler(tmp_path / "compiler", attempt)))
    target = Target(device="edgetpu", segments=2, strategy="data", inputs=6)
    partition = split(graph, "data", 2, "edgetpu")
    named = dataclasses.replace(partition.stages[0], devices=("edgetpu:0", "edgetpu:1"))
    found = run_partition(
        dataclasses.replace(partition, stages=(named,)), artifact, registry.find("edgetpu:0"), target, inputs=6,
        settings=SETTINGS, folder=artifact.path.parent,
    )  # fmt: skip
    assert isinstance(found, Measurement), found
    assert found.pipeline is not None
    assert {(s.device, s.inputs) for s in found.pipeline.stages} == {("edgetpu:0", 3), ("edgetpu:1", 3)}
    assert {stage.on_chip_bytes for stage in found.pipeline.stages} == {4096}
    assert found.partition is not None
    assert found.partition.stages[0].on_chip_bytes == 4096
    assert {option for _, _, option in host.opened()} == {"pci:0", "pci:1"}


def test_a_segment_that_can_not_be_compiled_is_named(
    graph: LayerGraph, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    host = make_host(tmp_path, monkeypatch)
    host.pcie(0)
    host.pcie(1)
    attempt = Attempt(text="Edge TPU Compiler version " + VERSION + "\nInternal compiler error. Aborting!\n", exit=1)
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(write_compiler(tmp_path / "compiler", attempt)))
    target = Target(device="edgetpu", segments=2, strategy="equal", inputs=6)
    found = run_partition(
        split(graph, "equal", 2, "edgetpu"), artifact, registry.find("edgetpu:0"), target, inputs=6,
        settings=SETTINGS, folder=artifact.path.parent,
    )  # fmt: skip
    assert isinstance(found, Failure)
    assert found.stage == "compile"
    assert found.message.startswith("segment 1: ")
    assert host.opened() == []
