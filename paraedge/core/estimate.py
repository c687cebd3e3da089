"""Estimate: a number with its interval and unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value between `low` and `high` (95 % unless said otherwise); None where no interval could be had."""

    value: float
    low: float | None
    high: float | None
    unit: str
