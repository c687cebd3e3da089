"""Hyperparameters of all families: their fields, limits and checks."""

from __future__ import annotations

import dataclasses
from types import EllipsisType
from typing import Any

from paraedge.core.errors import BadInput, short
from paraedge.core.spec import Params
from paraedge.core.words import nearest

MOST = 2**20
"""Largest width, channel count or image side: beyond what fits 2 GiB, small enough that no graph is a burden."""
MOST_LAYERS = 10_000
MOST_KERNEL = 1024


def count(*, default: int | EllipsisType | None = ..., most: int = MOST) -> Any:
    """A field for a whole number from 1 to `most`; required where no default is given, else perhaps None."""
    limits = {"kind": "count", "most": most}
    if isinstance(default, EllipsisType):
        return dataclasses.field(metadata=limits)
    return dataclasses.field(default=default, metadata=limits)


def counts(*, length: int | None = None, most: int = MOST) -> Any:
    """A field for a list of such numbers, `length` of them where that is fixed; None by default."""
    return dataclasses.field(default=None, metadata={"kind": "counts", "most": most, "length": length})


def choice(*, default: str, among: tuple[str, ...]) -> Any:
    """A field for one of the words `among`."""
    return dataclasses.field(default=default, metadata={"kind": "choice", "among": among})


def check_value(params: type[Params], name: str, value: object) -> str | None:
    """What would be right, where `value` can't be the parameter `name`; None where it can."""
    limits = params.__dataclass_fields__[name].metadata
    if limits["kind"] == "choice":
        return None if value in limits["among"] else _one_of(limits["among"], value)
    most = limits["most"]
    if limits["kind"] == "count":
        return None if _is_count(value, most) else f"a whole number from 1 to {most}"
    length = limits["length"]
    good = isinstance(value, tuple) and len(value) == (length or len(value)) and 0 < len(value) <= MOST_LAYERS
    if good and isinstance(value, tuple) and all(_is_count(item, most) for item in value):
        return None
    return f"a list of {length or f'1 to {MOST_LAYERS}'} whole numbers from 1 to {most}"


def check_params(params: Params) -> None:
    """Raise BadInput for the first parameter that is out of its limits; one that is None by default may be None."""
    for name, field in params.__dataclass_fields__.items():
        value, limits = getattr(params, name), field.metadata
        if limits["kind"] == "count" and type(value) is int and 1 <= value <= limits["most"]:
            continue  # the quick way: a grid has a hundred thousand of them
        if value is None and field.default is None:
            continue
        right = check_value(type(params), name, value)
        if right is not None:
            raise BadInput(f"{name} = {short(repr(value), 60)}: must be {right}")


def either(params: Params, one: str, others: tuple[str, ...]) -> None:
    """Raise BadInput unless `one` is given, or all of the `others`, but not both."""
    given = [name for name in others if getattr(params, name) is not None]
    if getattr(params, one) is not None:
        if given:
            raise BadInput(f"{one} stands in place of {' and '.join(others)}: give one or the other")
    elif len(given) < len(others):
        missing = " and no ".join(name for name in others if name not in given)
        raise BadInput(f"no {missing}: give {' and '.join(others)}, or {one}")


def _one_of(words: tuple[str, ...], value: object) -> str:
    near = nearest(value.lower(), words) if isinstance(value, str) else None
    return f"one of {', '.join(map(repr, words))}{f': did you mean {near!r}?' if near else ''}"


def _is_count(value: object, most: int) -> bool:
    return type(value) is int and 1 <= value <= most  # a bool is no count
