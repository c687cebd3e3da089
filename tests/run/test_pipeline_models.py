"""Pipelines of real models: bit for bit what the whole model gives, on LiteRT's CPU and behind a delegate."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert.interpreter import Interpreter
from compiled_files import compiled_model
from edgetpu_stand_in import Host, make_host
from graph_builder import Builder

from paraedge import models
from paraedge.core.cut import cut
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Failure, Placement
from paraedge.core.pipeline import PipelineRun
from paraedge.core.spec import ModelSpec, Precision
from paraedge.devices.cpu import CpuDriver
from paraedge.devices.edgetpu import EdgeTpuDriver
from paraedge.models.cnn import CnnParams
from paraedge.run import Pipeline, PipelineStage, run_pipeline
from paraedge.run.crew import PipelineFailed
from paraedge.run.routes import Station, routes
from paraedge.tflite import write_model

QUICK = MeasureSettings(warm_up_s=0.0, block_ms=0.0)
CPU = Target(device="cpu", threads=1, kernels="xnnpack")
RESIDUAL = CnnParams(kind="residual", block=1, filter=8, image=32, output=10)

pytestmark = pytest.mark.usefixtures("nothing_left")


@dataclass(frozen=True)
class Model:
    """A network, and its segments as files under `folder`."""

    graph: LayerGraph
    folder: Path

    def stages(self, cuts: Sequence[int], *, replicas: int = 1) -> list[PipelineStage]:
        return [self.stage(i, j, replicas) for i, j in pairwise((0, *cuts, len(self.graph.layers)))]

    def stage(self, first: int, end: int, replicas: int = 1) -> PipelineStage:
        part = cut(self.graph, range(first, end))
        path = self.folder / f"{first}-{end}.tflite"
        path.write_bytes(write_model(part))
        return PipelineStage(
            driver=CpuDriver(), targets=(CPU,) * replicas,
            artifact=Artifact(path=path, file_bytes=path.stat().st_size, recipe="direct"),
            inputs=part.inputs, outputs=part.outputs, first=first, end=end,
        )  # fmt: skip

    def alone(self, inputs: dict[int, npt.NDArray[np.generic]]) -> dict[int, npt.NDArray[np.generic]]:
        """What the whole gives, in one interpreter of this process."""
        interpreter = Interpreter(model_content=bytes(write_model(self.graph)), num_threads=1)
        interpreter.allocate_tensors()
        for tensor, detail in zip(self.graph.inputs, interpreter.get_input_details(), strict=True):
            interpreter.set_tensor(detail["index"], inputs[tensor])
        interpreter.invoke()
        details = interpreter.get_output_details()
        return {t: interpreter.get_tensor(d["index"]) for t, d in zip(self.graph.outputs, details, strict=True)}

    def values(self, seed: int) -> dict[int, npt.NDArray[np.generic]]:
        generator = np.random.default_rng(seed)
        kinds = {tensor: self.graph.tensors[tensor] for tensor in self.graph.inputs}
        return {i: generator.uniform(-100, 100, t.shape).astype(t.dtype) for i, t in kinds.items()}

    def assert_same(self, stages: Sequence[PipelineStage], *, queue: int = 2, count: int = 7) -> None:
        with Pipeline(stages, outputs=self.graph.outputs, queue=queue, settings=QUICK) as pipeline:
            assert pipeline.inputs == self.graph.inputs
            for begin in range(0, count, 2):
                inputs = [self.values(seed) for seed in range(begin, begin + 2)]
                for values in inputs:
                    pipeline.push(values)
                for values in inputs:
                    found = pipeline.pop()
                    assert found is not None
                    wanted = self.alone(values)
                    assert list(found) == list(wanted)
                    for tensor in wanted:
                        assert wanted[tensor].any()
                        np.testing.assert_array_equal(found[tensor], wanted[tensor])


def cnn(folder: Path, precision: Precision = "int8") -> Model:
    return Model(models.build_graph(ModelSpec(family="cnn", params=RESIDUAL, precision=precision)), folder)


@functools.cache
def layers() -> int:
    return len(models.build_graph(ModelSpec(family="cnn", params=RESIDUAL)).layers)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("pieces", [2, 3, 4])
def test_a_residual_network_in_pieces(tmp_path: Path, precision: Precision, pieces: int) -> None:
    """Some cuts fall between a block's input and its addition, so that a tensor passes over a stage."""
    model = cnn(tmp_path, precision)
    cuts = [k * layers() // pieces + k % 2 for k in range(1, pieces)]
    model.assert_same(model.stages(cuts), queue=1 + pieces % 2)


def test_a_layer_a_stage(tmp_path: Path) -> None:
    model = cnn(tmp_path)
    stages = [model.stage(0, 2), *(model.stage(i, i + 1) for i in range(2, 7)), model.stage(7, layers())]
    passing = [r for r in routes([Station(inputs=s.inputs, outputs=s.outputs) for s in stages], (), 2) if r.tensors]
    assert any(route.sink - route.source > 1 for route in passing), "a tensor passes over a stage"
    model.assert_same(stages)


def test_the_whole_on_several_devices_and_stages_that_take_turns(tmp_path: Path) -> None:
    model = cnn(tmp_path)
    model.assert_same(model.stages((), replicas=3))
    middle = layers() // 2
    model.assert_same([model.stage(0, middle, 2), model.stage(middle, layers(), 1)])


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    """An output that a later stage takes too, an input that only the last takes, an input that is an output."""
    b = Builder()
    x, y = b.tensor((1, 8)), b.tensor((1, 6))
    first = b.dense(x, 6)
    second = b.op("ADD", (first, y), (1, 6), fused_activation_function="NONE")
    third = b.dense(second, 4)
    model = Model(b.graph((x, y), (third, first, y)), tmp_path)
    stages = [model.stage(0, 1), model.stage(1, 3)]
    with Pipeline(stages, outputs=model.graph.outputs, settings=QUICK) as pipeline:
        values = model.values(3)
        pipeline.push(values)
        found = pipeline.pop()
    assert found is not None
    wanted = model.alone(values)
    assert list(found) == [third, first, y]
    for tensor in wanted:
        np.testing.assert_array_equal(found[tensor], wanted[tensor])


def test_a_shape_that_is_known_only_at_run_time_is_a_failure(tmp_path: Path) -> None:
    """Where one of four is true, WHERE gives one index, which numpy would write into the space for four."""
    b = Builder()
    x = b.tensor((4,), "bool")
    graph = b.graph((x,), (b.op("WHERE", (x,), (4, 1), "int64"),))
    found = Model(graph, tmp_path).alone({x: np.array([False, False, True, False])})
    assert [values.shape for values in found.values()] == [(1, 1)]
    with Pipeline(Model(graph, tmp_path).stages(()), settings=QUICK) as pipeline:
        pipeline.push({x: np.array([False, False, True, False])})
        with pytest.raises(
            PipelineFailed, match=r"stage 1 of 1 on cpu, layer 0: tensor 1 came out as \(1, 1\), not \(4"
        ):
            pipeline.pop()


def test_a_run_has_a_row_a_device(tmp_path: Path) -> None:
    model = cnn(tmp_path)
    run = run_pipeline(model.stages((5,), replicas=2), inputs=10, settings=QUICK)
    assert isinstance(run, PipelineRun)
    assert [(s.stage, s.replica, s.inputs, s.first, s.end) for s in run.stages] == [
        (1, 1, 5, 0, 5), (1, 2, 5, 0, 5), (2, 1, 5, 5, layers()), (2, 2, 5, 5, layers())
    ]  # fmt: skip
    parts = [cut(model.graph, range(i, j)) for i, j in ((0, 5), (5, layers()))]
    sizes = [(one.input_bytes, one.output_bytes) for one in run.stages]
    assert sizes == [(part.input_bytes, part.output_bytes) for part in parts for _ in range(2)]
    assert all(0 < one.busy_share <= 1 and one.compute_ms > 0 for one in run.stages)
    assert all(one.on_chip_bytes is one.off_chip_bytes is None for one in run.stages)


@pytest.mark.parametrize("content", [b"", b"TFL3" * 100, None])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes | None) -> None:
    model = cnn(tmp_path)
    stages = model.stages((5,))
    if content is None:
        stages[1].artifact.path.unlink()
    else:
        stages[1].artifact.path.write_bytes(content)
    failed = run_pipeline(stages, inputs=3, settings=QUICK)
    assert isinstance(failed, Failure)
    assert failed.stage == "load"
    assert failed.message.startswith(f"stage 2 of 2 on cpu, layers 5-{layers() - 1}: ")


