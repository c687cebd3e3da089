"""What the published fit begins from: each host's shipped file, its instruction bytes fitted to compiled models."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import Problem
from paraedge.calibrate.instructions import CompiledModel, compiled_rows, fit_instructions, fit_intervals
from paraedge.calibrate.jackknife import rounded
from paraedge.calibrate.published import INTERFACE_OF, SWEEP_HOST, pipeline_rows, published_rows, segment_rows
from paraedge.simulate.constants import Hardware
from paraedge.simulate.hardware import load_hardware


def published_problem(folder: Path) -> Problem:
    """All published rows ready to be fitted; raises BadInput where a table can't be read.

    The suite's hosts ran files of a compiler before 16, as their USB 2 times tell: they fit those files' bytes of
    instructions within 1 %. The sweeps are of compiler 16.
    """
    rows = published_rows(folder)
    compiled = compiled_rows(folder, load_hardware(SWEEP_HOST))
    bases: dict[str, Hardware] = {}
    for host in dict.fromkeys(row.host for row in rows):
        older = host != SWEEP_HOST
        bases[host] = _with_instructions(
            load_hardware(INTERFACE_OF[host]), [row for row in compiled if row.older is older]
        )
    return Problem(CountedRows(rows, bases, list(segment_rows(pipeline_rows(folder)))))


def _with_instructions(base: Hardware, compiled: Sequence[CompiledModel]) -> Hardware:
    """The base with the bytes of instructions of these models' compiler, and their intervals."""
    fitted, ends = fit_instructions(compiled), fit_intervals(compiled)
    hardware = changed(base, **{name: rounded(value) for name, value in fitted.items()})
    told = {
        name: dataclasses.replace(hardware.sources[name], low=rounded(low), high=rounded(high))
        for name, (low, high) in ends.items()
    }
    return dataclasses.replace(hardware, sources={**hardware.sources, **told})
