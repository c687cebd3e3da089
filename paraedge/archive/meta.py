"""meta.json: what the tables beside it mean and where they come from."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TypeAlias

from paraedge.archive.columns import SAMPLES, SCHEMA_VERSION, STAGES, described, run_columns
from paraedge.archive.lines import replace_file
from paraedge.core.errors import BadCampaign, short

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

META = "meta.json"
RESERVED = frozenset("schema_version name sweep parameters columns samples_columns stages_columns invocations".split())
"""Sections that the archive writes itself."""


def new_meta(name: str, sweep_text: str, parameters: Sequence[str]) -> dict[str, Json]:
    """The sections of a campaign that has not begun."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "sweep": sweep_text,
        "parameters": list(parameters),
        "columns": plain(described(run_columns(parameters))),
        "samples_columns": plain(described(SAMPLES)),
        "stages_columns": plain(described(STAGES)),
        "invocations": [],
    }


def read_meta(folder: Path) -> dict[str, Json]:
    """The sections of a campaign; raises BadCampaign where they are not ours, or those of a newer schema."""
    path = folder / META
    try:
        meta = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadCampaign(f"{path} is not JSON ({short(error, 100)}); restore it or choose another folder") from None
    except OSError as error:
        raise BadCampaign(f"can't read {path}: {error.strerror}") from None
    version = meta.get("schema_version") if isinstance(meta, dict) else None
    if not isinstance(version, int) or not isinstance(meta.get("name"), str) or not isinstance(meta.get("sweep"), str):
        raise BadCampaign(f"{path} is not that of a campaign: no schema_version, name or sweep; choose another folder")
    if version > SCHEMA_VERSION:
        raise BadCampaign(
            f"{folder} was written by a newer paraedge (archive schema {version}, this one reads {SCHEMA_VERSION}); "
            "install a newer paraedge"
        )
    return dict(meta)


def write_meta(folder: Path, meta: Mapping[str, Json]) -> None:
    """Replace meta.json in one step."""
    replace_file(folder / META, (json.dumps(meta, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace"))


def plain(value: object) -> Json:
    """JSON of dataclasses, enumerations, paths, tuples and sets; a number that is not finite is unknown: null."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Set):
        return [plain(item) for item in sorted(value, key=str)]
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item) for item in value]
    return str(value)
