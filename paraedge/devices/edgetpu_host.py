"""Edge TPUs as the host's kernel shows them, without opening one: ports, link speeds, temperatures, and the runtime.

USB sticks appear under `sys/bus/usb/devices`, PCIe modules as `dev/apex_N` and `sys/class/apex/apex_N` (the gasket
driver). Every path lies under a root, so that a test can make up a host; see `root`.
"""

from __future__ import annotations

import ctypes.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from paraedge.core.device import Absence
from paraedge.devices.host import read_int, read_text

Bus: TypeAlias = Literal["PCIe", "USB"]
Flavour: TypeAlias = Literal["std", "max"]

ROOT_VARIABLE = "PARAEDGE_SYSFS_ROOT"
"""Environment variable that names another root than `/`, for tests; devices found there say so in their details."""

LIBRARY_VARIABLE = "PARAEDGE_LIBEDGETPU"
"""Environment variable that names the Edge TPU's runtime library, in place of libedgetpu.so.1."""

LIBRARY = "libedgetpu.so.1"
CORAL_APT = "https://coral.ai/docs/accelerator/get-started/#1-install-the-edge-tpu-runtime"
USB_IDS = {("1a6e", "089a"): False, ("18d1", "9302"): True}
"""USB ids of the Edge TPU, and whether its firmware is loaded (libedgetpu, driver/usb)."""

USB2_MBIT_PER_S = 480
"""Speed of a USB 2 port; a USB 3 port says 5000 or more."""

TRIP_C = 85.0
"""Temperature from which the PCIe driver halves the clock, where it doesn't tell (coral.ai/docs/pcie-parameters)."""

PACKAGES: dict[Flavour, str] = {"std": "libedgetpu1-std", "max": "libedgetpu1-max"}
FOLDERS: dict[Flavour, str] = {"std": "throttled", "max": "direct"}
"""How Google's Debian packages and its release archive name the two runtimes."""


@dataclass(frozen=True, kw_only=True)
class PcieLink:
    """The negotiated link of a PCIe module, and the best that it could be; rates in GT/s a lane."""

    gt_per_s: float | None
    lanes: int | None
    most_gt_per_s: float | None
    most_lanes: int | None

    def __str__(self) -> str:
        now, most = (
            f"{rate or '?'} GT/s x{lanes or '?'}"
            for rate, lanes in ((self.gt_per_s, self.lanes), (self.most_gt_per_s, self.most_lanes))
        )
        return f"{now} of {most}"

    @property
    def mbit_per_s(self) -> int | None:
        """What the link carries after its line code: 8b/10b up to 5 GT/s, 128b/130b above."""
        return _carried(self.gt_per_s, self.lanes)

    @property
    def most_mbit_per_s(self) -> int | None:
        """The same of the best link that the module can have."""
        return _carried(self.most_gt_per_s, self.most_lanes)


@dataclass(frozen=True, kw_only=True)
class Attached:
    """An Edge TPU that is attached. Unknown is None.

    id: `edgetpu:N`, PCIe modules first, then USB sticks in the order of their ports. number: its place among those of
    its bus. port: where it is plugged in, `2-1` or `apex_0`; the same however the others come and go. ready: its
    firmware is loaded (USB), or this user may open it (PCIe).
    """

    id: str
    bus: Bus
    number: int
    port: str
    ready: bool
    usb_mbit_per_s: int | None = None
    pcie: PcieLink | None = None

    @property
    def link_mbit_per_s(self) -> int | None:
        """Speed of its link."""
        return self.pcie.mbit_per_s if self.pcie else self.usb_mbit_per_s