# --- Edge TPUs that are not there: real LiteRT with a delegate in C ---


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgetpu_library: Path) -> Host:
    """Two USB sticks; the package tflite_runtime can't be imported, so LiteRT is taken."""
    host = make_host(tmp_path, monkeypatch, library=str(edgetpu_library))
    (tmp_path / "packages" / "tflite_runtime" / "interpreter.py").write_text("raise ImportError('built for numpy 1')\n")
    host.usb("2-1")
    host.usb("2-2")
    return host


def compiled(folder: Path, number: int, device: str, *, on_cpu: tuple[int, ...] = ()) -> PipelineStage:
    path = folder / f"{number}_edgetpu.tflite"
    path.write_bytes(compiled_model(input_shape=(1, 16), output_shape=(1, 16), cpu_ops=["ABS"] * len(on_cpu)))
    placement = Placement(
        source="compiler", on_device=(0,), on_cpu=on_cpu, on_chip=None, off_chip=None, on_chip_bytes=4096 * number,
        off_chip_bytes=10 * number, reasons={},
    )  # fmt: skip
    return PipelineStage(
        driver=EdgeTpuDriver(), targets=(Target(device=device),),
        artifact=Artifact(path=path, file_bytes=1, recipe="compiled", placement=placement),
        inputs=(number - 1,), outputs=(number,), first=number - 1, end=number,
    )  # fmt: skip


