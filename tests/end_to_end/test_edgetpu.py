"""From a sweep to a report on Edge TPUs: a made-up host, a stand-in compiler and delegate, all else as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from compiled_files import compiled_model
from compiler_stand_in import VERSION, Attempt, compiled_twin, report_text, write_compiler
from edgetpu_stand_in import Host, make_host
from typer.testing import CliRunner

from paraedge import models, run
from paraedge.archive import read_campaign
from paraedge.cli import app
from paraedge.core.errors import DeviceBusy
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.fc import FcParams
from paraedge.simulate.hardware import SHIPPED
from paraedge.tflite import write_model

FC = ModelSpec(family="fc", params=FcParams(input=64, layer=5, node=64, output=10))
SWEEP = """
name = "real"
devices = ["edgetpu:0", "edgetpu:1", "sim-edgetpu-usb3"]
[measure]
rounds = 2
time_budget_s = 0.02
warm_up_s = 0.002
{settings}
[[grid]]
family = "fc"
input = 64
layer = 5
node = 64
output = 10
"""


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def seen(diagnosis: dict[str, Any]) -> set[str]:
    return {cause["name"] for cause in diagnosis["causes"] if cause["evidence"] == "seen"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Two devices behind different ports, std clocks."""
    monkeypatch.setenv("PARAEDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARAEDGE_EDGETPU_COMPILER", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    host = make_host(tmp_path, monkeypatch, library="opt/throttled/k8/libedgetpu.so.1")
    library = tmp_path / "opt/throttled/k8/libedgetpu.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    host.pcie(speed="2.5 GT/s PCIe", celsius=50.0)
    host.usb("1-3", "480")
    host.behave(ms={"pci:0": 2.0, "usb:0": 4.0})
    return host


def compiler(host: Host, on_cpu: tuple[int, ...] = ()) -> None:
    graph = models.build_graph(FC)
    twin = compiled_twin(graph, on_cpu=on_cpu, cached_bytes=4096)
    attempt = Attempt(text=report_text(operators=[]), files={"model_edgetpu.tflite": twin})
    host.monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", str(write_compiler(host.root.parent / "compiler", attempt)))


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "m_edgetpu.tflite"
    path.write_bytes(compiled_model())
    return path


def test_devices_are_listed_with_their_links(host: Host) -> None:
    found = {one["id"]: one for one in as_json("devices")}
    assert (found["edgetpu:0"]["here"], found["edgetpu:0"]["link_mbit_per_s"]) == (True, 2000)
    assert (found["edgetpu:1"]["link"], found["edgetpu:1"]["runtime"]) == ("USB 2", "libedgetpu std")


def test_from_a_sweep_to_a_diagnosis_and_a_report(host: Host, tmp_path: Path) -> None:
    compiler(host)
    sweep, out = tmp_path / "real.toml", tmp_path / "out"
    sweep.write_text(SWEEP.format(settings=""))
    summary = as_json("run", sweep, "--out", out)
    assert (summary["ok"], summary["failed"]) == (5, 0)
    runs = read_campaign(out).runs
    measured = runs[runs["origin"] == "measured"]
    assert measured.groupby("device")["round"].max().to_dict() == {"edgetpu:0": 2, "edgetpu:1": 2}
    assert set(measured["placement"]) == {"compiler"}
    assert set(measured["compiler"]) == {VERSION}
    assert set(measured["on_chip_bytes"]) == {4096}
    medians = measured.groupby("device")["latency_median_ms"].min()
    assert medians["edgetpu:0"] >= 2.0
    assert medians["edgetpu:1"] >= 4.0
    assert (measured["first_ms"] > measured["latency_median_ms"]).all()
    assert set(measured[measured["device"] == "edgetpu:0"]["temperature_c"]) == {50.0}
    assert measured[measured["device"] == "edgetpu:1"]["temperature_c"].isna().all()
    assert as_json("run", sweep, "--out", out)["ok"] == 0  # nothing is left to do
    details = read_campaign(out).meta["devices"]["edgetpu:1"]["details"]
    assert (details["option"], details["interpreter"]) == ("usb:0", "tflite-runtime")  # known of an open one only

    first, second = as_json("edgetpu", "diagnose", out)
    seen = {
        one["target"]: {cause["name"] for cause in one["causes"] if cause["evidence"] == "seen"}
        for one in (first, second)
    }
    assert seen == {"edgetpu:0": {"PCIe link rate"}, "edgetpu:1": {"USB 2", "std clocks"}}
    said = call("edgetpu", "diagnose", out).stdout
    assert "seen      USB 2" in said
    assert "more than 1.5 times off the prediction: 2 of 2" in said
    assert "4.0 KiB cached, 0 B streamed, 0 on the CPU; by the prediction" in said
    assert call("report", out).exit_code == 0


@pytest.mark.parametrize(("settings", "ok"), [("", 1), ("allow_cpu_ops = true", 5)])
def test_a_model_with_ops_on_the_cpu(host: Host, tmp_path: Path, settings: str, ok: int) -> None:
    compiler(host, on_cpu=(4,))
    sweep, out = tmp_path / "real.toml", tmp_path / "out"
    sweep.write_text(SWEEP.format(settings=settings))
    assert as_json("run", sweep, "--out", out)["ok"] == ok
    failed = read_campaign(out).runs.query("status == 'failed'")
    assert len(failed) == 5 - ok
    assert failed["error"].str.contains("CpuOps").all()


def test_why_all_rows_failed_is_said(host: Host, tmp_path: Path) -> None:
    sweep, out = tmp_path / "real.toml", tmp_path / "out"
    sweep.write_text(SWEEP.format(settings=""))
    for _ in range(2):  # also where nothing is left to do
        said = call("run", sweep, "--out", out).stdout
        assert "4 failed: compile: NoCompiler: " in said
        assert "apt install" in said or "x86-64" in said
    [kind] = as_json("run", sweep, "--out", out)["failures"]
    assert (kind["kind"], kind["count"]) == ("compile: NoCompiler", 4)
    result = call("edgetpu", "diagnose", out)
    assert result.exit_code == 2
    assert "no good row was measured on an edgetpu: 4 failed (compile: NoCompiler)" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_campaign_s_diagnosis_knows_the_compiler_s_cpu_ops(host: Host, tmp_path: Path) -> None:
    compiler(host, on_cpu=(4,))
    sweep, out = tmp_path / "real.toml", tmp_path / "out"
    sweep.write_text(SWEEP.format(settings="allow_cpu_ops = true"))
    assert call("run", sweep, "--out", out).exit_code == 0
    for one in as_json("edgetpu", "diagnose", out):
        assert one["placement"]["on_cpu"] == [4]
        assert one["predicted_placement"]["on_cpu"] == []
        assert "CPU ops" in seen(one)


def test_a_campaign_holds_the_port_s_lock(host: Host, tmp_path: Path) -> None:
    compiler(host)
    (tmp_path / "real.toml").write_text(SWEEP.format(settings=""))
    with run.device_lock(registry.lock_name("edgetpu:1")):
        result = call("run", tmp_path / "real.toml", "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "in use" in result.stderr
        assert call("edgetpu", "run", tmp_path / "nothing.tflite", "-d", "edgetpu:1").exit_code == 2
    with pytest.raises(DeviceBusy), run.device_lock("USB 1-3"), run.device_lock("USB 1-3"):
        pass


def test_one_compiled_file(host: Host, compiled: Path) -> None:
    found = as_json("edgetpu", "run", compiled)
    assert found["device"]["id"] == "edgetpu:0"
    assert found["latency_median_ms"] >= 2.0
    assert found["first_ms"] > found["latency_median_ms"]
    assert found["temperature_c"] == 50.0
    said = call("edgetpu", "run", compiled, "--device", "edgetpu:1").stdout
    assert "measured, USB 2 at 480 Mbit/s, libedgetpu std" in said


def test_one_compiled_file_under_load(host: Host, compiled: Path) -> None:
    found = as_json("edgetpu", "run", compiled, "--sustain", "3s", "-o", "load.csv")["sustain"]
    assert found["stopped"] is False
    assert found["drift"]["first_c"] == 50.0
    lines = Path("load.csv").read_text().splitlines()
    assert len(lines) >= 3
    assert all(line.startswith("edgetpu:0,measured,") for line in lines[1:])
    again = call("edgetpu", "run", compiled, "--sustain", "3s", "-o", "load.csv")
    assert (again.exit_code, "there already" in again.stderr) == (2, True)


def test_a_sustained_run_that_dies_says_what_there_is(host: Host, compiled: Path) -> None:
    host.behave(ms={"pci:0": 2.0}, most_invokes=1500)  # the sample before it is of 2 s at most, and a window of 1 s
    result = call("edgetpu", "run", compiled, "--sustain", "60s", "-o", "load.csv")
    assert result.exit_code == 1
    assert "windows in load.csv" in result.stdout
    assert "SIGSEGV" in result.stderr.splitlines()[-1]
    assert len(Path("load.csv").read_text().splitlines()) >= 2
    result = call("edgetpu", "run", compiled, "--sustain", "60s", "-o", "again.csv", "--json")
    found = json.loads(result.stdout)["sustain"]
    assert (result.exit_code, found["file"], found["stopped"]) == (1, "again.csv", False)
    assert "SIGSEGV" in found["error"]


@pytest.mark.parametrize("text", ["0", "0s", "-5s", "ten", "5 parsecs", "9999999h", ""])
def test_times_that_are_none(compiled: Path, text: str) -> None:
    result = call("edgetpu", "run", compiled, f"--sustain={text}")
    assert result.exit_code == 2
    assert "600s" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_self_test(host: Host, compiled: Path) -> None:
    host.usb("1-4")
    host.behave(ms={"pci:0": 2.0, "usb:0": 6.0, "usb:1": 2.0})
    found = as_json("edgetpu", "selftest", "--model", compiled, "--rounds", 3)
    assert [one["verdict"] for one in found["standings"]] == ["not slower", "slower", "not slower"]
    assert found["conclusion"].startswith("edgetpu:1 takes")
    two = call("edgetpu", "selftest", "--model", compiled, "--rounds", 3, "-d", "edgetpu:0", "-d", "edgetpu:1")
    assert "can't tell which" in two.stdout


def test_the_self_test_compiles_a_model_of_its_own_where_it_can(host: Host) -> None:
    result = call("edgetpu", "selftest", "--rounds", 3)
    assert result.exit_code == 1
    assert "--model" in result.stderr
    compiler(host)
    assert len(as_json("edgetpu", "selftest", "--rounds", 3)["standings"]) == 2


def test_one_device_has_no_brothers_and_none_has_a_remedy(host: Host, compiled: Path, tmp_path: Path) -> None:
    result = call("edgetpu", "selftest", "--model", compiled, "-d", "edgetpu:1")
    assert (result.exit_code, "two devices or more" in result.stderr) == (2, True)
    host.monkeypatch.setenv("PARAEDGE_SYSFS_ROOT", str(tmp_path / "bare"))
    registry.present.cache_clear()
    result = call("edgetpu", "selftest", "--model", compiled)
    assert (result.exit_code, "plug one in" in result.stderr) == (2, True)
    assert result.stderr.endswith("`paraedge doctor` lists what else is missing\n")


def test_a_file_s_name_comes_before_the_device_s(host: Host, tmp_path: Path) -> None:
    gone = tmp_path / "gone.tflite"
    for command in (["run", gone], ["selftest", "--model", gone], ["diagnose", gone, "--measured-ms", "5"]):
        result = call("edgetpu", *command, "--device", "edgetpu:9")
        assert result.exit_code == 2
        assert "gone.tflite" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_model_s_latency_is_explained(host: Host, tmp_path: Path, compiled: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(write_model(models.build_graph(FC)))
    found = as_json("edgetpu", "diagnose", model, "--measured-ms", 50, "--device", "edgetpu:1")[0]
    assert found["far"] is True
    assert {"USB 2", "std clocks"} <= {cause["name"] for cause in found["causes"]}
    near = call("edgetpu", "diagnose", model, "--measured-ms", found["predicted_ms"], "--device", "edgetpu:1")
    assert "nothing to explain" in near.stdout
    for wrong, said in (
        ([model, "--measured-ms", 0], "above 0"),
        ([model, "--measured-ms", "nan"], "above 0"),
        ([model, "--measured-ms", 5, "-d", "edgetpu:9"], "sim-edgetpu-usb3"),
        ([model, "--measured-ms", 5, "-d", "sim-nothing"], "sim-edgetpu-usb3"),
        ([model, "--measured-ms", 5, "--compiled", model], "not compiled"),
        ([model, "--measured-ms", 5, "--compiled", compiled], "1x8x8x3"),
        ([compiled, "--measured-ms", 5], "compiled from"),
        ([model], "--measured-ms"),
        ([model, "--measured-ms", 5, "-d", "cpu"], "no Edge TPU"),
        ([tmp_path / "nothing"], "not a campaign"),
    ):
        result = call("edgetpu", "diagnose", *wrong)
        assert result.exit_code == 2, result.stdout
        assert said in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_latency_from_elsewhere_is_explained_by_a_simulated_device(host: Host, tmp_path: Path) -> None:
    model, twin = tmp_path / "m.tflite", tmp_path / "m_edgetpu.tflite"
    graph = models.build_graph(FC)
    model.write_bytes(write_model(graph))
    twin.write_bytes(compiled_twin(graph, on_cpu=(4,), cached_bytes=4096, streamed_bytes=8 << 20))
    command = ("edgetpu", "diagnose", model, "--measured-ms", 50, "--compiled", twin)
    for device in ("sim-edgetpu-usb3", SHIPPED / "sim-edgetpu-usb3.toml"):
        [found] = as_json(*command, "--device", device)
        evidence = {cause["name"]: cause["evidence"] for cause in found["causes"]}
        assert evidence["CPU ops"] == evidence["streamed parameters"] == "seen"
        assert evidence["USB 2"] == evidence["std clocks"] == "possible"  # nothing is known of that host
        assert (found["placement"]["on_chip_bytes"], found["placement"]["off_chip_bytes"]) == (4096, 8 << 20)
    [found] = as_json(*command, "--device", "sim-edgetpu-usb2")
    assert "USB 2" not in {cause["name"] for cause in found["causes"]}
    said = call(*command, "--device", "sim-edgetpu-usb3").stdout
    assert "4.0 KiB cached, 8.0 MiB streamed, 1 on the CPU; by the prediction" in said
    assert "1 op is on the CPU by the compiler" in said
    assert "more than 1.5 times off the prediction: 1 of 1" in said


def test_no_share_is_above_the_whole_gap(host: Host, tmp_path: Path) -> None:
    model, twin = tmp_path / "m.tflite", tmp_path / "m_edgetpu.tflite"
    graph = models.build_graph(FC)
    model.write_bytes(write_model(graph))
    twin.write_bytes(compiled_twin(graph, streamed_bytes=4 << 20))
    said = call(
        "edgetpu", "diagnose", model, "--measured-ms", 2, "--device", "sim-edgetpu-usb3", "--compiled", twin
    ).stdout
    assert "ms, more than the gap)" in said
    shares = [int(text) for text in re.findall(r"alone it would lead to [\d.]+ ms, (\d+) % of the gap", said)]
    assert all(0 < share <= 100 for share in shares)


def test_opening_is_told_apart_from_a_broken_model(host: Host, compiled: Path) -> None:
    host.behave(load="crash")
    result = call("edgetpu", "run", compiled)
    assert result.exit_code == 1
    assert "open: DelegateCrashed: SIGSEGV" in result.stderr
