"""A cluster file's TOML to Cluster: every error is one line that names file and key and says what would be right.

name = "mixed"
overlap = true                 # hosts send while they compute; the default

[[bus]]
name = "wifi"
mb_per_s = 30

[[host]]
name = "fast"
count = 4
gmacs_per_s = 20
memory_mib = 512
link_mbit_per_s = 1000
bus = "wifi"

[[host]]
name = "coral"
device = "sim-edgetpu-usb3"    # in place of a speed and a memory
link_mbit_per_s = 1000
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from paraedge.core.errors import BadInput, short
from paraedge.core.words import did_you_mean
from paraedge.simulate.hardware import hardware_names
from paraedge.simulate.hosts import Bus, Cluster, Host

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_HOSTS = 64
MOST_NUMBER = 1e9
"""More than any rate, memory or time of a cluster in its unit."""
TOP_KEYS = ("name", "summary", "overlap", "host_ms", "bus", "host")
HOST_KEYS = (
    *("name", "count", "device", "gmacs_per_s", "memory_mib", "layer_ms"),
    *("link_mbit_per_s", "link_ms", "bus"),
)
OF_A_SPEED = ("gmacs_per_s", "memory_mib", "layer_ms")
"""Keys of a host that has no device."""
MEANING: Mapping[str, str] = {
    "gmacs_per_s": "its speed in 1e9 multiply-accumulates a second, as gmacs_per_s = 20, or a device",
    "memory_mib": "what it has for parameters and activations, as memory_mib = 512",
    "link_mbit_per_s": "the rate of its network link, as link_mbit_per_s = 1000",
    "mb_per_s": "what it carries, as mb_per_s = 30",
}


def parse_cluster(text: str, *, source: str) -> Cluster:
    """A cluster from the TOML `text`; `source` names it in errors. Raises BadInput, one line, for anything wrong."""
    if not text.strip():
        raise BadInput(f"{source} is empty: a cluster needs a name and a [[host]]")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also whole numbers too long for Python, lists nested too deep
        raise BadInput(f"{source} is not TOML: {short(error, 200)}") from None
    return _Reader(source).cluster(table)


class _Reader:
    """Checks one file's tables; knows the file's name so that every error has it."""

    def __init__(self, source: str) -> None:
        self.source = source

    def cluster(self, table: Mapping[str, Any]) -> Cluster:
        self.known(table, TOP_KEYS, "")
        overlap = table.get("overlap", True)
        if not isinstance(overlap, bool):
            self.bad("overlap", overlap, "true or false: whether hosts send while they compute")
        summary = table.get("summary", "")
        if not isinstance(summary, str):
            self.bad("summary", summary, "a text")
        name = self.name("name", table.get("name"))
        buses = tuple(self.bus(where, one) for where, one in self.tables("bus", table.get("bus", [])))
        self.once("bus", [bus.name for bus in buses])
        found = self.tables("host", table.get("host", []))
        if not found:
            self.fail("has no host: add one or more [[host]] tables")
        hosts = tuple(self.host(where, one, [bus.name for bus in buses]) for where, one in found)
        self.once("host", [name for host in hosts for name in host.names])
        if sum(host.count for host in hosts) > MOST_HOSTS:
            self.fail(f"has {sum(host.count for host in hosts)} hosts: at most {MOST_HOSTS}; lower a count")
        return Cluster(
            name=name,
            summary=summary,
            hosts=hosts,
            buses=buses,
            overlap=overlap,
            host_ms=self.time("host_ms", table.get("host_ms", 0)),
        )

    def bus(self, where: str, table: Mapping[str, Any]) -> Bus:
        self.known(table, ("name", "mb_per_s"), f"{where}.")
        name = self.name(f"{where}.name", table.get("name"))
        return Bus(name=name, mb_per_s=self.positive(f"{where} ({name})", table, "mb_per_s"))

    def host(self, where: str, table: Mapping[str, Any], buses: Collection[str]) -> Host:
        self.known(table, HOST_KEYS, f"{where}.")
        name = self.name(f"{where}.name", table.get("name"))
        where = f"{where} ({name})"
        count = table.get("count", 1)
        if type(count) is not int or not 1 <= count <= MOST_HOSTS:
            self.bad(f"{where}.count", count, f"a whole number, 1 to {MOST_HOSTS}")
        bus = table.get("bus")
        if bus is not None and bus not in buses:
            self.fail(f"{where}.bus = {_shown(bus)}: no [[bus]] has that name: {did_you_mean(str(bus), buses)}")
        device = self.device(where, table)
        return Host(
            name=name,
            count=count,
            device=device,
            gmacs_per_s=None if device else self.positive(where, table, "gmacs_per_s"),
            memory_mib=None if device else self.positive(where, table, "memory_mib"),
            layer_ms=self.time(f"{where}.layer_ms", table.get("layer_ms", 0)),
            link_mbit_per_s=self.positive(where, table, "link_mbit_per_s"),
            link_ms=self.time(f"{where}.link_ms", table.get("link_ms", 0)),
            bus=bus,
        )

    def device(self, where: str, table: Mapping[str, Any]) -> str | None:
        """The simulated device of a host that has one; such a host has no speed or memory of its own."""
        device = table.get("device")
        if device is None:
            return None
        if not isinstance(device, str) or device not in hardware_names():
            right = did_you_mean(str(device), hardware_names())
            self.fail(f"{where}.device = {_shown(device)}: no simulated device is called so: {right}")
        for key in OF_A_SPEED:
            if key in table:
                self.fail(f"{where}.{key}: a host has either a device, which brings its own, or {key}; remove one")
        return device

    def tables(self, key: str, value: object) -> list[tuple[str, Mapping[str, Any]]]:
        """Each table of a list with where it stands: `host[1]` is the first."""
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.bad(key, value, f"one or more tables: [[{key}]]")
        return [(f"{key}[{number}]", one) for number, one in enumerate(value, start=1)]

    def name(self, where: str, value: object) -> str:
        if value is None:
            self.fail(f"{where} is missing")
        if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", value):
            self.bad(where, value, "up to 60 letters, digits, '-', '_' or '.', beginning with a letter or digit")
        return value

    def positive(self, where: str, table: Mapping[str, Any], key: str) -> float:
        if key not in table:
            self.fail(f"{where}.{key} is missing: {MEANING[key]}")
        value = table[key]
        if not _is_number(value) or not 0 < value <= MOST_NUMBER:
            self.bad(f"{where}.{key}", value, f"a number above 0 and at most a billion: {MEANING[key]}")
        return float(value)

    def time(self, where: str, value: object) -> float:
        if not _is_number(value) or not 0 <= value <= MOST_NUMBER:  # type: ignore[operator]
            self.bad(where, value, "a number of milliseconds, 0 to a billion")
        return float(value)  # type: ignore[arg-type]

    def once(self, key: str, names: Sequence[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                self.fail(f"{key}.name = {name!r} is there twice: each {key} has a name of its own")

    def known(self, table: Mapping[str, Any], keys: tuple[str, ...], prefix: str) -> None:
        for key in table:
            if key not in keys:
                self.fail(f"{prefix}{short(key, 60)} is unknown: {did_you_mean(key, keys)}")

    def bad(self, where: str, value: object, right: str) -> NoReturn:
        self.fail(f"{where} = {_shown(value)}: must be {right}")

    def fail(self, message: str) -> NoReturn:
        raise BadInput(f"{self.source}: {message}")


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _shown(value: object) -> str:
    return short(str(value).lower() if isinstance(value, bool) else repr(value), 60)
