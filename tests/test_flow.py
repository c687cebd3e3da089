"""The stream from a sweep's text to rows, on the real CPU and the simulated Edge TPU."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest
from compiler_stand_in import VERSION, Attempt, calls, compiled_twin, report_text, write_compiler

from paraedge import flow, models, simulate
from paraedge.archive import read_campaign
from paraedge.archive.meta import read_meta
from paraedge.build import CompileOptions, scratch
from paraedge.core.device import MeasureSettings, Origin, Target
from paraedge.core.errors import BadCampaign, DeviceBusy, DeviceMissing
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Artifact, Job, Measurement, Outcome
from paraedge.devices import registry
from paraedge.devices.driver import Session
from paraedge.devices.simulated import SimulatedDriver
from paraedge.run import device_lock
from paraedge.sweep import Sweep, parse_sweep
from paraedge.tflite import read_packages

TEXT = """
name = "flow"
devices = ["cpu", "sim-edgetpu-usb3"]
[measure]
rounds = 2
time_budget_s = 0.02
[[grid]]
family = "fc"
layer = 2
node = [16, 32]
input = 8
output = 4
batch = [1, 3]
[[grid]]
family = "matmul"
n = 16
precision = ["int8", "float32"]
"""

ONE_POINT = """
name = "one"
devices = ["sim-edgetpu-usb3"]
[[grid]]
family = "fc"
layer = 2
node = 16
input = 8
output = 4
"""


@pytest.fixture(scope="module")
def sweep() -> Sweep:
    return parse_sweep(TEXT, source="flow.toml")


@pytest.fixture(scope="module")
def campaign(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow") / "campaign"
    seen: list[flow.Progress] = []
    summary = flow.run_campaign(sweep, folder=folder, progress=seen.append)
    assert (summary.total, summary.done_before, summary.ok, summary.failed) == (18, 0, 17, 1)
    assert [step.done for step in seen] == list(range(1, 19))
    assert 0 < summary.timed_s < summary.wall_s
    return folder


def runs(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "runs.csv")


def test_a_row_for_every_point_device_and_round(campaign: Path) -> None:
    table = runs(campaign)
    assert table.groupby(["device", "round"]).size().to_dict() == {
        ("cpu", 1): 6,
        ("cpu", 2): 6,
        ("sim-edgetpu-usb3", 1): 6,
    }
    assert set(zip(table.device, table.origin, strict=True)) == {
        ("cpu", "measured"),
        ("sim-edgetpu-usb3", "simulated"),
    }


def test_what_a_device_cannot_run_is_a_row_with_a_reason(campaign: Path) -> None:
    failed = runs(campaign).query("status == 'failed'")
    assert failed[["device", "precision"]].to_numpy().tolist() == [["sim-edgetpu-usb3", "float32"]]
    assert "int8" in failed.error.item()
    assert failed.latency_median_ms.isna().all()


def test_counts_are_of_the_whole_batch_on_both_kinds_of_device(campaign: Path) -> None:
    table = runs(campaign).query("family == 'fc'")
    expected = table.batch * (8 * table.node + table.node**2 + 4 * table.node)
    assert (table.macs == expected).all()
    assert (table.parameters == 8 * table.node + table.node**2 + 4 * table.node + 2 * table.node + 4).all()
    rates = table.batch / (table.latency_median_ms / 1e3)
    assert rates.to_numpy() == pytest.approx(table.examples_per_s.to_numpy(), rel=1e-6)
    looped = table.query("device == 'sim-edgetpu-usb3'").set_index(["node", "batch"]).latency_median_ms
    assert looped[16, 3] == pytest.approx(3 * looped[16, 1])


def test_rounds_visit_the_points_in_another_order(campaign: Path) -> None:
    cpu = runs(campaign).query("device == 'cpu'")
    first, second = (cpu.query(f"round == {number}").spec_id.tolist() for number in (1, 2))
    assert sorted(first) == sorted(second)
    assert first != second


def test_samples_belong_to_rows_and_give_their_summary(campaign: Path) -> None:
    samples = pd.read_csv(campaign / "samples.csv")
    latency = (samples.block_ns / samples.invokes / 1e6).groupby(samples.run_id).median()
    table = runs(campaign).query("device == 'cpu'").set_index("run_id")
    assert latency[table.index].to_numpy() == pytest.approx(table.latency_median_ms.to_numpy(), rel=1e-6)


def test_meta_holds_measured_roofs_and_the_shipped_ones(campaign: Path) -> None:
    roofs = read_campaign(campaign).meta["roofs"]
    assert {target.split()[0] for target in roofs} == {"cpu", "sim-edgetpu-usb3"}
    cpu = next(found for target, found in roofs.items() if target.startswith("cpu"))
    assert {roof["origin"] for roof in cpu} == {"measured"}
    assert {"int8", "float32", "DRAM"} <= {roof["level"] for roof in cpu}
    assert any(roof["kind"] == "floor" for roof in cpu)


class OddDriver(SimulatedDriver):
    """A third party's driver that goes wrong in the way it is told to."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def why_not(self, graph: LayerGraph, target: Target) -> str | None:
        if self.fault == "why_not":
            raise RuntimeError("no idea")
        return super().why_not(graph, target)

    def open(self, target: Target) -> Session:
        session = super().open(target)
        info = dataclasses.replace(session.info, origin=Origin.MEASURED)
        odd = Measurement(device=info, blocks=(), stop_reason="simulated")
        return cast(Session, SimpleNamespace(info=info, sample=lambda *_: odd, roofs=lambda *_: (), close=lambda: None))


