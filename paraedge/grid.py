"""Grid: the values of every parameter of a family, and the points that they span. Counted without being expanded.

Pipelines: the values of what is the same for all families, over how many devices they run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from paraedge.core.device import Target
from paraedge.core.partition import Aim
from paraedge.core.spec import ModelSpec, ParamValue
from paraedge.models import FAMILIES

Values: TypeAlias = "tuple[ParamValue, ...] | range"
"""The values of one axis, each once."""

COMMON = ("batch", "precision", "seed")
"""Axes that every family has besides its parameters."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """`axes` has every parameter of `family` and the common ones, in order of nesting: the last varies fastest."""

    family: str
    axes: Mapping[str, Values]

    def size(self) -> int:
        """Number of points."""
        return math.prod(_length(values) for values in self.axes.values())

    def points(self, without: Sequence[Grid] = ()) -> Iterator[ModelSpec]:
        """Every point, in order, lazily, but for those of the grids `without`, which have the same family."""
        make = FAMILIES[self.family].params
        names = tuple(self.axes)
        for values in _product(tuple(self.axes.values())):
            fields: dict[str, Any] = dict(zip(names, values, strict=True))
            if any(other._has(fields) for other in without):
                continue
            batch, precision, seed = fields.pop("batch"), fields.pop("precision"), fields.pop("seed")
            yield ModelSpec(family=self.family, params=make(**fields), batch=batch, precision=precision, seed=seed)

    def meet(self, other: Grid) -> Grid | None:
        """The points that are in both, or None where there are none."""
        if self.family != other.family:
            return None
        axes: dict[str, Values] = {}
        for name, values in self.axes.items():
            axes[name] = _meet(values, other.axes[name])
            if not axes[name]:
                return None
        return Grid(family=self.family, axes=axes)

    def _has(self, fields: Mapping[str, ParamValue]) -> bool:
        """Whether a value of every axis makes one of the points."""
        return all(_has(values, fields[name]) for name, values in self._sets.items())

    @functools.cached_property
    def _sets(self) -> Mapping[str, frozenset[ParamValue] | range]:
        return {name: v if isinstance(v, range) else frozenset(v) for name, v in self.axes.items()}


def one_point(spec: ModelSpec) -> Grid:
    """The grid of `spec` alone."""
    fields = {**vars(spec.params), "batch": spec.batch, "precision": spec.precision, "seed": spec.seed}
    return Grid(family=spec.family, axes={name: (value,) for name, value in fields.items()})


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """The table [pipeline]: over how many devices a point runs, how and what for it is cut, how many inputs go in."""

    segments: tuple[int, ...]
    strategies: tuple[str, ...]
    inputs: tuple[int, ...]
    aim: Aim = field(default_factory=Aim)

    def targets(self, target: Target) -> tuple[Target, ...]:
        """`target` in each of them; one segment needs no strategy, so there is one for all of them."""
        return tuple(
            replace(target, segments=segments, strategy=strategy, inputs=inputs)
            for segments in self.segments
            for strategy in (self.strategies if segments > 1 else (None,))
            for inputs in self.inputs
        )


def points_of(grids: Sequence[Grid]) -> Iterator[ModelSpec]:
    """The points of all grids in order, each once: a later grid leaves out what an earlier one has."""
    for index, grid in enumerate(grids):
        earlier = [other for other in grids[:index] if other.meet(grid)]
        yield from grid.points(earlier)


def size_of(grids: Sequence[Grid]) -> int:
    """Number of points of all grids, each counted once, by inclusion and exclusion: |A + B| = |A| + |B| - |AB|."""
    total = 0
    for index, grid in enumerate(grids):
        shared = [both for both in map(grid.meet, grids[:index]) if both is not None]
        total += grid.size() - size_of(_largest(shared))
    return total


def _largest(grids: Sequence[Grid]) -> list[Grid]:
    """Without those that lie wholly inside another, which add nothing to the union."""
    kept: list[Grid] = []
    for grid in sorted(grids, key=Grid.size, reverse=True):
        size = grid.size()
        if not any((both := grid.meet(other)) is not None and both.size() == size for other in kept):
            kept.append(grid)
    return kept


def _product(axes: Sequence[Values]) -> Iterator[tuple[ParamValue, ...]]:
    """As itertools.product, which would keep every range as a tuple: an axis may have a billion values."""
    if not axes:
        yield ()
    elif len(axes) == 1:
        for value in axes[0]:
            yield (value,)
    else:
        *outer, last = axes
        for head in _product(outer):
            for value in last:
                yield (*head, value)


def _meet(a: Values, b: Values) -> Values:
    if isinstance(a, range) and isinstance(b, range):
        return _meet_ranges(a, b)
    if isinstance(a, range):
        a, b = b, a
    return tuple(value for value in a if _has(b, value))


def _meet_ranges(a: range, b: range) -> range:
    """Values of both: every so often one of the sparser range hits the other, or never does."""
    if a.step < b.step:
        a, b = b, a
    step = math.lcm(a.step, b.step)
    skip = max(0, -(-(b.start - a.start) // a.step))
    first = next((value for value in a[skip : skip + step // a.step] if value in b), None)
    return range(0) if first is None else range(first, min(a.stop, b.stop), step)


def _has(values: Values | frozenset[ParamValue], value: ParamValue) -> bool:
    # a range looks at every value for what is no int
    return value in values if type(value) is int or not isinstance(values, range) else False


def _length(values: Values) -> int:
    # len() ends at 2**63
    return (values.stop - 1 - values.start) // values.step + 1 if isinstance(values, range) and values else len(values)
