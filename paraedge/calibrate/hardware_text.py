"""A Hardware as the text of its TOML file, the inverse of `simulate.hardware_file.parse_hardware`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping

from paraedge.simulate.constants import UNITS, Constant, Hardware, Residuals

HEAD = "# A simulated device. Each constant has its unit and source; low and high bound it where the data do.\n"
RESIDUALS_HEAD = """
# How far predictions lay from measurements that were left out of the fit, by regime: errors are shares (0.05 is 5 %),
# spread is the factor within which 90 % of the rows lay, spread_outside the same without their whole case or host.
# ops and ranges say which models were measured.
"""


def hardware_text(hardware: Hardware) -> str:
    """The TOML text that reads back equal: numbers as they are, whole ones as integers, unknown keys left out."""
    top = {
        "name": hardware.name,
        "summary": hardware.summary,
        "interface": hardware.interface,
        "host": hardware.host,
        "link_mbit_per_s": hardware.link_mbit_per_s,
    }
    parts = [HEAD, *_lines(top)]
    for name in UNITS:
        parts += [f"\n[constants.{name}]\n", *_lines(_constant(hardware.sources[name]))]
    if hardware.residuals:
        parts.append(RESIDUALS_HEAD)
    for entry in hardware.residuals.values():
        parts += ["\n[[residuals]]\n", *_lines(_residuals(entry))]
    return "".join(parts)


def _constant(constant: Constant) -> dict[str, object]:
    keys = ("value", "unit", "low", "high", "source")
    found = {key: getattr(constant, key) for key in keys}
    return {**found, "note": constant.note or None}


def _residuals(entry: Residuals) -> dict[str, object]:
    return {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}


def _lines(table: Mapping[str, object]) -> Iterator[str]:
    for key, value in table.items():
        if value is not None:
            yield f"{key} = {_value(value)}\n"


def _value(value: object) -> str:
    if isinstance(value, str):  # JSON's escapes are TOML's too, but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)
