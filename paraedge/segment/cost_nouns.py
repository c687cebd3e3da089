"""Costs: a problem, and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.device import Origin
from paraedge.partition.problem import Problem


@dataclass(frozen=True, kw_only=True, eq=False)
class Costs:
    """A problem and what its costs rest on.

    order: the type of each device, in the order in which the user gave them. origins: of the times, each once.
    sentences: the cost model for people, with what is assumed.
    """

    problem: Problem
    order: tuple[int, ...]
    origins: tuple[Origin, ...]
    sentences: tuple[str, ...]

    @property
    def is_measured(self) -> bool:
        """All of the times were measured."""
        return self.origins == (Origin.MEASURED,)
