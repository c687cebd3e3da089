"""The driver of real Edge TPUs: real children and throw-away processes, on a made-up host and a stand-in delegate."""

from __future__ import annotations

import dataclasses
import itertools
import os
import statistics
from importlib.metadata import version
from pathlib import Path

import pytest
from compiled_files import compiled_model
from edgetpu_stand_in import Host, make_host

from paraedge import models
from paraedge.core.device import Absence, DeviceInfo, MeasureSettings, Origin, Target
from paraedge.core.errors import DeviceMissing, ParaedgeError
from paraedge.core.outcome import Artifact, Failure, Job, Measurement, Outcome, Placement
from paraedge.core.spec import ModelSpec
from paraedge.devices import edgetpu_host, edgetpu_trial, registry
from paraedge.devices.edgetpu import EdgeTpuDriver
from paraedge.models.matmul import MatmulParams
from paraedge.run import measure_roofs, sustain, visit

QUICK = MeasureSettings(time_budget_s=0.05, warm_up_s=0.002)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return make_host(tmp_path, monkeypatch)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(compiled_model())
    return path


def placement(on_cpu: tuple[int, ...] = ()) -> Placement:
    return Placement(
        source="compiler", on_device=(0,), on_cpu=on_cpu, on_chip=None, off_chip=None, on_chip_bytes=0,
        off_chip_bytes=0, reasons=dict.fromkeys(on_cpu, "operation not supported"),
    )  # fmt: skip


def job(path: Path, where: Placement | None = None) -> Job:
    artifact = Artifact(path=path, file_bytes=1, recipe="compiled", placement=where)
    return Job(spec=None, graph=None, artifact=artifact)


def sampled(*jobs: Job, device: str = "edgetpu:0", settings: MeasureSettings = QUICK) -> list[Outcome]:
    return list(visit(EdgeTpuDriver(), Target(device=device), iter(jobs), settings))


# --- what is here ---


def absence() -> Absence:
    (found,) = EdgeTpuDriver().probe()
    assert isinstance(found, Absence)
    return found


def test_no_device_is_an_absence_with_a_remedy(host: Host) -> None:
    assert absence().id == "edgetpu"
    assert "plug one in" in (absence().remedy or "")
    with pytest.raises(DeviceMissing, match="none on USB"):
        registry.find("edgetpu:0")


def test_a_device_without_its_library_is_an_absence_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_host(tmp_path, monkeypatch, library=None).usb("2-1")
    assert absence().id == "edgetpu:0"
    assert "apt install libedgetpu1-std" in (absence().remedy or "")


def test_a_named_library_that_is_not_there_is_an_absence_that_names_the_variable(host: Host, tmp_path: Path) -> None:
    host.usb("2-1")
    host.monkeypatch.setenv(edgetpu_host.LIBRARY_VARIABLE, str(tmp_path / "nope.so"))
    assert f"PARAEDGE_LIBEDGETPU={tmp_path / 'nope.so'} is not a file" in absence().reason
    assert "export PARAEDGE_LIBEDGETPU=" in (absence().remedy or "")


def test_names_that_are_no_device(host: Host) -> None:
    for name in ("edgetpu", "edgetpu:", "edgetpu:x", "edgetpu:-1"):
        with pytest.raises(DeviceMissing, match="write edgetpu:0"):
            registry.find(name)
    with pytest.raises(DeviceMissing, match=r"`paraedge doctor` lists what else is missing$"):
        registry.find("edgetpu:7")
    with pytest.raises(DeviceMissing, match="PARAEDGE_HARDWARE"):
        registry.find("mine.toml")


def test_a_device_without_an_interpreter_is_an_absence_with_a_remedy(host: Host) -> None:
    host.usb("2-1")
    host.monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install ai-edge-litert" in (absence().remedy or "")


def test_a_module_of_another_group_is_an_absence_with_a_remedy(host: Host) -> None:
    host.pcie()
    host.monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "apex" in (absence().remedy or "")


