"""Facts of the machine that are cheap to read: processor, clock, caches, temperature. Unknown is None."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import dataclass
from pathlib import Path

CPU_FOLDER = Path("/sys/devices/system/cpu/cpu0")
THERMAL_FOLDER = Path("/sys/class/thermal")
CPU_ZONES = ("x86_pkg_temp", "cpu", "soc", "acpitz")
"""Kinds of thermal zones that stand for the processor, the best first; matched at the beginning of the zone's type."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """One level of data cache as one core sees it."""

    level: int
    size_bytes: int


def read_text(path: Path) -> str | None:
    """The file's text without surrounding space, or None where it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """The file's text as an integer, or None."""
    text = read_text(path)
    try:
        return int(text) if text else None
    except ValueError:
        return None


@functools.cache
def cpu_model() -> str:
    """The processor's name: from /proc/cpuinfo or the device tree, else the machine's architecture."""
    names: dict[str, str] = {}
    for line in (read_text(Path("/proc/cpuinfo")) or "").splitlines():
        key, _, value = line.partition(":")
        names.setdefault(key.strip().lower(), value.strip())
    for key in ("model name", "model", "hardware"):
        if names.get(key):
            return " ".join(names[key].split())
    board = read_text(Path("/proc/device-tree/model"))
    return board.rstrip("\0") if board else platform.processor() or platform.machine()


def clock_mhz() -> int | None:
    """Highest clock that the governor allows, or None: virtual machines don't tell."""
    khz = read_int(CPU_FOLDER / "cpufreq" / "scaling_max_freq")
    return None if khz is None else round(khz / 1000)


def governor() -> str | None:
    """The frequency governor of the first core, or None."""
    return read_text(CPU_FOLDER / "cpufreq" / "scaling_governor")


def usable_cores() -> int:
    """Logical cores that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


@functools.cache
def data_caches() -> tuple[Cache, ...]:
    """Data and unified caches of the first core, smallest level first; empty where the system doesn't tell."""
    found: dict[int, Cache] = {}
    for folder in sorted((CPU_FOLDER / "cache").glob("index*")):
        level, size = read_int(folder / "level"), _bytes(read_text(folder / "size"))
        if level and size and read_text(folder / "type") in ("Data", "Unified"):
            found[level] = Cache(level=level, size_bytes=size)
    return tuple(found[level] for level in sorted(found))


def _bytes(text: str | None) -> int | None:
    """`1024K` as 1048576."""
    if not text:
        return None
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1].upper())
    digits = text[:-1] if factor else text
    return int(digits) * (factor or 1) if digits.isdigit() else None


@functools.cache
def thermal_zone() -> Path | None:
    """The file of the zone that stands for the processor, or None."""
    zones = [(zone, (read_text(zone / "type") or "").lower()) for zone in sorted(THERMAL_FOLDER.glob("thermal_zone*"))]
    for kind in CPU_ZONES:
        for zone, name in zones:
            if name.startswith(kind) and read_int(zone / "temp") is not None:
                return zone / "temp"
    return None


def temperature_c() -> float | None:
    """The processor's temperature now in degrees Celsius, or None; one small read."""
    zone = thermal_zone()
    millidegrees = None if zone is None else read_int(zone)
    return None if millidegrees is None else millidegrees / 1000
