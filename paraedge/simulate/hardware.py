"""Hardware files: which there are, the shipped ones and the user's, and reading one, once."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from pathlib import Path

from paraedge.core.device import Absence
from paraedge.core.errors import BadInput, short
from paraedge.simulate.constants import OF_PIPELINES, Constant, Hardware
from paraedge.simulate.hardware_file import parse_hardware

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).with_name("hardware")
FOLDER_VARIABLE = "PARAEDGE_HARDWARE"
"""Environment variable that names a folder of the user's own hardware files; each becomes a device too."""
MEASURED_PIPELINES = "sim-edgetpu-pcie"
"""The one host of which pipelines were measured."""
LARGEST_FILE_BYTES = 1 << 20


def hardware_names() -> tuple[str, ...]:
    """Names of the devices that can be simulated: the shipped files, then the user's readable ones."""
    return (*_shipped_names(), *(hardware.name for hardware in user_hardware() if isinstance(hardware, Hardware)))


def load_hardware(name_or_path: str | Path) -> Hardware:
    """The hardware of a device name or of a TOML file; raises BadInput with one line saying what would be right."""
    text = str(name_or_path)
    if os.sep not in text and not text.endswith(".toml"):
        if text in _shipped_names():
            return read_hardware(SHIPPED / f"{text}.toml")
        for hardware in user_hardware():
            if isinstance(hardware, Hardware) and hardware.name == text:
                return hardware
        known = ", ".join(hardware_names())
        raise BadInput(
            f"no simulated device is called {short(text, 80)!r}; known are {known}, or a path to a .toml file"
        )
    return read_hardware(Path(text))


def user_hardware() -> tuple[Hardware | Absence, ...]:
    """The files in the folder that PARAEDGE_HARDWARE names, each read or with the reason why not; the folder's too."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return ()
    try:
        paths = sorted(path for path in Path(folder).iterdir() if path.suffix == ".toml")
    except OSError as error:
        remedy = f"export {FOLDER_VARIABLE}=/path/to/folder, or unset it"
        return (Absence(id=f"{FOLDER_VARIABLE}={folder}", reason=error.strerror or str(error), remedy=remedy),)
    found: list[Hardware | Absence] = []
    names = set(_shipped_names())
    for path in paths:
        try:
            hardware = read_hardware(path)
            if hardware.name in names:
                raise BadInput(f"{path}: the name {hardware.name!r} is taken; give this device another")
        except BadInput as error:
            reason = str(error).removeprefix(f"{path}: ")
            found.append(Absence(id=str(path), reason=reason, remedy="mend or remove that hardware file"))
        else:
            names.add(hardware.name)
            found.append(hardware)
    return tuple(found)


@functools.cache
def _shipped_names() -> tuple[str, ...]:
    return tuple(path.stem for path in sorted(SHIPPED.glob("*.toml")))


def read_hardware(path: Path) -> Hardware:
    """Read and check one file; a file that didn't change is read once."""
    try:
        state = path.stat()
    except (OSError, ValueError) as error:
        raise BadInput(f"{short(path, 200)}: no hardware file there ({short(error, 120)})") from None
    if not path.is_file():
        raise BadInput(f"{path}: a hardware file is a TOML file, not a folder")
    if state.st_size > LARGEST_FILE_BYTES:
        raise BadInput(f"{path}: {state.st_size} bytes are too many for a hardware file")
    return _read(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=64)
def _read(path: Path, _modified_ns: int, _size: int) -> Hardware:
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInput(f"{path}: not a TOML file: {short(error, 200)}") from None
    return parse_hardware(table, source=str(path), assumed=None if path.parent == SHIPPED else _assumed())


@functools.cache
def _assumed() -> dict[str, Constant]:
    """What a user's file that is older than pipelines is taken to say of them."""
    sources = read_hardware(SHIPPED / f"{MEASURED_PIPELINES}.toml").sources
    text = f"assumed to be that of {MEASURED_PIPELINES}: the file has none"
    return {key: dataclasses.replace(sources[key], source=text, low=None, high=None) for key in OF_PIPELINES}