def test_devices_say_their_link_runtime_and_host(host: Host) -> None:
    host.pcie(speed="2.5 GT/s PCIe")
    host.usb("1-2", "480")
    host.usb("2-1")
    host.monkeypatch.delenv(edgetpu_host.LIBRARY_VARIABLE)
    host.monkeypatch.setattr(edgetpu_host, "find_library", lambda: "libedgetpu.so.1")
    host.package("libedgetpu1-std")
    found = [one for one in EdgeTpuDriver().probe() if isinstance(one, DeviceInfo)]
    assert [(one.id, one.link, one.link_mbit_per_s, one.clock_mhz, one.port) for one in found] == [
        ("edgetpu:0", "PCIe", 2000, 500, "PCIe apex_0"),
        ("edgetpu:1", "USB 2", 480, 250, "USB 1-2"),
        ("edgetpu:2", "USB 3", 5000, 250, "USB 2-1"),
    ]
    assert {one.runtime for one in found} == {"libedgetpu std"}
    assert all(one.host and one.origin is Origin.MEASURED and one.batch_mode == "looped" for one in found)
    assert found[0].details["pcie_link"] == "2.5 GT/s x1 of 5.0 GT/s x1"
    assert "none" in found[1].details["temperature"]


def test_a_made_up_host_says_so(host: Host) -> None:
    host.usb("2-1")
    (info,) = EdgeTpuDriver().probe()
    assert isinstance(info, DeviceInfo)
    assert "made up" in info.details["sysfs"]


def test_looking_opens_nothing(host: Host) -> None:
    host.usb("2-1")
    host.behave(load="crash")
    assert isinstance(EdgeTpuDriver().probe()[0], DeviceInfo)
    assert host.opened() == []


def test_the_registry_offers_it(host: Host) -> None:
    host.usb("2-1")
    assert registry.find("edgetpu:0").name == "edgetpu"
    assert registry.info("edgetpu:0").port == "USB 2-1"


@pytest.mark.parametrize(("precision", "fits"), [("int8", True), ("float32", False)])
def test_only_quantized_models_fit(precision: str, fits: bool) -> None:
    graph = models.build_graph(ModelSpec(family="matmul", params=MatmulParams(n=8), precision=precision))  # type: ignore[arg-type]
    assert (EdgeTpuDriver().why_not(graph, Target(device="edgetpu:0")) is None) == fits


# --- samples ---


def test_open_first_invoke_and_steady_state_are_measured_apart(host: Host, model: Path) -> None:
    host.usb("2-1")
    host.behave(ms={"usb:0": 3.0})
    (outcome,) = sampled(job(model))
    assert isinstance(outcome, Measurement), outcome
    latencies_ms = [block.duration_ns / block.invokes / 1e6 for block in outcome.blocks]
    assert min(latencies_ms) >= 3.0
    assert outcome.first_ns is not None
    assert outcome.first_ns / 1e6 >= 23.0  # the stand-in uploads parameters for 20 ms
    assert statistics.median(latencies_ms) < outcome.first_ns / 1e6
    assert outcome.open_ns is not None
    assert outcome.temperature_c is None
    assert outcome.device.details["option"] == "usb:0"
    assert float(outcome.device.details["device_open_ms"]) >= 0


def test_each_round_tries_the_delegate_in_a_process_of_its_own_and_then_loads_it_once(host: Host, model: Path) -> None:
    host.usb("2-1")
    first, second = sampled(job(model), job(model))
    assert isinstance(first, Measurement)
    assert isinstance(second, Measurement)
    trial, session = host.opened()
    assert trial[0] != session[0] != str(os.getpid())
    assert trial[1:] == session[1:] == ["libedgetpu.so.1", "usb:0"]


def test_temperature_of_a_module_and_the_option_of_each_device(host: Host, model: Path) -> None:
    host.pcie(celsius=61.5)
    host.usb("2-1")
    host.usb("2-2")
    host.behave(ms={"pci:0": 1.0, "usb:0": 2.0, "usb:1": 4.0})
    found = [sampled(job(model), device=f"edgetpu:{number}")[0] for number in range(3)]
    assert all(isinstance(one, Measurement) for one in found)
    assert [one.temperature_c for one in found if isinstance(one, Measurement)] == [61.5, None, None]
    assert [opened[2] for opened in host.opened()] == ["pci:0", "pci:0", "usb:0", "usb:0", "usb:1", "usb:1"]
    medians = [
        statistics.median(block.duration_ns / block.invokes for block in one.blocks)
        for one in found
        if isinstance(one, Measurement)
    ]
    assert all(after > before for before, after in itertools.pairwise(medians))


