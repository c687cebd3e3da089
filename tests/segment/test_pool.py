"""What a device's name stands for in a sweep with pipelines, and what can't be had."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgetpu_stand_in import make_host

from paraedge.core.device import Origin, Target
from paraedge.core.errors import BadInput, DeviceMissing
from paraedge.devices import registry
from paraedge.segment.pool import device_of, find_driver, info, members, simulated_as

MIXED = """
name = "two"
summary = "for a test"
[[host]]
name = "strong"
count = 2
gmacs_per_s = 40
memory_mib = 100
link_mbit_per_s = 1000
[[host]]
name = "coral"
device = "sim-edgetpu-usb3"
link_mbit_per_s = 1000
"""


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    path = tmp_path / "two.toml"
    path.write_text(MIXED)
    return f"cluster:{path}"


def test_the_cpu_and_a_simulated_device_are_as_many_as_one_likes() -> None:
    for name in ("cpu", "sim-edgetpu-usb3"):
        assert members(Target(device=name), 3) == (name,) * 3
        assert find_driver(name, 3) is find_driver(name, None) is registry.find(name)


def test_edgetpu_is_those_that_are_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make_host(tmp_path, monkeypatch)
    host.pcie(0)
    host.pcie(1)
    assert members(Target(device="edgetpu"), 2) == ("edgetpu:0", "edgetpu:1")
    assert find_driver("edgetpu", 2).name == "edgetpu"
    assert info(Target(device="edgetpu", segments=2)) == registry.info("edgetpu:0")
    with pytest.raises(DeviceMissing, match="edgetpu:2"):
        find_driver("edgetpu", 3)
    assert members(Target(device="edgetpu:1"), 1) == ("edgetpu:1",)
    with pytest.raises(BadInput, match=r"edgetpu:1 is one device, .* asks for 2: name edgetpu for several"):
        find_driver("edgetpu:1", 2)


def test_a_cluster_is_its_hosts_in_order(mixed: str) -> None:
    target = Target(device=mixed)
    assert members(target, 3) == ("strong-1", "strong-2", "coral")
    assert members(target, 1) == ("strong-1",)
    driver = find_driver(mixed, 3)
    assert (driver.isolated, driver.needs_file, driver.batch_mode) == (False, False, "looped")
    assert driver.targets(mixed, (1, 2), ("xnnpack",)) == (target,)
    assert (info(target).id, info(target).origin) == ("cluster:two", Origin.SIMULATED)
    assert [simulated_as(target, name) for name in members(target, 3)] == [None, None, "sim-edgetpu-usb3"]


def test_hosts_without_a_device_take_batches_whole(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(MIXED.split('[[host]]\nname = "coral"')[0])
    assert find_driver(f"cluster:{path}", 1).batch_mode == "native"


def test_what_a_cluster_can_not_do(mixed: str) -> None:
    with pytest.raises(BadInput, match=r"has 3 hosts, and the sweep asks for segments = 4"):
        find_driver(mixed, 4)
    with pytest.raises(BadInput, match=r"several hosts: give the sweep a \[pipeline\] table"):
        find_driver(mixed, None)
    with pytest.raises(BadInput, match="no cluster file nowhere"):
        find_driver("cluster:nowhere", 2)
    with pytest.raises(BadInput, match=r"give the sweep a \[pipeline\] table"):
        find_driver(mixed, 2).open(Target(device=mixed))


def test_a_numbered_name_is_its_device() -> None:
    assert [device_of(name) for name in ("cpu#2", "edgetpu:1", "sim-edgetpu-usb3#10")] == [
        "cpu", "edgetpu:1", "sim-edgetpu-usb3",
    ]  # fmt: skip
