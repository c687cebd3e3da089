"""What is here, what is not and why, and the command that would mend it. Only looks: no delegate is loaded."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from paraedge.core.device import Absence
from paraedge.devices import edgetpu_host
from paraedge.devices.edgetpu_host import ROOT_VARIABLE, Attached

if TYPE_CHECKING:
    from paraedge.build import Compiler

Status: TypeAlias = Literal["ok", "warn", "missing", "info"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check: `missing` lacks something some devices need, `warn` makes results worse, `info` is for information."""

    check: str
    status: Status
    found: str
    remedy: str | None = None


def _find_compiler() -> Compiler | Absence:
    from paraedge.build import find_compiler  # which brings numpy along

    return find_compiler()


@dataclass(frozen=True, kw_only=True)
class Host:
    """Where the checks look; a test gives a made-up tree and made-up packages.

    root: in place of `/` (for /sys and /dev). environment: in place of `os.environ`. package_version: version of an
    installed distribution or None. package_summary: its one-line summary. find_library: a library's name or None.
    find_compiler: the edgetpu_compiler, or why there is none.
    """

    root: Path = field(default_factory=edgetpu_host.root)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    package_version: Callable[[str], str | None] = lambda name: _metadata(name, "Version")
    package_summary: Callable[[str], str | None] = lambda name: _metadata(name, "Summary")
    find_library: Callable[[str], str | None] = ctypes.util.find_library
    find_compiler: Callable[[], Compiler | Absence] = _find_compiler

    def read(self, path: str | Path) -> str | None:
        """Text of a file under `root`, stripped, or None."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None


def diagnose(host: Host | None = None) -> tuple[Finding, ...]:
    """Every check in a fixed order; one that fails itself is a finding, so that an odd host doesn't hide the rest."""
    place = host or Host()
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found.extend(check(place))
        except Exception as error:  # a check reads foreign systems; none may take the others along
            found.append(Finding(check=check.__name__, status="warn", found=f"could not be checked: {error!r}"))
    return tuple(found)


def litert(host: Host) -> Iterable[Finding]:
    """The runtime that `cpu` measures with."""
    version = host.package_version("ai-edge-litert")
    if version:
        yield Finding(check="LiteRT", status="ok", found=f"ai-edge-litert {version}")
    else:
        yield Finding(
            check="LiteRT", status="missing", found="ai-edge-litert is not installed: no device `cpu`",
            remedy="pip install ai-edge-litert",
        )  # fmt: skip


def tflite_runtime(host: Host) -> Iterable[Finding]:
    """tflite-runtime's last wheels were built for numpy 1 and crash at import under numpy 2."""
    runtime, numpy = host.package_version("tflite-runtime"), host.package_version("numpy")
    if runtime is None:
        return
    if numpy is not None and int(numpy.split(".")[0]) >= 2:
        yield Finding(
            check="tflite-runtime", status="warn",
            found=f"tflite-runtime {runtime} beside numpy {numpy}: it was built for numpy 1 and fails at import",
            remedy="pip uninstall tflite-runtime   (or: pip install 'numpy<2')",
        )  # fmt: skip
    else:
        yield Finding(check="tflite-runtime", status="ok", found=f"tflite-runtime {runtime}, numpy {numpy}")


def pycoral(host: Host) -> Iterable[Finding]:
    """The package named `pycoral` in the Python index is a tool for coral-reef atlases; Google's was never there."""
    version = host.package_version("pycoral")
    if version is None:
        return
    google = version.startswith(("1.", "2.")) and "coral" in (host.package_summary("pycoral") or "").lower()
    if google and "reef" not in (host.package_summary("pycoral") or "").lower():
        yield Finding(check="pycoral", status="info", found=f"pycoral {version}; paraedge doesn't use it")
    else:
        yield Finding(
            check="pycoral", status="warn",
            found=f"pycoral {version} from the Python index is a coral-reef atlas tool, not Google's PyCoral",
            remedy="pip uninstall pycoral   (paraedge needs only libedgetpu)",
        )  # fmt: skip


def edgetpu_compiler(host: Host) -> Iterable[Finding]:
    """Google's closed compiler, where it answers with its version."""
    found = host.find_compiler()
    if isinstance(found, Absence):
        yield _lacking("edgetpu_compiler", found)
    else:
        yield Finding(check="edgetpu_compiler", status="ok", found=f"{found.path}, version {found.version}")


def libedgetpu(host: Host) -> Iterable[Finding]:
    """The Edge TPU's runtime. Only looked up: a wrong version would take this process down with it."""
    library = edgetpu_host.find_library(host.find_library, host.environment)
    if isinstance(library, Absence):
        yield _lacking("libedgetpu", library)
    else:
        yield Finding(check="libedgetpu", status="ok", found=library)


