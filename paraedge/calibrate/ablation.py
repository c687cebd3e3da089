"""What each constant pays: the errors of rows that were left out, with the constant and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paraedge.calibrate.bases import published_problem
from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import Problem
from paraedge.calibrate.pipelines import PipelineProblem, pipeline_groups
from paraedge.calibrate.plan import published_plan
from paraedge.calibrate.published import SWEEP_HOST, pipeline_rows
from paraedge.calibrate.report import Group, PipelineGroup
from paraedge.calibrate.validate import cross_validate, groups
from paraedge.simulate.constants import OF_PIPELINES

NO_LIMIT = 1e12
"""A rate at which nothing takes time."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """The simulator less one idea: counts that cost nothing, constants held at a value."""

    name: str
    free: frozenset[str] = frozenset()
    held: Mapping[str, float] = field(default_factory=dict)

    def plan(self, count: str, host: str, interface: str) -> str | None:
        """The published plan, less what this variant leaves out."""
        if count in self.free:
            return None
        return published_plan(count, host, interface)


VARIANTS: tuple[Variant, ...] = (
    Variant(name="all constants"),
    Variant(name="no depthwise_cycles", free=frozenset({"depthwise_steps"}), held={"depthwise_cycles": 0.0}),
    Variant(name="no return_block_ns", free=frozenset({"output_blocks"}), held={"return_block_ns": 0.0}),
    Variant(name="no return_mb_per_s", free=frozenset({"output_bytes"}), held={"return_mb_per_s": NO_LIMIT}),
    Variant(name="no stream_setup_ms", free=frozenset({"streams"}), held={"stream_setup_ms": 0.0}),
    Variant(name="no stripes (one fetch)", held={"most_fetches": 1.0}),
    Variant(
        name="no link_mb_per_s",
        free=frozenset({"input_bytes", "instruction_bytes"}),
        held={"link_mb_per_s": NO_LIMIT},
    ),
    Variant(name="no instruction_bytes_per_border", held={"instruction_bytes_per_border": 0.0}),
    Variant(name="no overhead_ms", free=frozenset({"invokes"}), held={"overhead_ms": 0.0}),
)


@dataclass(frozen=True, kw_only=True)
class Ablated:
    """A variant's groups."""

    name: str
    groups: tuple[Group, ...]


def ablate(folder: Path, variants: Sequence[Variant] = VARIANTS) -> tuple[Ablated, ...]:
    """Cross-validate each variant on the published tables in `folder`; raises BadInput. About 10 s a variant."""
    whole = published_problem(folder)
    found = []
    for variant in variants:
        bases = {host: changed(base, **variant.held) for host, base in whole.bases.items()}
        problem = Problem(CountedRows(whole.rows, bases, whole.counted.byte_rows), variant.plan)
        found.append(Ablated(name=variant.name, groups=tuple(groups(problem.rows, cross_validate(problem)))))
    return tuple(found)


def ablate_pipelines(folder: Path) -> dict[str, tuple[PipelineGroup, ...]]:
    """Two-device rows with all constants of pipelines, and without each, held at 0; raises BadInput."""
    rows, hardware = pipeline_rows(folder), published_problem(folder).fit().hosts[SWEEP_HOST]
    variants = {"all constants": (), **{f"no {name}": (name,) for name in OF_PIPELINES}}
    return {name: tuple(pipeline_groups(PipelineProblem(rows, hardware, held))) for name, held in variants.items()}