@pytest.mark.parametrize("on_cpu", [(), (1,)])
@pytest.mark.parametrize("allowed", [False, True])
def test_ops_on_the_cpu_are_refused_unless_asked_for(
    host: Host, model: Path, on_cpu: tuple[int, ...], allowed: bool
) -> None:
    host.usb("2-1")
    settings = MeasureSettings(time_budget_s=0.02, warm_up_s=0.002, allow_cpu_ops=allowed)
    (outcome,) = sampled(job(model, placement(on_cpu)), settings=settings)
    if on_cpu and not allowed:
        assert isinstance(outcome, Failure)
        assert (outcome.stage, outcome.error) == ("load", "CpuOps")
        assert "1 op beside the compiled ones is left on the CPU" in outcome.message
        assert "operation not supported" in outcome.message
        assert "allow_cpu_ops" in outcome.message
    else:
        assert isinstance(outcome, Measurement)


def test_a_sustained_run_refuses_ops_on_the_cpu_too(host: Host, model: Path) -> None:
    host.usb("2-1")
    place, left = Target(device="edgetpu:0"), job(model, placement((1, 2)))
    with pytest.raises(ParaedgeError, match="load: CpuOps: 2 ops beside the compiled ones are left"):
        list(sustain(EdgeTpuDriver(), place, left, QUICK, for_s=0.1))
    allowed = dataclasses.replace(QUICK, allow_cpu_ops=True)
    assert list(sustain(EdgeTpuDriver(), place, left, allowed, for_s=0.1))


def test_a_link_that_changes_as_the_firmware_is_loaded(host: Host, model: Path) -> None:
    host.usb("2-1", "480", ids=("1a6e", "089a"))
    folder = host.root / "sys/bus/usb/devices/2-1"
    loaded = {"speed": "5000", "idVendor": "18d1", "idProduct": "9302"}
    host.behave(firmware={str(folder / name): text for name, text in loaded.items()})
    assert (registry.info("edgetpu:0").link, registry.info("edgetpu:0").details["firmware"]) == ("USB 2", "not yet")
    (outcome,) = sampled(job(model))
    assert isinstance(outcome, Measurement), outcome
    assert (outcome.device.link, outcome.device.link_mbit_per_s) == ("USB 3", 5000)
    assert outcome.device.details["firmware"] == "loaded"


def test_a_device_that_was_numbered_anew_is_refused_before_it_is_opened(host: Host, model: Path) -> None:
    host.usb("2-2")
    assert registry.lock_name("edgetpu:0") == "USB 2-2"
    known = registry.present()
    host.usb("2-1")  # now edgetpu:0; this process has looked before
    host.monkeypatch.setattr(registry, "present", lambda: known)
    outcome = opening(host, model)
    assert outcome.error == "DeviceMoved"
    assert "was at USB 2-2" in outcome.message
    assert "is at USB 2-1 now" in outcome.message
    with pytest.raises(ParaedgeError, match="DeviceMoved"):
        list(sustain(EdgeTpuDriver(), Target(device="edgetpu:0"), job(model), QUICK, for_s=0.1))
    assert host.opened() == []


def test_a_file_that_is_no_model_is_a_failure_and_the_next_job_goes_on(host: Host, tmp_path: Path, model: Path) -> None:
    host.usb("2-1")
    (tmp_path / "bad.tflite").write_bytes(b"not a model")
    bad, good = sampled(job(tmp_path / "bad.tflite"), job(model))
    assert isinstance(bad, Failure)
    assert (bad.stage, bad.error) == ("load", "ValueError")
    assert isinstance(good, Measurement)


