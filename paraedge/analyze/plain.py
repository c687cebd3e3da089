"""Results as plain dicts and lists for JSON: NaN and infinities become None, numpy scalars Python's own."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd


def plain(value: object) -> object:
    """`value` in terms of dict, list, str, int, float, bool and None; DataFrames become a list of their rows."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.generic)):
        return _scalar(value)
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict(orient="records")]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"no JSON form of {type(value).__name__}")


def plain_dict(value: object) -> dict[str, object]:
    """`plain` of a dataclass or a mapping, which is a dict."""
    found = plain(value)
    if not isinstance(found, dict):
        raise TypeError(f"not a record: {type(value).__name__}")
    return found


def _scalar(value: float | np.generic) -> object:
    item = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(item, float) and not math.isfinite(item) else item
