"""The facts of the host that a reader of results needs; no path of a person's home among them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import paraedge
from paraedge.devices import host

PACKAGES = ("ai-edge-litert", "flatbuffers", "numpy", "pandas", "scipy", "statsmodels", "matplotlib")
CONTAINER_FILES = {"/.dockerenv": "docker", "/run/.containerenv": "podman"}


def environment() -> dict[str, object]:
    """Facts fit for JSON, read now: call it at start and end, load, frequency and temperatures change. Unknown is None.

    Keys: `time_utc`, `cpu`, `memory`, `versions`, `system`, `git_revision`, `command`.
    """
    return {
        "time_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "memory": _memory(),
        "versions": _versions(),
        "system": _system(),
        "git_revision": _git_revision(Path(paraedge.__file__).parent),
        "command": [_without_folder(word) for word in sys.argv],
    }


def _cpu() -> dict[str, object]:
    try:
        load: list[float] | None = [round(value, 2) for value in os.getloadavg()]
    except OSError:
        load = None
    khz = host.read_int(host.CPU_FOLDER / "cpufreq" / "scaling_cur_freq")
    return {
        "model": host.cpu_model(),
        "logical_cores": os.cpu_count(),
        "usable_cores": host.usable_cores(),
        "governor": host.governor(),
        "max_clock_mhz": host.clock_mhz(),
        "clock_mhz": None if khz is None else round(khz / 1000),
        "load_average": load,
        "temperatures_c": _temperatures(),
        "caches_bytes": {f"L{cache.level}": cache.size_bytes for cache in host.data_caches()},
    }


def _temperatures() -> dict[str, float]:
    import psutil

    try:
        sensors = psutil.sensors_temperatures()
    except (AttributeError, OSError):  # not every system has them
        return {}
    return {
        f"{chip}/{sensor.label or number}": float(sensor.current)
        for chip, found in sensors.items()
        for number, sensor in enumerate(found)
    }


def _memory() -> dict[str, object]:
    import psutil

    memory = psutil.virtual_memory()
    return {"total_bytes": memory.total, "available_bytes": memory.available, "swap_bytes": psutil.swap_memory().total}


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"paraedge": paraedge.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _system() -> dict[str, object]:
    container = next((name for file, name in CONTAINER_FILES.items() if Path(file).exists()), None)
    virtual = "hypervisor" in (host.read_text(Path("/proc/cpuinfo")) or "")
    return {
        "platform": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "container": container or os.environ.get("container"),  # noqa: SIM112 (systemd's name)
        "virtual_machine": virtual or None,
    }


def _git_revision(folder: Path) -> str | None:
    """Revision of the checkout that the package lies in, `-dirty` where files are changed; None outside of one."""
    if not (folder.parent / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _without_folder(word: str) -> str:
    """The last part of what looks like an absolute path: folders may hold a person's name."""
    option, separator, value = word.rpartition("=")
    return f"{option}{separator}{os.path.basename(value.rstrip('/'))}" if value.startswith(("/", "~")) else word
