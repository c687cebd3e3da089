"""A device to be measured on: its driver, its target, and its lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paraedge import run
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.errors import BadInput, DeviceMissing
from paraedge.devices import registry
from paraedge.devices.driver import Driver
from paraedge.simulate import load_hardware


@dataclass(frozen=True, kw_only=True)
class Place:
    """A measured device with its default options."""

    driver: Driver
    target: Target
    info: DeviceInfo


def place_of(device: str) -> Place:
    """The device of this name; raises DeviceMissing where it isn't here, BadInput where it is simulated."""
    driver = registry.find(device)
    if not driver.isolated:
        raise BadInput(f"{device} is simulated, and there is nothing to measure; take cpu or an edgetpu")
    return Place(driver=driver, target=driver.targets(device, (), ())[0], info=registry.info(device))


def edgetpu_info(device: str) -> DeviceInfo:
    """An Edge TPU that is here, or for a simulated device one elsewhere like it, of whose host nothing is known.

    Raises BadInput for any other device, and for one that is not here.
    """
    if device.startswith("sim-") or device.endswith(".toml"):
        link = load_hardware(device).interface
        return DeviceInfo(id=device, origin=Origin.SIMULATED, batch_mode="looped", link=link)
    instead = "or give --device sim-edgetpu-usb3, say, for an Edge TPU elsewhere"
    try:
        driver = registry.find(device)
    except DeviceMissing as error:
        raise DeviceMissing(f"{error}; {instead}") from None
    if driver.name != "edgetpu":
        raise BadInput(f"{device} is no Edge TPU, and only results of one are explained; {instead}")
    return registry.info(device)


@contextlib.contextmanager
def hold(places: Sequence[Place]) -> Iterator[None]:
    """Hold the locks of all these devices; raises DeviceBusy."""
    with contextlib.ExitStack() as held:
        for name in sorted({registry.lock_name(place.info.id) for place in places}):
            held.enter_context(run.device_lock(name))
        yield
