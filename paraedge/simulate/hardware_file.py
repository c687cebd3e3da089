"""A hardware file's TOML table to Hardware: every error is one line that says what would be right."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from paraedge.core.errors import BadInput, short
from paraedge.simulate.constants import MAY_BE_ZERO, UNITS, Constant, Hardware, Residuals

TEXT_KEYS = ("name", "summary", "interface", "host")
TOP_KEYS = frozenset({*TEXT_KEYS, "link_mbit_per_s", "constants", "residuals"})
CONSTANT_KEYS = frozenset({"value", "unit", "source", "note", "low", "high"})
RESIDUAL_FIELDS = {field.name: str(field.type) for field in dataclasses.fields(Residuals)}


def parse_hardware(
    table: Mapping[str, object], *, source: str, assumed: Mapping[str, Constant] | None = None
) -> Hardware:
    """A checked Hardware from a TOML table; `source` is named in the errors.

    assumed: constants to be taken where the table has none.
    """
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
    taken = {key: constant for key, constant in (assumed or {}).items() if key not in raw}
    constants = {key: taken.get(key) or _constant(raw.get(key), key, f"{source}: constants.{key}") for key in UNITS}
    values = {key: constant.value for key, constant in constants.items()}
    residuals = _residuals(table.get("residuals", []), source)
    return Hardware(
        name=texts["name"],
        summary=texts["summary"],
        interface=texts["interface"],
        host=texts["host"],
        link_mbit_per_s=speed,
        sources=constants,
        residuals=residuals,
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


def _residuals(raw: object, source: str) -> dict[str, Residuals]:
    if not isinstance(raw, list):
        raise BadInput(f"{source}: residuals must be tables, written as [[residuals]]")
    found: dict[str, Residuals] = {}
    for number, table in enumerate(raw):
        where = f"{source}: residuals {number + 1}"
        if not isinstance(table, dict) or set(table) != set(RESIDUAL_FIELDS):
            raise BadInput(f"{where}: must have the keys {', '.join(RESIDUAL_FIELDS)} and no others")
        values: dict[str, Any] = {
            key: _residual(table[key], kind, f"{where}.{key}") for key, kind in RESIDUAL_FIELDS.items()
        }
        entry = Residuals(**values)
        if not 1 <= entry.spread <= entry.spread_outside or entry.regime in found:
            raise BadInput(f"{where}: 1 <= spread <= spread_outside, and a regime has one table")
        found[entry.regime] = entry
    return found


def _residual(value: object, kind: str, where: str) -> object:
    if kind == "str":
        return _text(value, where)
    if kind == "int":
        return int(_number(value, where))
    if kind == "float":
        return _number(value, where)
    if not isinstance(value, list):
        raise BadInput(f"{where} must be a list")
    if "str" in kind:
        return tuple(_text(item, where) for item in value)
    pair = tuple(_number(item, where) for item in value)
    if len(pair) != 2 or pair[0] > pair[1]:
        raise BadInput(f"{where} must be two numbers, the smaller first")
    return pair