def _lacking(check: str, gap: Absence) -> Finding:
    return Finding(check=check, status="missing", found=gap.reason, remedy=gap.remedy)


def edgetpus(host: Host) -> Iterable[Finding]:
    """Edge TPUs on PCIe and USB with the speed of their links; one line where there is none at all."""
    if host.root != Path("/"):
        text = f"Edge TPUs are looked for under {host.root}, not on this machine"
        yield Finding(check=ROOT_VARIABLE, status="info", found=text)
    found = edgetpu_host.find_attached(host.root)
    yield from (_stick(one) if one.bus == "USB" else _module(one) for one in found)
    if not found:
        yield Finding(
            check="Edge TPU", status="missing", found="none on USB (1a6e:089a, 18d1:9302) and no /dev/apex_*",
            remedy="plug one in; until then the devices `sim-edgetpu-...` predict one, labelled simulated",
        )  # fmt: skip


def _stick(device: Attached) -> Finding:
    speed = device.usb_mbit_per_s
    state = "initialised" if device.ready else "not yet initialised"
    text = f"Edge TPU at USB {device.port}, {state}, {'unknown' if speed is None else speed} Mbit/s"
    if speed is None or speed > edgetpu_host.USB2_MBIT_PER_S:
        return Finding(check="USB Edge TPU", status="info" if speed is None else "ok", found=text)
    return Finding(
        check="USB Edge TPU", status="warn", found=f"{text}: a USB 2 port or cable, transfers take far longer",
        remedy="plug it into a USB 3 port (blue, or marked SS) with the cable it came with",
    )  # fmt: skip


def _module(device: Attached) -> Finding:
    check, node = "PCIe Edge TPU", f"/dev/{device.port}"
    if not device.ready:
        return Finding(
            check=check, status="warn", found=f"{node} may not be opened by this user",
            remedy='sudo usermod -aG apex "$USER"   and log in again',
        )  # fmt: skip
    link = device.pcie
    if link is None or link.mbit_per_s is None or link.most_mbit_per_s is None:
        return Finding(check=check, status="ok", found=node)
    if link.mbit_per_s >= link.most_mbit_per_s:
        return Finding(check=check, status="ok", found=f"{node}, link {link}")
    return Finding(
        check=check, status="warn", found=f"{node}, link {link}: transfers take longer",
        remedy="seat the module again, try another slot, and turn off PCIe power saving (pcie_aspm=off)",
    )  # fmt: skip


def hardware_files(host: Host) -> Iterable[Finding]:
    """The user's own hardware files, where one can't be used."""
    from paraedge.simulate import user_hardware

    for one in user_hardware():
        if isinstance(one, Absence):
            yield Finding(check="hardware file", status="warn", found=f"{one.id}: {one.reason}", remedy=one.remedy)


def governor(host: Host) -> Iterable[Finding]:
    """A governor that is not `performance` changes the clock while we measure."""
    folder = host.root / "sys/devices/system/cpu"
    files = sorted(folder.glob("cpu[0-9]*/cpufreq/scaling_governor")) if folder.is_dir() else []
    names = sorted({text for text in (host.read(file) for file in files) if text})
    if not names:
        yield Finding(check="CPU governor", status="info", found="not readable here (a virtual machine or container)")
    elif names == ["performance"]:
        yield Finding(check="CPU governor", status="ok", found=f"performance on {len(files)} CPUs")
    else:
        yield Finding(
            check="CPU governor", status="warn", found=f"{', '.join(names)}: the clock changes while measuring",
            remedy="sudo cpupower frequency-set -g performance",
        )  # fmt: skip


def tensorflow(host: Host) -> Iterable[Finding]:
    """Optional: nothing on the default path needs it."""
    version = next(filter(None, map(host.package_version, ("tensorflow", "tensorflow-cpu"))), None)
    yield Finding(check="TensorFlow", status="info", found=f"tensorflow {version}" if version else "absent; not needed")


def vulkan(host: Host) -> Iterable[Finding]:
    """The loader that LiteRT's GPU accelerator would need."""
    library = host.find_library("vulkan")
    yield Finding(
        check="Vulkan", status="info", found=library or "no loader; the GPU device, once it comes, needs one",
        remedy=None if library else "sudo apt install libvulkan1 mesa-vulkan-drivers",
    )  # fmt: skip


CHECKS: tuple[Callable[[Host], Iterable[Finding]], ...] = (
    litert, tflite_runtime, pycoral, edgetpu_compiler, libedgetpu, edgetpus, hardware_files, governor,
    tensorflow, vulkan,
)  # fmt: skip


def _metadata(name: str, key: str) -> str | None:
    try:
        fields = importlib.metadata.metadata(name)
        return fields[key] if key in set(fields) else None
    except importlib.metadata.PackageNotFoundError:
        return None