def test_segments_on_edge_tpus(host: Host, tmp_path: Path) -> None:
    """The delegate takes 2 ms for each invoke and uploads within the first, which is warmed up."""
    stages = [compiled(tmp_path, number, f"edgetpu:{number - 1}") for number in (1, 2)]
    run = run_pipeline(stages, inputs=20, settings=QUICK)
    assert isinstance(run, PipelineRun), run
    assert [(one.device, one.on_chip_bytes, one.off_chip_bytes) for one in run.stages] == [
        ("edgetpu:0", 4096, 10),
        ("edgetpu:1", 8192, 20),
    ]
    assert all(one.compute_ms >= 2 for one in run.stages)
    assert run.fill_ms >= 4
    assert run.wall_ms >= 20 * 2


def test_an_edge_tpu_beside_the_cpu(host: Host, tmp_path: Path) -> None:
    b = Builder()
    x = b.tensor((1, 16))
    model = Model(b.graph((x,), (b.op("ABS", (x,), (1, 16)),)), tmp_path)
    head = compiled(tmp_path, 1, "edgetpu:1")
    tail = PipelineStage(**{**vars(model.stage(0, 1)), "inputs": (1,), "outputs": (2,)})
    run = run_pipeline([head, tail], inputs=5, settings=QUICK)
    assert isinstance(run, PipelineRun), run
    assert [one.device for one in run.stages] == ["edgetpu:1", "cpu"]


def test_ops_left_on_the_cpu_are_refused_as_ever(host: Host, tmp_path: Path) -> None:
    stages = [compiled(tmp_path, 1, "edgetpu:0"), compiled(tmp_path, 2, "edgetpu:1", on_cpu=(1,))]
    failed = run_pipeline(stages, inputs=5, settings=QUICK)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("load", "CpuOps")
    assert failed.message.startswith("stage 2 of 2 on edgetpu:1, layer 1: ")
    allowed = MeasureSettings(warm_up_s=0.0, block_ms=0.0, allow_cpu_ops=True)
    assert isinstance(run_pipeline(stages, inputs=5, settings=allowed), PipelineRun)


def test_a_stick_that_is_pulled(host: Host, tmp_path: Path) -> None:
    stages = [compiled(tmp_path, 1, "edgetpu:0"), compiled(tmp_path, 2, "edgetpu:7")]
    failed = run_pipeline(stages, inputs=5, settings=QUICK)
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error) == ("open", "DeviceMissing")
    assert failed.message.startswith("stage 2 of 2 on edgetpu:7")