class CompiledDriver(SimulatedDriver):
    """Needs compiled files, as a real Edge TPU does; its session sees what it was given."""

    def __init__(self, *, isolated: bool = False) -> None:
        super().__init__(needs_compiled=True, isolated=isolated)

    def open(self, target: Target) -> Session:
        session = super().open(target)

        def sample(job: Job, settings: MeasureSettings) -> Outcome:
            assert job.artifact is not None
            assert job.artifact.path.name.endswith("_edgetpu.tflite")
            assert [file.name for file in job.artifact.path.parent.iterdir()] == [job.artifact.path.name]
            assert sum(package.cached_bytes for package in read_packages(job.artifact.path)) == 4321
            return session.sample(job, settings)

        return cast(
            Session, SimpleNamespace(info=session.info, sample=sample, roofs=session.roofs, close=session.close)
        )


def test_a_driver_that_needs_compiled_files_gets_them_and_rows_have_the_compilers_placement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = parse_sweep(ONE_POINT, source="one.toml")
    graph = models.build_graph(next(iter(sweep.points())))
    twin = compiled_twin(graph, on_cpu=(2,), cached_bytes=4321)
    program = write_compiler(tmp_path / "c", Attempt(text=report_text(), files={"model_edgetpu.tflite": twin}))
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(program))
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "find", lambda device: CompiledDriver())
    flow.run_campaign(sweep, folder=tmp_path / "out", devices=["sim-edgetpu-usb3"])
    row = runs(tmp_path / "out").iloc[0]
    assert (row.status, row.placement, row.compiler) == ("ok", "compiler", VERSION)
    assert (row.on_chip_bytes, row.off_chip_bytes) == (4321, 0)
    assert row.placed == "on_chip=0-1 on_cpu=2"
    assert row.file_bytes == len(twin)


@pytest.mark.parametrize("attempt", [None, Attempt(text="Model not quantized", exit=1), Attempt(signal="SIGSEGV")])
def test_what_cannot_be_compiled_is_a_row_of_stage_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: Attempt | None
) -> None:
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    program = tmp_path / "nowhere" if attempt is None else write_compiler(tmp_path / "c", attempt)
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(program))
    monkeypatch.setattr(registry, "find", lambda device: CompiledDriver())
    sweep = parse_sweep(ONE_POINT, source="one.toml")
    summary = flow.run_campaign(sweep, folder=tmp_path / "out", devices=["sim-edgetpu-usb3"])
    assert (summary.ok, summary.failed) == (0, 1)
    error = runs(tmp_path / "out").error.item()
    named = "NoCompiler" if attempt is None else "Crashed: SIGSEGV" if attempt.signal else "NotQuantized"
    assert error.startswith(f"compile: {named}: ")


def test_what_failed_to_compile_is_not_tried_again_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever asks for it: a round, a device, another batch of the same model, or the probes of a device's roofs."""
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    program = write_compiler(tmp_path / "c", Attempt(signal="SIGSEGV"))
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(program))
    driver = CompiledDriver(isolated=True)  # so it has rounds and roofs
    monkeypatch.setattr(registry, "find", lambda device: driver)
    found = simulate.roofs(simulate.load_hardware("sim-edgetpu-usb3"))
    monkeypatch.setattr(flow.run, "measure_roofs", lambda *_: found)  # a child can't always import this module
    text = ONE_POINT.replace("node = 16", "node = [16, 32]\nbatch = [1, 3]") + "[measure]\nrounds = 2\n"
    devices = ["sim-edgetpu-usb3", "sim-edgetpu-pcie"]
    sweep = parse_sweep(text, source="crashes.toml")
    summary = flow.run_campaign(sweep, folder=tmp_path / "out", devices=devices)
    assert (summary.ok, summary.failed) == (0, 16)
    probes = {dataclasses.replace(probe, batch=1).spec_id for probe in flow.ROOF_PROBES if probe.precision == "int8"}
    once = CompileOptions().attempts * (2 + len(probes))
    assert len(calls(program)) == once == 18
    assert read_meta(tmp_path / "out")["roof_errors"] == {}
    again = flow.run_campaign(sweep, folder=tmp_path / "out", devices=devices, retry_failed=True)
    assert (again.failed, len(calls(program))) == (16, once + CompileOptions().attempts * 2)  # the roofs are known