def test_a_crash_in_invoke_is_a_failure_with_its_signal(host: Host, model: Path) -> None:
    host.usb("2-1")
    host.behave(invoke="crash")
    (outcome,) = sampled(job(model))
    assert isinstance(outcome, Failure)
    assert (outcome.stage, outcome.signal) == ("run", "SIGSEGV")


def test_roofs_are_the_best_of_the_probes(host: Host, model: Path) -> None:
    host.usb("2-1")
    host.behave(ms={"usb:0": 2.0})
    spec = ModelSpec(family="matmul", params=MatmulParams(n=64))
    graph = models.build_graph(spec)
    probe = Job(spec=spec, graph=graph, artifact=job(model).artifact)
    peak, floor = measure_roofs(EdgeTpuDriver(), Target(device="edgetpu:0"), [probe], QUICK)
    assert (peak.kind, floor.kind) == ("compute", "floor")
    assert floor.value >= 2.0
    assert graph.macs is not None
    assert peak.value == pytest.approx(2 * graph.macs / (floor.value * 1e6))


# --- what goes wrong before there is a session ---


def opening(host: Host, model: Path) -> Failure:
    (outcome,) = sampled(job(model))
    assert isinstance(outcome, Failure)
    assert outcome.stage == "open"
    return outcome


@pytest.mark.parametrize(
    ("how", "error", "signal", "said"),
    [
        ("crash", "DelegateCrashed", "SIGSEGV", "they don't fit each other"),
        ("refuse", "DelegateRefused", None, "plugdev"),
        ("missing", "DeviceMissing", None, "apt install"),
        ("no delegate", "DeviceMissing", None, "PARAEDGE_LIBEDGETPU"),
        ("exit", "DelegateRefused", None, "no space left"),
    ],
)
def test_a_delegate_that_does_not_load_is_a_failure_with_a_remedy(
    host: Host, model: Path, how: str, error: str, signal: str | None, said: str
) -> None:
    """The other interpreter, real LiteRT, can't load the stand-in's library either; the first one's trouble is told."""
    host.usb("2-1")
    host.behave(load=how)
    outcome = opening(host, model)
    assert (outcome.error, outcome.signal) == (error, signal)
    assert said in outcome.message


def test_a_delegate_that_hangs_is_given_up_and_its_process_is_gone(host: Host) -> None:
    host.usb("2-1")
    host.behave(load="hang")
    (stick,) = edgetpu_host.find_attached()
    with pytest.raises(edgetpu_trial.DelegateHung, match="plug it in again"):
        edgetpu_trial.trial(stick, "libedgetpu.so.1", "tflite_runtime", timeout_s=2.0)
    ((pid, _, _),) = host.opened()
    assert not Path(f"/proc/{pid}").exists()


def test_a_device_that_was_pulled_out_is_missing(host: Host, model: Path) -> None:
    assert "not attached any more" in opening(host, model).message


@pytest.mark.parametrize(
    ("library", "said"),
    [("libthereisnone.so.1", "can't be loaded"), ("libc.so.6", "no delegate"), ("/", "can't be loaded")],
)
def test_real_litert_on_what_is_no_delegate(host: Host, library: str, said: str) -> None:
    host.usb("2-1")
    (stick,) = edgetpu_host.find_attached()
    with pytest.raises(DeviceMissing, match=said):
        edgetpu_trial.trial(stick, library, "ai_edge_litert")


def test_an_interpreter_that_does_not_fit_is_passed_over(host: Host) -> None:
    host.usb("2-1")
    (stick,) = edgetpu_host.find_attached()
    host.monkeypatch.setattr(edgetpu_trial, "RUNTIMES", {"ai_edge_litert": "x", "tflite_runtime": "y"})
    assert edgetpu_trial.first_that_loads(stick, "libedgetpu.so.1").runtime == "tflite_runtime"


def test_interpreters_in_their_order(host: Host) -> None:
    assert edgetpu_trial.installed() == ("tflite_runtime", "ai_edge_litert")
    assert edgetpu_trial.runtime_label("ai_edge_litert") == f"ai-edge-litert {version('ai-edge-litert')}"
    assert edgetpu_trial.runtime_label("tflite_runtime") == "tflite-runtime"  # the stand-in is no distribution
