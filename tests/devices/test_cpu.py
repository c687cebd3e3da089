"""The CPU: real LiteRT in real children, on models written a moment before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Target
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Artifact, Failure, Job, Measurement, Outcome
from paraedge.core.spec import ModelSpec
from paraedge.devices import cpu_roofs
from paraedge.devices.cpu import CpuDriver, CpuSession
from paraedge.devices.interpreter import input_values
from paraedge.models import build_graph
from paraedge.models.conv_stack import ConvStackParams
from paraedge.models.fc import FcParams
from paraedge.models.matmul import MatmulParams
from paraedge.run import measure_roofs, visit
from paraedge.tflite import write_model

XNNPACK = Target(device="cpu", threads=1, kernels="xnnpack")
BUILTIN = Target(device="cpu", threads=1, kernels="builtin")
QUICK = MeasureSettings(time_budget_s=0.02, warm_up_s=0.002)

FC = ModelSpec(family="fc", params=FcParams(input=64, layer=2, node=32, output=10))
CONV = ModelSpec(
    family="conv_stack", params=ConvStackParams(layer=2, kernel=3, image=8, channel=3, filter=8), precision="float32"
)
MATMUL = ModelSpec(family="matmul", params=MatmulParams(n=64), batch=3)


def job(folder: Path, spec: ModelSpec) -> Job:
    graph = build_graph(spec)
    path = folder / f"{spec.spec_id}.tflite"
    path.write_bytes(write_model(graph))
    return Job(spec=spec, graph=graph, artifact=Artifact(path=path, file_bytes=path.stat().st_size, recipe="direct"))


def file_job(path: Path) -> Job:
    return Job(spec=None, graph=None, artifact=Artifact(path=path, file_bytes=0, recipe="foreign"))


def outcomes(jobs: list[Job], target: Target = XNNPACK, settings: MeasureSettings = QUICK) -> list[Outcome]:
    return list(visit(CpuDriver(), target, iter(jobs), settings))


@pytest.mark.parametrize("target", [XNNPACK, BUILTIN, Target(device="cpu", threads=2, kernels="xnnpack")])
def test_models_of_each_kind_are_measured(tmp_path: Path, target: Target) -> None:
    found = outcomes([job(tmp_path, spec) for spec in (FC, CONV, MATMUL)], target)
    for outcome in found:
        assert isinstance(outcome, Measurement), outcome
        assert outcome.device.origin is Origin.MEASURED
        assert outcome.device.details == {"threads": str(target.threads), "kernels": target.kernels}
        assert len(outcome.blocks) >= 10
        assert all(block.duration_ns > 0 for block in outcome.blocks)
        for part_ns in (outcome.open_ns, outcome.first_ns, outcome.set_ns, outcome.get_ns):
            assert part_ns is not None
            assert part_ns > 0


def test_latency_agrees_with_a_plain_loop(tmp_path: Path) -> None:
    """Within a factor of two: the machine is shared, and the plain loop runs in another process at another time."""
    spec = ModelSpec(family="fc", params=FcParams(input=512, layer=4, node=512, output=512))
    one = job(tmp_path, spec)
    assert one.artifact is not None
    plain = (
        "import sys, time, statistics; from ai_edge_litert.interpreter import Interpreter as I\n"
        "m = I(model_path=sys.argv[1], num_threads=1); m.allocate_tensors(); t = []\n"
        "for _ in range(500):\n b = time.perf_counter_ns(); m.invoke(); t.append(time.perf_counter_ns() - b)\n"
        "print(statistics.median(t))"
    )
    command = [sys.executable, "-c", plain, str(one.artifact.path)]
    expected_ns = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (outcome,) = outcomes([one])
    assert isinstance(outcome, Measurement)
    measured_ns = float(np.median([block.duration_ns / block.invokes for block in outcome.blocks]))
    assert 0.5 < measured_ns / expected_ns < 2


def test_damaged_files_are_rows_and_a_good_one_goes_on(tmp_path: Path) -> None:
    good = job(tmp_path, FC)
    assert good.artifact is not None
    data = good.artifact.path.read_bytes()
    damaged = {
        "empty": b"",
        "text": b"not a model\n" * 100,
        "random": np.random.default_rng(1).bytes(5000),
        "half": data[: len(data) // 2],
        "zeros": data[:64] + bytes(len(data) - 64),
    }
    jobs = []
    for name, content in damaged.items():
        path = tmp_path / name
        path.write_bytes(content)
        jobs.append(file_job(path))
    *failed, last = outcomes([*jobs, file_job(tmp_path / "absent"), good])
    assert all(isinstance(outcome, Failure) and outcome.stage in ("load", "run") for outcome in failed), failed
    assert isinstance(last, Measurement)


def test_mutated_files_give_a_row_each(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    jobs = []
    for number, spec in enumerate([FC, CONV, MATMUL] * 25):
        data = bytearray(write_model(build_graph(spec)))
        for _ in range(4):
            data[generator.integers(min(len(data), 3000))] = generator.integers(256)
        path = tmp_path / str(number)
        path.write_bytes(data)
        jobs.append(file_job(path))
    found = outcomes(jobs, settings=MeasureSettings(time_budget_s=0.002, warm_up_s=0, memory_mb=2000, timeout_s=10))
    assert len(found) == len(jobs)
    assert {type(outcome) for outcome in found} == {Measurement, Failure}


def test_a_job_without_a_file_is_a_row(tmp_path: Path) -> None:
    (failed,) = outcomes([Job(spec=FC, graph=None, artifact=None)])
    assert isinstance(failed, Failure)
    assert failed.error == "BadInput"


def test_a_model_beyond_the_memory_is_a_row_and_the_next_is_measured(tmp_path: Path) -> None:
    large = ModelSpec(family="fc", params=FcParams(input=8192, layer=1, node=8192, output=8192), batch=1)
    settings = MeasureSettings(time_budget_s=0.02, warm_up_s=0.002, memory_mb=100)
    failed, after = outcomes([job(tmp_path, large), job(tmp_path, FC)], settings=settings)
    assert isinstance(failed, Failure)
    assert isinstance(after, Measurement)


def test_relative_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = job(tmp_path, FC).artifact.path  # type: ignore[union-attr]
    monkeypatch.chdir(tmp_path)
    (outcome,) = outcomes([file_job(Path(path.name))])
    assert isinstance(outcome, Measurement)


@pytest.mark.parametrize("target", [XNNPACK, BUILTIN], ids=["xnnpack", "builtin"])
def test_outputs_are_litert_s_own(tmp_path: Path, target: Target) -> None:
    from ai_edge_litert import interpreter

    one = job(tmp_path, FC)
    assert one.artifact is not None
    session = CpuDriver().open(target)
    (first,), (again,), (other,) = (session.outputs(one, seed) for seed in (0, 0, 1))
    kinds = interpreter.OpResolverType
    resolver = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if target is BUILTIN else kinds.AUTO
    model = interpreter.Interpreter(model_path=str(one.artifact.path), experimental_op_resolver_type=resolver)
    model.allocate_tensors()
    for index, values in input_values(model, 0):
        model.set_tensor(index, values)
    model.invoke()
    np.testing.assert_array_equal(first, model.get_tensor(model.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


class _Inputs:
    """Stands for a model with one input of each type."""

    types = (np.int8, np.uint8, np.float32, np.float16, np.int32, np.bool_)

    def get_input_details(self) -> list[dict[str, Any]]:
        return [
            {"index": number, "shape": np.array([50, 100]), "dtype": kind} for number, kind in enumerate(self.types)
        ]


def test_input_values_are_seeded_and_span_their_type() -> None:
    first, again, other = (input_values(_Inputs(), seed) for seed in (1, 1, 2))
    for (index, values), (_, same), (_, changed) in zip(first, again, other, strict=True):
        assert values.shape == (50, 100)
        assert values.dtype == _Inputs.types[index]
        np.testing.assert_array_equal(values, same)
        if values.dtype.kind in "iu" and values.dtype.itemsize == 1:
            limits = np.iinfo(values.dtype)
            assert (values.min(), values.max()) == (limits.min, limits.max)
        if values.dtype.kind == "f":
            assert -1 <= values.min() < -0.99
            assert 0.99 < values.max() <= 1
        assert np.array_equal(values, changed) == (values.dtype in (np.int32, np.bool_))


def test_probe_imports_nothing_and_knows_the_version() -> None:
    code = (
        "import sys; from paraedge.devices.cpu import CpuDriver; (info,) = CpuDriver().probe()\n"
        "assert not {'ai_edge_litert', 'numpy', 'pandas'} & set(sys.modules); print(info.runtime_version)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    from importlib.metadata import version

    assert done.stdout.strip() == version("ai-edge-litert")


def test_probe_without_litert_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    (here,) = CpuDriver().probe()
    assert isinstance(here, DeviceInfo)
    assert (here.id, here.batch_mode, here.runtime) == ("cpu", "native", "LiteRT")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (absent,) = CpuDriver().probe()
    assert isinstance(absent, Absence)
    assert absent.remedy == "pip install ai-edge-litert"


def test_targets_are_every_combination() -> None:
    found = CpuDriver().targets("cpu", (1, 2), ("xnnpack", "builtin"))
    assert [(target.threads, target.kernels) for target in found] == [
        (1, "xnnpack"),
        (1, "builtin"),
        (2, "xnnpack"),
        (2, "builtin"),
    ]
    assert CpuDriver().targets("cpu", (), ()) == (XNNPACK,)


@pytest.mark.parametrize(("threads", "kernels"), [((0,), ()), ((-1,), ()), ((1,), ("fast",))])
def test_impossible_targets_are_bad_input(threads: tuple[int, ...], kernels: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=r"take"):
        CpuDriver().targets("cpu", threads, kernels)


def test_roofs_hold_the_probes(tmp_path: Path) -> None:
    probes = [
        job(tmp_path, FC),
        job(tmp_path, ModelSpec(family="matmul", params=MatmulParams(n=512), batch=64)),
        job(tmp_path, ModelSpec(family="matmul", params=MatmulParams(n=512), batch=64, precision="float32")),
        file_job(tmp_path / "absent"),
    ]
    roofs = {roof.level: roof for roof in measure_roofs(CpuDriver(), XNNPACK, probes, MeasureSettings())}
    assert all(roof.origin is Origin.MEASURED and roof.value > 0 and roof.source for roof in roofs.values())
    assert {"int8", "float32", "invoke", "DRAM"} <= set(roofs)
    bandwidths = [roof.value for roof in roofs.values() if roof.kind == "bandwidth"]
    assert bandwidths == sorted(bandwidths, reverse=True)
    for probe, outcome in zip(probes, outcomes(probes), strict=True):
        if isinstance(outcome, Measurement) and probe.spec and probe.graph and probe.graph.macs:
            latency_ns = min(block.duration_ns / block.invokes for block in outcome.blocks)
            assert 2 * probe.graph.macs / latency_ns < 1.3 * roofs[probe.spec.precision].value
            assert latency_ns / 1e6 > 0.7 * roofs["invoke"].value


def test_roofs_without_a_probe_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_roofs, "TRY_NS", 10_000)
    session = CpuSession(None, XNNPACK)
    kinds = {roof.kind for roof in cpu_roofs.measure(session, [], MeasureSettings())}
    assert kinds == {"compute", "bandwidth"}
