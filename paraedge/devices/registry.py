"""Drivers, found through the entry-point group `paraedge.devices`; built-in ones register there like anybody's."""

from __future__ import annotations

import functools
from importlib.metadata import entry_points

from paraedge.core.device import Absence, DeviceInfo
from paraedge.core.errors import DeviceMissing, short
from paraedge.devices.driver import Driver

GROUP = "paraedge.devices"


@functools.cache
def drivers() -> tuple[Driver, ...]:
    """Every registered driver that can be imported, in order of its name; a broken one is listed by `broken()`."""
    return tuple(driver for driver in _loaded().values() if not isinstance(driver, Absence))


@functools.cache
def broken() -> tuple[Absence, ...]:
    """Registered drivers that can't be imported, with the reason."""
    return tuple(driver for driver in _loaded().values() if isinstance(driver, Absence))


@functools.cache
def _loaded() -> dict[str, Driver | Absence]:
    found: dict[str, Driver | Absence] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        try:
            found[point.name] = point.load()()
        except Exception as error:  # a third party's driver may fail in any way; it must not take the others along
            found[point.name] = Absence(id=point.name, reason=short(f"driver {point.value}: {error!r}"))
    return found


@functools.cache
def present() -> dict[str, tuple[Driver, DeviceInfo]]:
    """Devices that are here, by id."""
    return {info.id: (driver, info) for driver, info in _probed() if isinstance(info, DeviceInfo)}


def absent() -> tuple[Absence, ...]:
    """Devices that drivers know of and that are not here, with the reason and the remedy."""
    return (*(info for _, info in _probed() if isinstance(info, Absence)), *broken())


def _probed() -> list[tuple[Driver, DeviceInfo | Absence]]:
    found: list[tuple[Driver, DeviceInfo | Absence]] = []
    for driver in drivers():
        try:
            found += [(driver, info) for info in driver.probe()]
        except Exception as error:  # as above: one driver's trouble is its own
            found.append((driver, Absence(id=driver.name, reason=short(f"its driver could not look: {error!r}"))))
    return found


def find(device: str) -> Driver:
    """The driver of `device`; raises DeviceMissing, naming what is here and why this one is not."""
    if device in present():
        return present()[device][0]
    name = short(device, 80)
    family, _, number = device.partition(":")
    if family == "edgetpu" and not number.isdecimal():
        raise DeviceMissing(f"unknown device {name!r}: Edge TPUs are numbered, write edgetpu:0")
    for absence in absent():
        if absence.id in (device, family):
            remedy = f"; {absence.remedy}" if absence.remedy else ""
            raise DeviceMissing(
                f"device {name!r} is not here: {absence.reason}{remedy}; `paraedge doctor` lists what else is missing"
            )
    known = f"here are: {', '.join(sorted(present()))}"
    if device.endswith(".toml"):
        raise DeviceMissing(
            f"unknown device {name!r}; to use a hardware file of yours, name its folder in PARAEDGE_HARDWARE and "
            f"give the name that stands in the file; {known}"
        )
    raise DeviceMissing(f"unknown device {name!r}; {known}")


def info(device: str) -> DeviceInfo:
    """What the driver says of `device`; raises DeviceMissing."""
    find(device)
    return present()[device][1]


def port(device: str) -> str | None:
    """Where `device` was plugged in when this process first looked; None where it has no port or was not here."""
    _, found = present().get(device, (None, None))
    return found.port if found else None


def lock_name(device: str) -> str:
    """What the lock of `device` is called: by its port, which stays when devices are numbered anew, else by its id."""
    find(device)
    return port(device) or device
