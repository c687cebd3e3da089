"""What the published fit begins from: each host's shipped file, its instruction bytes fitted to compiled models."""

from __future__ import annotations

from pathlib import Path

from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import Problem
from paraedge.calibrate.instructions import compiled_rows, fit_instructions
from paraedge.calibrate.published import INTERFACE_OF, SWEEP_HOST, published_rows, segment_rows
from paraedge.simulate.constants import Hardware
from paraedge.simulate.hardware import load_hardware


def published_problem(folder: Path) -> Problem:
    """All published rows ready to be fitted; raises BadInput where a table can't be read.

    The suite's hosts ran files of a compiler before 16, as their USB 2 times tell: they fit those files' bytes of
    instructions within 1 %. The sweeps are of compiler 16.
    """
    rows = published_rows(folder)
    compiled = compiled_rows(folder, load_hardware(SWEEP_HOST))
    of_compiler = {
        older: {name: float(f"{value:.4g}") for name, value in fit_instructions(chosen).items()}
        for older, chosen in ((older, [row for row in compiled if row.older is older]) for older in (True, False))
    }
    bases: dict[str, Hardware] = {}
    for host in dict.fromkeys(row.host for row in rows):
        bases[host] = changed(load_hardware(INTERFACE_OF[host]), **of_compiler[host != SWEEP_HOST])
    return Problem(CountedRows(rows, bases, segment_rows(folder)))
