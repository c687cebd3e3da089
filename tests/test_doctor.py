"""The doctor's checks on made-up hosts: trees of files, packages and libraries."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from paraedge.build import Compiler
from paraedge.core.device import Absence
from paraedge.doctor import Finding, Host, diagnose

NO_COMPILER = Absence(id="edgetpu_compiler", reason="not on the path", remedy="sudo apt install edgetpu-compiler")


def host(
    root: Path,
    *,
    versions: Mapping[str, str] | None = None,
    summaries: Mapping[str, str] | None = None,
    libraries: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    compiler: Compiler | Absence = NO_COMPILER,
) -> Host:
    return Host(
        root=root,
        environment=environment or {},
        package_version=(versions or {}).get,
        package_summary=(summaries or {}).get,
        find_library=(libraries or {}).get,
        find_compiler=lambda: compiler,
    )


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def usb(root: Path, ids: tuple[str, str], speed: str) -> None:
    for name, text in {"idVendor": ids[0], "idProduct": ids[1], "speed": speed}.items():
        write(root / "sys/bus/usb/devices/2-1" / name, text)


def by_check(found: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.check: finding for finding in found}


def test_a_bare_host_lacks_everything_and_says_how_to_mend_it(tmp_path: Path) -> None:
    found = by_check(diagnose(host(tmp_path)))
    for check in ("LiteRT", "edgetpu_compiler", "libedgetpu", "Edge TPU"):
        assert found[check].status == "missing"
        assert found[check].remedy
    assert found["CPU governor"].status == "info"
    assert "tflite-runtime" not in found
    assert "pycoral" not in found


@pytest.mark.parametrize("ids", [("1a6e", "089a"), ("18d1", "9302")])
@pytest.mark.parametrize(
    ("speed", "status"), [("480", "warn"), ("5000", "ok"), ("10000", "ok"), ("12", "warn"), ("?", "info")]
)
def test_a_usb_stick_and_the_speed_of_its_port(tmp_path: Path, ids: tuple[str, str], speed: str, status: str) -> None:
    usb(tmp_path, ids, speed)
    found = by_check(diagnose(host(tmp_path)))
    assert found["USB Edge TPU"].status == status
    assert ("USB 3" in (found["USB Edge TPU"].remedy or "")) == (status == "warn")
    assert "Edge TPU" not in found


def test_other_usb_devices_are_not_edge_tpus(tmp_path: Path) -> None:
    usb(tmp_path, ("1d6b", "0003"), "5000")
    assert by_check(diagnose(host(tmp_path)))["Edge TPU"].status == "missing"


def test_a_pcie_device(tmp_path: Path) -> None:
    write(tmp_path / "dev/apex_0", "")
    found = by_check(diagnose(host(tmp_path)))
    assert found["PCIe Edge TPU"] == Finding(check="PCIe Edge TPU", status="ok", found="/dev/apex_0")


@pytest.mark.parametrize(("speed", "status"), [("5.0 GT/s PCIe", "ok"), ("2.5 GT/s PCIe", "warn"), ("?", "ok")])
def test_the_link_of_a_pcie_device(tmp_path: Path, speed: str, status: str) -> None:
    write(tmp_path / "dev/apex_0", "")
    link = {"current_link_speed": speed, "current_link_width": "1", "max_link_speed": "5.0 GT/s", "max_link_width": "1"}
    for name, text in link.items():
        write(tmp_path / "sys/class/apex/apex_0/device" / name, text)
    found = by_check(diagnose(host(tmp_path)))["PCIe Edge TPU"]
    assert found.status == status
    assert ("seat" in (found.remedy or "")) == (status == "warn")


def test_a_named_library_is_found(tmp_path: Path) -> None:
    environment = {"PARAEDGE_LIBEDGETPU": str(tmp_path / "libedgetpu.so.1")}
    found = by_check(diagnose(host(tmp_path, environment=environment)))["libedgetpu"]
    assert found.status == "missing"
    assert "PARAEDGE_LIBEDGETPU" in (found.remedy or "")
    write(tmp_path / "libedgetpu.so.1", "")
    found = by_check(diagnose(host(tmp_path, environment=environment)))["libedgetpu"]
    assert (found.status, found.found) == ("ok", str(tmp_path / "libedgetpu.so.1"))


def test_devices_are_looked_for_where_the_driver_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usb(tmp_path, ("1a6e", "089a"), "480")
    monkeypatch.setenv("PARAEDGE_SYSFS_ROOT", str(tmp_path))
    found = by_check(diagnose())
    assert found["USB Edge TPU"].status == "warn"
    assert str(tmp_path) in found["PARAEDGE_SYSFS_ROOT"].found


def test_hardware_files_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hardware file" not in by_check(diagnose(host(tmp_path)))
    write(tmp_path / "bad.toml", "nonsense")
    for value, named in ((tmp_path, "bad.toml"), (tmp_path / "nowhere", "PARAEDGE_HARDWARE")):
        monkeypatch.setenv("PARAEDGE_HARDWARE", str(value))
        found = by_check(diagnose(host(tmp_path)))["hardware file"]
        assert found.status == "warn"
        assert named in found.found
        assert found.remedy


@pytest.mark.parametrize(("names", "status"), [(["performance"] * 2, "ok"), (["performance", "powersave"], "warn")])
def test_the_governor(tmp_path: Path, names: list[str], status: str) -> None:
    for number, name in enumerate(names):
        write(tmp_path / f"sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor", name)
    found = by_check(diagnose(host(tmp_path)))["CPU governor"]
    assert found.status == status
    assert ("cpupower" in (found.remedy or "")) == (status == "warn")


@pytest.mark.parametrize(("numpy", "status"), [("2.1.0", "warn"), ("1.26.4", "ok")])
def test_tflite_runtime_beside_numpy_2(tmp_path: Path, numpy: str, status: str) -> None:
    found = by_check(diagnose(host(tmp_path, versions={"tflite-runtime": "2.14.0", "numpy": numpy})))
    assert found["tflite-runtime"].status == status


@pytest.mark.parametrize(
    ("version", "summary", "status"),
    [
        ("0.4.1", "Coral reef atlas tools", "warn"),
        ("2.0.0", "Coral Python API", "info"),
        ("2.0.0", "A coral reef atlas", "warn"),
        ("0.1", None, "warn"),
    ],
)
def test_the_wrong_pycoral(tmp_path: Path, version: str, summary: str | None, status: str) -> None:
    summaries = {"pycoral": summary} if summary else {}
    found = by_check(diagnose(host(tmp_path, versions={"pycoral": version}, summaries=summaries)))
    assert found["pycoral"].status == status


def test_the_compiler_is_what_compiling_would_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Compiler(path=tmp_path / "edgetpu_compiler", version="16.0.384591198")
    found = by_check(diagnose(host(tmp_path, compiler=good)))["edgetpu_compiler"]
    assert found.status == "ok"
    assert "16.0.384591198" in found.found
    monkeypatch.setenv("PARAEDGE_EDGETPU_COMPILER", shutil.which("ls") or "")
    found = by_check(diagnose())["edgetpu_compiler"]
    assert found.status == "missing"
    assert "PARAEDGE_EDGETPU_COMPILER" in (found.remedy or "")


def test_libraries_are_looked_up(tmp_path: Path) -> None:
    found = by_check(diagnose(host(tmp_path, libraries={"edgetpu": "libedgetpu.so.1", "vulkan": "libvulkan.so.1"})))
    assert found["libedgetpu"] == Finding(check="libedgetpu", status="ok", found="libedgetpu.so.1")
    assert found["Vulkan"].remedy is None


def test_a_check_that_breaks_is_a_finding(tmp_path: Path) -> None:
    def refuse(name: str) -> str | None:
        raise OSError("no loader cache")

    found = diagnose(dataclasses.replace(host(tmp_path), find_library=refuse))
    assert [f.status for f in found if f.check == "libedgetpu"] == ["warn"]
    assert by_check(found)["CPU governor"]


def test_this_host_can_be_diagnosed() -> None:
    found = diagnose()
    assert {finding.status for finding in found} <= {"ok", "warn", "missing", "info"}
    assert not [finding for finding in found if "could not be checked" in finding.found]
    assert {"CPU governor", "TensorFlow", "Vulkan", "libedgetpu"} <= {finding.check for finding in found}
