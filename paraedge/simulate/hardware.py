"""Hardware files: the constants of a simulated device, each with its unit, source and note, read once and checked."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paraedge.core.errors import BadInput, short

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).with_name("hardware")
FOLDER_VARIABLE = "PARAEDGE_HARDWARE"
"""Environment variable that names a folder of the user's own hardware files; each becomes a device too."""
LARGEST_FILE_BYTES = 1 << 20

UNITS: Mapping[str, str] = {
    "clock_mhz": "MHz",
    "peak_macs_per_cycle": "MAC/cycle",
    "conv_macs_per_cycle": "MAC/cycle",
    "pointwise_macs_per_cycle": "MAC/cycle",
    "elements_per_cycle": "element/cycle",
    "on_chip_bytes_per_cycle": "byte/cycle",
    "wide_memory_bytes": "byte",
    "narrow_memory_bytes": "byte",
    "stripe_memory_bytes": "byte",
    "most_fetches": "count",
    "link_mb_per_s": "MB/s",
    "return_mb_per_s": "MB/s",
    "return_pixel_ns": "ns",
    "stream_ms_per_mib": "ms/MiB",
    "stream_setup_ms": "ms",
    "upload_ms_per_mib": "ms/MiB",
    "instruction_bytes_per_op": "byte",
    "instruction_bytes_per_unit": "byte",
    "overhead_ms": "ms",
}
"""Each constant of a hardware file with the unit that its value must be in."""

MAY_BE_ZERO = frozenset({"return_pixel_ns", "stream_setup_ms", "overhead_ms", "instruction_bytes_per_unit"})
TEXT_KEYS = ("name", "summary", "interface", "host")
TOP_KEYS = frozenset({*TEXT_KEYS, "link_mbit_per_s", "constants"})
CONSTANT_KEYS = frozenset({"value", "unit", "source", "note", "low", "high"})


@dataclass(frozen=True, kw_only=True)
class Constant:
    """One number of a hardware file: value, unit, where it comes from, and its interval where one is known."""

    value: float
    unit: str
    source: str
    note: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A simulated device. The units are the last word of each name; `docs/simulator.md` says what each one does.

    wide_memory_bytes: room of parameters and instructions. narrow_memory_bytes: activations that fit without taking
    room from the parameters. stripe_memory_bytes: scale of the re-fetching rule (`traffic.weight_fetches`).
    link: input and instructions to the device. return: outputs to the host. sources: the file's constants as written.
    """

    name: str
    summary: str
    interface: str
    host: str
    link_mbit_per_s: int | None
    clock_mhz: float
    peak_macs_per_cycle: float
    conv_macs_per_cycle: float
    pointwise_macs_per_cycle: float
    elements_per_cycle: float
    on_chip_bytes_per_cycle: float
    wide_memory_bytes: float
    narrow_memory_bytes: float
    stripe_memory_bytes: float
    most_fetches: float
    link_mb_per_s: float
    return_mb_per_s: float
    return_pixel_ns: float
    stream_ms_per_mib: float
    stream_setup_ms: float
    upload_ms_per_mib: float
    instruction_bytes_per_op: float
    instruction_bytes_per_unit: float
    overhead_ms: float
    sources: Mapping[str, Constant]


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


def user_hardware() -> tuple[Hardware | BadInput, ...]:
    """The files in the folder that PARAEDGE_HARDWARE names, each read or with the error that says why not."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return ()
    found: list[Hardware | BadInput] = []
    names = set(_shipped_names())
    for path in sorted(Path(folder).glob("*.toml")):
        try:
            hardware = read_hardware(path)
            if hardware.name in names:
                raise BadInput(f"{path}: the name {hardware.name!r} is taken; give this device another")
        except BadInput as error:
            found.append(error)
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
    return parse_hardware(table, source=str(path))


def parse_hardware(table: Mapping[str, object], *, source: str) -> Hardware:
    """A checked Hardware from a TOML table; `source` is named in the errors."""
    for key in sorted(set(table) - TOP_KEYS):
        raise BadInput(f"{source}: unknown key {key!r}; known are {', '.join(sorted(TOP_KEYS))}")
    texts = {key: _text(table.get(key), f"{source}: {key}") for key in TEXT_KEYS}
    if not texts["name"].startswith("sim-"):
        raise BadInput(f"{source}: name {short(texts['name'], 80)!r} must begin with 'sim-', to tell it from a device")
    speed = table.get("link_mbit_per_s")
    if speed is not None and (not isinstance(speed, int) or isinstance(speed, bool) or speed <= 0):
        raise BadInput(f"{source}: link_mbit_per_s must be a positive whole number, or be left out")
    raw = table.get("constants")
    if not isinstance(raw, dict):
        raise BadInput(f"{source}: the table [constants] is missing; it needs {', '.join(UNITS)}")
    for key in sorted(set(raw) - set(UNITS)):
        raise BadInput(f"{source}: unknown constant {short(key, 80)!r}; known are {', '.join(UNITS)}")
    constants = {key: _constant(raw.get(key), key, f"{source}: constants.{key}") for key in UNITS}
    values = {key: constant.value for key, constant in constants.items()}
    return Hardware(
        name=texts["name"],
        summary=texts["summary"],
        interface=texts["interface"],
        host=texts["host"],
        link_mbit_per_s=speed,
        sources=constants,
        **values,
    )


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where} must be a text that is not empty")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise BadInput(f"{where} must be a number below 1e15")
    return float(value)


def _constant(raw: object, key: str, where: str) -> Constant:
    if not isinstance(raw, dict):
        raise BadInput(f"{where} is missing; write it as a table with value, unit and source")
    for name in sorted(set(raw) - CONSTANT_KEYS):
        raise BadInput(f"{where}: unknown key {short(name, 80)!r}; known are {', '.join(sorted(CONSTANT_KEYS))}")
    value = _number(raw.get("value"), f"{where}.value")
    if value < 0 or (value == 0 and key not in MAY_BE_ZERO):
        raise BadInput(f"{where}.value is {value:g}; it must be above 0")
    if key == "most_fetches" and value < 1:
        raise BadInput(f"{where}.value is {value:g}; weights are fetched at least once")
    unit = _text(raw.get("unit"), f"{where}.unit")
    if unit != UNITS[key]:
        raise BadInput(f"{where}.unit is {short(unit, 40)!r}; it must be {UNITS[key]!r}")
    note = raw.get("note", "")
    if not isinstance(note, str):
        raise BadInput(f"{where}.note must be a text")
    ends = {end: None if end not in raw else _number(raw[end], f"{where}.{end}") for end in ("low", "high")}
    low, high = ends["low"], ends["high"]
    if (low is not None and low > value) or (high is not None and high < value):
        raise BadInput(f"{where}: value {value:g} lies outside its interval from low to high")
    source = _text(raw.get("source"), f"{where}.source")
    return Constant(value=value, unit=unit, source=source, note=note, low=low, high=high)