def root() -> Path:
    """Where `sys`, `dev` and `var` are looked for: `/`, or what PARAEDGE_SYSFS_ROOT names."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/")


def find_attached(place: Path | None = None) -> tuple[Attached, ...]:
    """The Edge TPUs under `place` (default: `root()`); reads a few small files, opens none."""
    where = place if place is not None else root()
    nodes = sorted((where / "dev").glob("apex_*"), key=_natural)
    sticks = list(_usb_folders(where))
    modules = [_module(where, node, number) for number, node in enumerate(nodes)]
    return (*modules, *(_stick(*stick, number, len(nodes)) for number, stick in enumerate(sticks)))


def temperature_c(device: Attached, place: Path | None = None) -> float | None:
    """The chip's temperature now in degrees Celsius. None for USB: sticks don't report it."""
    millidegrees = read_int(_apex(device, place) / "temp") if device.bus == "PCIe" else None
    return None if millidegrees is None else millidegrees / 1000


def trip_c(device: Attached, place: Path | None = None) -> float | None:
    """The temperature from which the PCIe driver lowers the clock; None for USB."""
    if device.bus != "PCIe":
        return None
    millidegrees = read_int(_apex(device, place) / "trip_point0_temp")
    return TRIP_C if millidegrees is None else millidegrees / 1000


def find_library(
    lookup: Callable[[str], str | None] = ctypes.util.find_library, environment: Mapping[str, str] = os.environ
) -> str | Absence:
    """The runtime's library: what PARAEDGE_LIBEDGETPU names, else what the loader finds; or why not. Loads nothing.

    A name without a folder is the loader's to find, and is taken as it is.
    """
    named = environment.get(LIBRARY_VARIABLE)
    if named and os.sep in named and not os.path.isfile(named):
        remedy = f"export {LIBRARY_VARIABLE}=/path/to/{LIBRARY}, or unset it"
        return Absence(id="libedgetpu", reason=f"{LIBRARY_VARIABLE}={named} is not a file", remedy=remedy)
    found = named or lookup("edgetpu")
    if found:
        return found
    remedy = f"sudo apt install libedgetpu1-std   (repository: {CORAL_APT})"
    return Absence(id="libedgetpu", reason=f"{LIBRARY} is not found by the loader", remedy=remedy)


def find_flavour(place: Path | None = None) -> Flavour | None:
    """Which runtime is installed: `std` (half the clock, on USB) or `max`; None where nothing tells.

    A named library tells by the folder it lies in; an installed one by its Debian package, else by its folder.
    """
    where = place if place is not None else root()
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return _by_folder(Path(named))
    for flavour, package in PACKAGES.items():
        if any((where / "var/lib/dpkg/info").glob(f"{package}*.list")):
            return flavour
    places = (f"{lib}/{LIBRARY}" for lib in ("usr/lib", "usr/lib/*", "usr/local/lib", "usr/local/lib/*"))
    files = (file for place in places for file in sorted(where.glob(place)))
    return next(filter(None, map(_by_folder, files)), None)


def _module(where: Path, node: Path, number: int) -> Attached:
    folder = where / "sys/class/apex" / node.name / "device"
    link = PcieLink(
        gt_per_s=_number(read_text(folder / "current_link_speed")),
        lanes=_whole(read_text(folder / "current_link_width")),
        most_gt_per_s=_number(read_text(folder / "max_link_speed")),
        most_lanes=_whole(read_text(folder / "max_link_width")),
    )
    ready = os.access(node, os.R_OK | os.W_OK)
    return Attached(id=f"edgetpu:{number}", bus="PCIe", number=number, port=node.name, ready=ready, pcie=link)


def _usb_folders(where: Path) -> Iterator[tuple[Path, bool]]:
    """The folder of each Edge TPU on USB, and whether its firmware is loaded."""
    for folder in sorted((where / "sys/bus/usb/devices").glob("*"), key=_natural):
        ids = (read_text(folder / "idVendor") or "", read_text(folder / "idProduct") or "")
        if ids in USB_IDS:
            yield folder, USB_IDS[ids]


def _stick(folder: Path, ready: bool, number: int, before: int) -> Attached:
    speed = _number(read_text(folder / "speed"))
    return Attached(
        id=f"edgetpu:{before + number}",
        bus="USB",
        number=number,
        port=folder.name,
        ready=ready,
        usb_mbit_per_s=None if speed is None else round(speed),
    )


def _apex(device: Attached, place: Path | None) -> Path:
    return (place if place is not None else root()) / "sys/class/apex" / device.port


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts `2-1` before `10-1`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _number(text: str | None) -> float | None:
    """The number that a text begins with: 5.0 of `5.0 GT/s PCIe`; None for `Unknown`."""
    match = re.match(r"\d+(\.\d+)?", text or "")
    return float(match.group()) if match else None


def _whole(text: str | None) -> int | None:
    value = _number(text)
    return round(value) if value else None


def _carried(gt_per_s: float | None, lanes: int | None) -> int | None:
    if not gt_per_s or not lanes:
        return None
    code = 8 / 10 if gt_per_s <= 5 else 128 / 130
    return round(1000 * gt_per_s * lanes * code)


def _by_folder(library: Path) -> Flavour | None:
    parts = Path(os.path.realpath(library)).parts
    return next((flavour for flavour, folder in FOLDERS.items() if folder in parts), None)
