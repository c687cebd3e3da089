"""What a pipeline adds to a row: its rates, its cuts, and a line for each of its devices."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from paraedge.archive.columns import STAGES, Cell, names
from paraedge.core.partition import Partition
from paraedge.core.pipeline import PipelineRun


def pipeline_cells(run: PipelineRun) -> dict[str, Cell]:
    """What a run of a pipeline came to."""
    return {
        "throughput_per_s": 1e3 * run.inputs / statistics.median((*run.earlier_ms, run.wall_ms)),
        "steady_per_s": run.steady_per_s,
        "pass_ms": statistics.median(run.pass_ms),
        "fill_ms": run.fill_ms,
        "drain_ms": run.drain_ms,
        "devices_used": len(run.stages),
    }


def partition_cells(partition: Partition) -> dict[str, Cell]:
    """Its cuts and how good they are by the cost model; parameters of all its segments together."""
    return {
        "cuts": ",".join(map(str, partition.cuts)) or None,
        "bottleneck_ms": partition.bottleneck_ms,
        "lower_bound_ms": partition.lower_bound_ms,
        "gap": partition.gap,
        "on_chip_bytes": _total(stage.on_chip_bytes for stage in partition.stages),
        "off_chip_bytes": _total(stage.off_chip_bytes for stage in partition.stages),
    }


def stage_lines(run: PipelineRun) -> tuple[tuple[Cell, ...], ...]:
    """A line of stages.csv for each device, without its run_id."""
    return tuple(tuple(getattr(stage, name) for name in names(STAGES)[1:]) for stage in run.stages)


def _total(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)
