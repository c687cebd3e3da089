"""A trial load of the Edge TPU's delegate in a throw-away process: interpreters and libraries that don't fit segfault.

`python -m paraedge.devices.edgetpu_trial PARENT RUNTIME LIBRARY BUS PORT NUMBER` prints one JSON object. The symbols
asked of the library are those of google-coral/libedgetpu, tflite/public/edgetpu_c.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from paraedge.core.errors import DeviceMissing, ParaedgeError, short
from paraedge.devices import guard, stage
from paraedge.devices.edgetpu_host import Attached, Bus

RUNTIMES: Mapping[str, str] = {"tflite_runtime": "tflite-runtime", "ai_edge_litert": "ai-edge-litert"}
"""Interpreters that may load the delegate, by package: whoever has tflite-runtime has it for this. The first that
passes the trial is taken."""

TYPES: Mapping[int, Bus] = {0: "PCIe", 1: "USB"}
"""`edgetpu_device_type` of edgetpu_c.h."""

OPTIONS: Mapping[Bus, str] = {"PCIe": "pci", "USB": "usb"}
"""How the delegate's option `device` calls the buses: `usb:0` is the first on USB."""

TRIAL_S = 60.0
"""The first use of a stick loads its firmware, which takes seconds; after so long the trial has hung."""

POLL_S = 0.5
APT = "sudo apt install libedgetpu1-std"
OPENING = (
    'sudo usermod -aG plugdev "$USER" (USB) or apex (PCIe) and log in again; see that no other program has it open'
)


class DelegateCrashed(ParaedgeError):
    """The library took the process along that loaded it; `signal` says how."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.signal = name


class DelegateHung(ParaedgeError):
    """The library didn't come back."""


class DelegateRefused(ParaedgeError):
    """The library was loaded, but gave no delegate for the device."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a trial load found out.

    option: of the delegate, `usb:0`. listed: whether the library's own list of devices has our port, so that the
    option surely means it. version: of the library, None where it doesn't tell.
    """

    runtime: str
    option: str
    listed: bool
    version: str | None


def installed() -> tuple[str, ...]:
    """Packages of RUNTIMES that can be imported, in order; imports none."""
    return tuple(name for name in RUNTIMES if importlib.util.find_spec(name) is not None)


def runtime_label(runtime: str) -> str:
    """`ai-edge-litert 2.1.0`, without the version where it isn't known."""
    try:
        return f"{RUNTIMES[runtime]} {version(RUNTIMES[runtime])}"
    except PackageNotFoundError:
        return RUNTIMES[runtime]


def first_that_loads(device: Attached, library: str) -> Trial:
    """The first interpreter that survives loading the delegate; raises what went wrong with the first where none does.

    Raises DeviceMissing for a library that isn't there or no delegate, and the errors of this module.
    """
    first: ParaedgeError | None = None
    for runtime in installed():
        try:
            return trial(device, library, runtime)
        except ParaedgeError as error:
            first = first or error
    raise first or DeviceMissing("no TensorFlow Lite interpreter is installed; pip install ai-edge-litert")


def trial(device: Attached, library: str, runtime: str, *, timeout_s: float = TRIAL_S) -> Trial:
    """Load the delegate with one interpreter in a throw-away process; raises as `first_that_loads`."""
    command = [sys.executable, "-m", __name__, str(os.getpid()), runtime, library]
    place = [device.bus, device.port, str(device.number)]
    with subprocess.Popen(
        [*command, *place], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        said, printed = _watch(process, library, timeout_s)
    label = runtime_label(runtime)
    if process.returncode < 0:
        name = guard.signal_name(-process.returncode)
        raise DelegateCrashed(
            f"{library} crashed {label} ({name}) in a trial load: they don't fit each other; take a libedgetpu built "
            "for this interpreter, or install tflite-runtime (Python up to 3.11, numpy below 2)",
            name,
        )
    try:
        answer = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        text = short(printed.decode(errors="replace"), 300)
        raise DelegateRefused(f"the trial load of {library} with {label} ended early: {text}") from None
    if "error" in answer:
        raise _refusal(answer["error"], answer["message"], library, label, device)
    return Trial(runtime=runtime, option=answer["option"], listed=answer["listed"], version=answer["version"])


def _watch(process: subprocess.Popen[bytes], library: str, timeout_s: float) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=min(POLL_S, timeout_s))
        stage.alive()
        if time.monotonic() > deadline:
            process.kill()
            raise DelegateHung(
                f"{library} did not load within {timeout_s:g} s in a trial; unplug the device and plug it in again"
            )


def _refusal(error: str, message: str, library: str, label: str, device: Attached) -> ParaedgeError:
    """What the interpreter's exception means and what would mend it."""
    text = short(message, 300)
    if error == "OSError":
        return DeviceMissing(f"{library} can't be loaded: {text}; {APT}")
    if error == "AttributeError":
        return DeviceMissing(f"{library} is a library but no delegate; name libedgetpu.so.1 in PARAEDGE_LIBEDGETPU")
    if error == "ValueError":
        return DelegateRefused(f"{library} would not open {device.id} ({device.bus} {device.port}): {text}; {OPENING}")
    return DelegateRefused(f"{library} could not be loaded with {label}: {error}: {text}")


# --- in the throw-away process ---


class _Device(ctypes.Structure):
    """`struct edgetpu_device` of edgetpu_c.h."""

    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def main(arguments: list[str]) -> None:
    """Load the delegate for the device and say how it went."""
    parent, runtime, library, bus, port, number = arguments
    guard.die_with_parent(int(parent))
    guard.limit_memory(None)
    try:
        answer = _load(runtime, library, bus, port, int(number))
    except Exception as error:
        answer = {"error": "OSError" if isinstance(error, OSError) else type(error).__name__, "message": str(error)}
    os.write(1, json.dumps(answer).encode() + b"\n")
    os._exit(0)


def _load(runtime: str, library: str, bus: str, port: str, number: int) -> dict[str, object]:
    interpreter = importlib.import_module(f"{runtime}.interpreter")
    listed = _place_in_list(library, bus, port)
    option = f"{OPTIONS['PCIe' if bus == 'PCIe' else 'USB']}:{number if listed is None else listed}"
    delegate = interpreter.load_delegate(library, {"device": option})
    del delegate  # closes the device for whoever opens it next
    return {"option": option, "listed": listed is not None, "version": _version(library)}


def _place_in_list(library: str, bus: str, port: str) -> int | None:
    """The device's place among those of its bus in the library's own list, by the last part of their paths, or None."""
    with contextlib.suppress(OSError, AttributeError):
        functions = ctypes.CDLL(library)
        functions.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
        count = ctypes.c_size_t(0)
        devices = functions.edgetpu_list_devices(ctypes.byref(count))
        found = [devices[i] for i in range(count.value)]
        ports = [os.path.basename((one.path or b"").decode()) for one in found if TYPES.get(one.type) == bus]
        return ports.index(port) if port in ports else None
    return None


def _version(library: str) -> str | None:
    with contextlib.suppress(OSError, AttributeError):
        function = ctypes.CDLL(library).edgetpu_version
        function.restype = ctypes.c_char_p
        text = function()
        return short(text.decode(errors="replace"), 120) if text else None
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
