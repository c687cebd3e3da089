"""ModelSpec: one point of a grid. Label, argument and archive key at once."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["int8", "float32", "float16", "dynamic_range"]
"""float16: weights of that type, arithmetic in float32. dynamic_range: int8 weights, float32 activations."""
ParamValue: TypeAlias = "int | str | tuple[int, ...] | None"


@dataclass(frozen=True)
class Params:
    """Base of a family's hyperparameters: a frozen dataclass, one field a parameter, named as in the TOML."""

    def columns(self) -> dict[str, ParamValue]:
        """The parameters under their TOML names, in the order of their declaration."""
        return dict(vars(self))

    def identity(self) -> dict[str, ParamValue]:
        """Those of the parameters that say which network it is: all of them, but for what only tells where it lies."""
        return self.columns()


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What to generate: family, hyperparameters, batch (leading dimension or number of invokes), precision, seed."""

    family: str
    params: Params
    batch: int = 1
    precision: Precision = "int8"
    seed: int = 0

    def canonical_json(self) -> str:
        """The same text for the same spec on every machine; parameters that are None are left out."""
        params = {name: value for name, value in self.params.identity().items() if value is not None}
        fields = {
            "family": self.family,
            "params": params,
            "batch": self.batch,
            "precision": self.precision,
            "seed": self.seed,
        }
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @functools.cached_property
    def spec_id(self) -> str:
        """`s` and 15 hexadecimal digits of the canonical JSON's SHA-256; the letter keeps it text in spreadsheets."""
        return "s" + hashlib.sha256(self.canonical_json().encode()).hexdigest()[:15]

    def label(self) -> str:
        """A short text for people: `fc layer=4 node=512`; never parsed."""
        parts = [f"{name}={_show(value)}" for name, value in self.params.columns().items() if value is not None]
        extra = [f"batch={self.batch}"] if self.batch != 1 else []
        extra += [self.precision] if self.precision != "int8" else []
        return " ".join([self.family, *parts, *extra])


def _show(value: ParamValue) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
