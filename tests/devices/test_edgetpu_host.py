"""Edge TPUs in made-up trees of sysfs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from edgetpu_stand_in import Host, make_host

from paraedge.core.device import Absence
from paraedge.devices import edgetpu_host
from paraedge.devices.edgetpu_host import Attached, find_attached, find_flavour, temperature_c, trip_c


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return make_host(tmp_path, monkeypatch)


def test_a_bare_host_has_none(host: Host) -> None:
    assert find_attached() == ()


def test_modules_come_first_then_sticks_in_the_order_of_their_ports(host: Host) -> None:
    for port in ("10-1", "2-1.4", "2-1"):
        host.usb(port)
    host.usb("1-1", ids=("1d6b", "0003"))
    for number in (10, 2):
        host.pcie(number)
    found = [(one.id, one.bus, one.number, one.port) for one in find_attached()]
    assert found == [
        ("edgetpu:0", "PCIe", 0, "apex_2"),
        ("edgetpu:1", "PCIe", 1, "apex_10"),
        ("edgetpu:2", "USB", 0, "2-1"),
        ("edgetpu:3", "USB", 1, "2-1.4"),
        ("edgetpu:4", "USB", 2, "10-1"),
    ]


@pytest.mark.parametrize(("ids", "ready"), [(("1a6e", "089a"), False), (("18d1", "9302"), True)])
@pytest.mark.parametrize(("speed", "mbit_per_s"), [("480", 480), ("5000", 5000), ("12", 12), ("?", None), ("1.5", 2)])
def test_a_stick(host: Host, ids: tuple[str, str], ready: bool, speed: str, mbit_per_s: int | None) -> None:
    host.usb("2-1", speed, ids)
    (stick,) = find_attached()
    assert (stick.ready, stick.link_mbit_per_s) == (ready, mbit_per_s)
    assert temperature_c(stick) is None
    assert trip_c(stick) is None


# PCI Express base specification: 8b/10b to generation 2, 128b/130b from generation 3
@pytest.mark.parametrize(
    ("speed", "width", "mbit_per_s"),
    [
        ("5.0 GT/s PCIe", "1", 4000),
        ("2.5 GT/s PCIe", "1", 2000),
        ("8.0 GT/s PCIe", "2", 15754),
        ("Unknown", "1", None),
        ("5.0 GT/s PCIe", "0", None),
    ],
)
def test_a_module(host: Host, speed: str, width: str, mbit_per_s: int | None) -> None:
    host.pcie(0, speed, width, celsius=61.25)
    (module,) = find_attached()
    assert module.pcie is not None
    assert (module.link_mbit_per_s, module.pcie.most_mbit_per_s) == (mbit_per_s, 4000)
    assert temperature_c(module) == 61.25
    assert trip_c(module) == 85.0


def test_a_module_without_sysfs_has_no_link_and_no_temperature(host: Host) -> None:
    host.write("dev/apex_0", "")
    (module,) = find_attached()
    assert module.link_mbit_per_s is None
    assert temperature_c(module) is None


def test_a_module_that_this_user_may_not_open(host: Host) -> None:
    host.pcie()
    host.monkeypatch.setattr(os, "access", lambda path, mode: False)  # the tests may run as root, who may open all
    assert [one.ready for one in find_attached()] == [False]


@pytest.mark.parametrize(
    ("package", "flavour"), [("libedgetpu1-std", "std"), ("libedgetpu1-max", "max"), ("libedgetpu-dev", None)]
)
def test_which_runtime_by_its_package(host: Host, package: str, flavour: str | None) -> None:
    host.monkeypatch.delenv(edgetpu_host.LIBRARY_VARIABLE)
    host.package(package)
    assert find_flavour() == flavour


@pytest.mark.parametrize(("folder", "flavour"), [("throttled/k8", "std"), ("direct/aarch64", "max"), ("lib", None)])
@pytest.mark.parametrize("named", [True, False])
def test_which_runtime_by_the_folder_of_its_library(host: Host, folder: str, flavour: str | None, named: bool) -> None:
    library = f"opt/{folder}/libedgetpu.so.1.0"
    host.write(library, "")
    link = host.root / "usr/lib/x86_64-linux-gnu/libedgetpu.so.1"
    link.parent.mkdir(parents=True)
    link.symlink_to(host.root / library)
    if named:
        host.package("libedgetpu1-std")  # of another library than the one that is used
        host.monkeypatch.setenv(edgetpu_host.LIBRARY_VARIABLE, str(link))
    else:
        host.monkeypatch.delenv(edgetpu_host.LIBRARY_VARIABLE)
    assert find_flavour() == flavour


def test_a_named_library_is_taken(host: Host) -> None:
    assert edgetpu_host.find_library(lambda name: "other.so") == "libedgetpu.so.1"
    host.monkeypatch.delenv(edgetpu_host.LIBRARY_VARIABLE)
    assert edgetpu_host.find_library(lambda name: f"lib{name}.so.1") == "libedgetpu.so.1"


def test_a_named_library_must_be_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nope.so"):
        found = edgetpu_host.find_library(lambda name: "other.so", {edgetpu_host.LIBRARY_VARIABLE: str(path)})
        assert isinstance(found, Absence)
        assert f"PARAEDGE_LIBEDGETPU={path}" in found.reason


def test_a_tree_of_nonsense_is_no_trouble(host: Host) -> None:
    host.usb("2-1", "\x00\xff")
    host.write("sys/class/apex/apex_0/temp", "hot")
    (host.root / "dev/apex_0").mkdir(parents=True)
    (host.root / "sys/class/apex/apex_0/device/current_link_speed").mkdir(parents=True)
    found = find_attached()
    assert [type(one) for one in found] == [Attached, Attached]
    assert [temperature_c(one) for one in found] == [None, None]