def test_a_simulated_point_is_estimated_and_has_no_compiler(campaign: Path) -> None:
    table = runs(campaign)
    simulated = table.query("device == 'sim-edgetpu-usb3' and status == 'ok'")
    assert set(simulated.placement) == {"estimated"}
    assert table.compiler.isna().all()


@pytest.mark.parametrize("fault", ["why_not", "measurement"])
def test_a_driver_that_goes_wrong_makes_rows_not_an_end(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    driver = OddDriver(fault)
    monkeypatch.setattr(registry, "find", lambda device: driver)
    summary = flow.run_campaign(sweep, folder=tmp_path / "odd", devices=["sim-edgetpu-usb3"])
    assert (summary.ok, summary.failed) == (0, 6)


def test_a_resume_keeps_the_environment_and_adds_up_the_time(sweep: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "campaign"
    flow.run_campaign(sweep, folder=folder, devices=["cpu"])
    first = read_campaign(folder).meta
    flow.run_campaign(sweep, folder=folder, devices=["sim-edgetpu-pcie"])
    flow.run_campaign(sweep, folder=folder, devices=["sim-edgetpu-pcie"])
    second = read_campaign(folder).meta
    assert second["environment"] == first["environment"]
    assert len(second["resumed_in"]) == 1
    assert second["timing"]["timed_s"] == first["timing"]["timed_s"] > 0
    assert second["timing"]["wall_s"] > first["timing"]["wall_s"]


def test_nothing_to_do_the_second_time_but_failures_on_request(sweep: Sweep, campaign: Path) -> None:
    before = (campaign / "runs.csv").read_bytes()
    again = flow.run_campaign(sweep, folder=campaign)
    assert (again.done_before, again.ok, again.failed) == (18, 0, 0)
    assert (campaign / "runs.csv").read_bytes() == before
    retried = flow.run_campaign(sweep, folder=campaign, retry_failed=True)
    assert (retried.ok, retried.failed) == (0, 1)
    assert runs(campaign).query("status == 'failed'").attempt.tolist() == [1, 2]
    assert len(read_campaign(campaign).runs) == 18


def test_an_edited_sweep_is_refused(campaign: Path) -> None:
    edited = parse_sweep(TEXT.replace("[16, 32]", "[16, 64]"), source="flow.toml")
    with pytest.raises(BadCampaign):
        flow.run_campaign(edited, folder=campaign)


def test_an_unknown_device_is_named_before_anything_starts(sweep: Sweep, tmp_path: Path) -> None:
    with pytest.raises(DeviceMissing, match="sim-edgetpu-pcie"):
        flow.run_campaign(sweep, folder=tmp_path / "campaign", devices=["sim-edgetpu-usb9"])
    assert not (tmp_path / "campaign").exists()


def test_one_campaign_at_a_time_on_a_device(sweep: Sweep, tmp_path: Path) -> None:
    code = f"from paraedge.run import device_lock\nwith device_lock('cpu'): print({os.getpid()}, flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(DeviceBusy, match=str(holder.pid)):
            flow.run_campaign(sweep, folder=tmp_path / "campaign")
    finally:
        holder.communicate("\n")
    with device_lock("cpu"):
        pass


def test_expand_and_build_agree_on_sizes(sweep: Sweep, tmp_path: Path) -> None:
    sizes = {str(row["spec_id"]): row["file_bytes"] for row in flow.expand(sweep)}
    for spec, artifact in flow.build_models(sweep, tmp_path / "models"):
        assert isinstance(artifact, Artifact)
        assert artifact.path.stat().st_size == artifact.file_bytes
        assert abs(artifact.file_bytes - int(str(sizes[spec.spec_id]))) <= 2048


@pytest.mark.parametrize("device", ["cpu", "sim-edgetpu-pcie"])
def test_a_model_beyond_two_gibibytes_is_a_failed_row(tmp_path: Path, device: str) -> None:
    text = """
    name = "large"
    devices = ["cpu"]
    [measure]
    rounds = 1
    [[grid]]
    family = "fc"
    layer = 128
    node = 8192
    input = 64
    output = 10
    """
    summary = flow.run_campaign(parse_sweep(text, source="large.toml"), folder=tmp_path / "large", devices=[device])
    assert (summary.ok, summary.failed) == (0, 1)
    error = runs(tmp_path / "large").error.item()
    assert error.startswith("build")
    assert "2 GiB" in error


def test_models_of_a_killed_run_are_cleared_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MEMORY", tmp_path)
    monkeypatch.setattr(scratch, "ROOM_BYTES", 0)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    abandoned = tmp_path / f"{scratch.PREFIX}{gone.pid}-x"
    abandoned.mkdir()
    (abandoned / "model.tflite").write_bytes(b"x" * 1000)
    with scratch.work_folder() as folder:
        assert folder.is_dir()
        assert not abandoned.exists()
    with contextlib.suppress(FileNotFoundError):
        assert not list(tmp_path.iterdir())
