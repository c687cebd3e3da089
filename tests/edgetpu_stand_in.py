"""A host with Edge TPUs made of files, and a package that stands in for the interpreter and its delegate.

The package is named `tflite_runtime`, and is put on the search path, so that real child processes load it as they
would load the real one. STAND_IN in the environment says, as JSON, how the delegate behaves; see INTERPRETER.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path

import pytest

from paraedge.devices import edgetpu_host, registry

INTERPRETER = '''
"""Stands in for tflite_runtime.interpreter; no arithmetic of a model is done."""

import ctypes, json, os, time

import numpy as np

HOW = json.loads(os.environ.get("STAND_IN", "{}"))
UPLOAD_MS = 20.0


class Delegate:
    def __init__(self, option):
        self.option = option
        self.uploaded = set()


def load_delegate(library, options):
    with open(HOW.get("log", os.devnull), "a") as log:
        log.write(f"{os.getpid()} {library} {options['device']}\\n")
    for path, text in HOW.get("firmware", {}).items():
        with open(path, "w") as file:
            file.write(text)
    {"crash": crash, "hang": hang, "refuse": refuse, "missing": missing, "no delegate": no_delegate, "exit": leave}.get(
        HOW.get("load"), lambda: None
    )()
    return Delegate(options["device"])


def crash():
    ctypes.string_at(0)


def hang():
    time.sleep(1000)


def refuse():
    raise ValueError("Failed to load delegate from libedgetpu.so.1\\n\\n")


def missing():
    raise OSError("libedgetpu.so.1: cannot open shared object file: No such file or directory")


def no_delegate():
    raise AttributeError("undefined symbol: tflite_plugin_create_delegate")


def leave():
    os.write(2, b"F driver.cc:42] no space left\\n")
    os._exit(3)


class Interpreter:
    def __init__(self, model_path, experimental_delegates=(), num_threads=1):
        with open(model_path, "rb") as file:
            file.seek(4)
            if file.read(4) != b"TFL3":
                raise ValueError("Model provided has model identifier that is not TFL3")
        (self.delegate,) = experimental_delegates
        self.path = model_path
        self.began = time.monotonic()
        self.invokes = 0
        self.input = self.output = None

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"index": 0, "shape": np.array([1, 64]), "dtype": np.uint8}]

    def get_output_details(self):
        return [{"index": 1, "shape": np.array([1, 10]), "dtype": np.uint8}]

    def set_tensor(self, index, values):
        self.input = values

    def invoke(self):
        self.invokes += 1
        if HOW.get("invoke") == "crash" or self.invokes > HOW.get("most_invokes", float("inf")):
            crash()
        wait_ms = HOW.get("ms", {}).get(self.delegate.option, 1.0)
        if self.path not in self.delegate.uploaded:
            self.delegate.uploaded.add(self.path)
            wait_ms += UPLOAD_MS
        if time.monotonic() - self.began > HOW.get("hot_after_s", float("inf")):
            wait_ms *= 2
            with open(HOW["sensor"], "w") as sensor:
                sensor.write("91000")
        time.sleep(wait_ms / 1000)
        self.output = self.input[:, :10] // 2

    def get_tensor(self, index):
        return self.output.copy()
'''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """A made-up host in use by the test that asked for it."""

    root: Path
    monkeypatch: pytest.MonkeyPatch

    def usb(self, port: str, speed: str = "5000", ids: tuple[str, str] = ("18d1", "9302")) -> None:
        """Plug in a USB stick."""
        for name, text in {"idVendor": ids[0], "idProduct": ids[1], "speed": speed}.items():
            self.write(f"sys/bus/usb/devices/{port}/{name}", text)
        registry_forgets()

    def pcie(self, number: int = 0, speed: str = "5.0 GT/s PCIe", width: str = "1", celsius: float = 45.5) -> None:
        """Put in a PCIe module that could run at 5 GT/s over one lane."""
        self.write(f"dev/apex_{number}", "")
        folder = f"sys/class/apex/apex_{number}"
        self.write(f"{folder}/temp", str(round(1000 * celsius)))
        self.write(f"{folder}/trip_point0_temp", "85000")
        link = {"current_link_speed": speed, "max_link_speed": "5.0 GT/s PCIe"}
        for name, text in {**link, "current_link_width": width, "max_link_width": "1"}.items():
            self.write(f"{folder}/device/{name}", text)
        registry_forgets()

    def package(self, name: str) -> None:
        """Install a Debian package."""
        self.write(f"var/lib/dpkg/info/{name}:amd64.list", "/usr/lib")
        registry_forgets()

    def behave(self, **how: object) -> None:
        """Have the delegate behave as `how` says; the log and the sensor are files of this host."""
        places = {"log": str(self.root / "log"), "sensor": str(self.root / "sys/class/apex/apex_0/temp")}
        self.monkeypatch.setenv("STAND_IN", json.dumps({**places, **how}))

    def opened(self) -> list[list[str]]:
        """Process id, library and option of each load of the delegate."""
        log = self.root / "log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


def make_host(folder: Path, monkeypatch: pytest.MonkeyPatch, *, library: str | None = "libedgetpu.so.1") -> Host:
    """A host under `folder` without any device, whose interpreter and library are the stand-in's."""
    package = folder / "packages" / "tflite_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "interpreter.py").write_text(INTERPRETER)
    monkeypatch.syspath_prepend(str(package.parent))  # a child of ours gets our search path
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)
    root = folder / "root"
    root.mkdir()
    monkeypatch.setenv(edgetpu_host.ROOT_VARIABLE, str(root))
    if library is None:
        monkeypatch.delenv(edgetpu_host.LIBRARY_VARIABLE, raising=False)
        nothing = edgetpu_host.find_library(lambda name: None, {})
        monkeypatch.setattr(edgetpu_host, "find_library", lambda: nothing)
    else:
        monkeypatch.setenv(edgetpu_host.LIBRARY_VARIABLE, library)
    monkeypatch.setattr(registry, "present", functools.cache(registry.present.__wrapped__))  # gone with the test
    host = Host(root=root, monkeypatch=monkeypatch)
    host.behave()
    return host


def registry_forgets() -> None:
    """The registry looks for devices once a process; a test changes the host under it."""
    registry.present.cache_clear()
