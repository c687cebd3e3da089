"""`paraedge calibrate`: a table of measurements and a base to a hardware file of one's own, or a shipped one anew."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paraedge.calibrate.bases import published_problem
from paraedge.calibrate.changed import changed
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import Fit, Problem, all_but
from paraedge.calibrate.instructions import KINDS
from paraedge.calibrate.jackknife import around, rounded
from paraedge.calibrate.pipelines import with_pipelines
from paraedge.calibrate.plan import OWN, own_plan
from paraedge.calibrate.published import SWEEP_HOST, pipeline_rows
from paraedge.calibrate.residuals import residuals_of, widened
from paraedge.calibrate.row import Row
from paraedge.calibrate.score import Score, score
from paraedge.calibrate.validate import cross_validate
from paraedge.core.errors import BadInput
from paraedge.simulate.constants import OF_PIPELINES, Hardware
from paraedge.simulate.counts import COSTS, Counts
from paraedge.simulate.placement import place
from paraedge.simulate.predict import count, predict

PAYS = 0.95
"""A constant is fitted to one's own rows if it brings the error of the left-out rows down below this share."""
LEAST_GAIN = 1e-4
"""And by at least this: a hundredth of a percent is nobody's error."""
FOLDS = 20
"""So many parts of the rows are left out in turn when constants are chosen; of fewer rows, each by itself."""
LEAST_ROWS = 3


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A hardware with its fitted constants, the names of those that were fitted and of those the base keeps.

    score: of the rows, each predicted by a fit of all others.
    """

    hardware: Hardware
    fitted: tuple[str, ...]
    kept: tuple[str, ...]
    score: Score
    rows: int


def calibrate_published(folder: Path, base: Hardware) -> Calibration:
    """The shipped file of `base` made anew from the published tables in `folder`; raises BadInput.

    All hosts are fitted together, since the chip is the same; each constant's interval is 1.96 standard errors of a
    jackknife over the rows, those of the memory the range over which they do equally well. Pipelines were measured on
    the sweeps' host only: elsewhere their constants stay the base's.
    """
    problem = published_problem(folder)
    if base.name not in problem.bases:
        raise BadInput(f"{base.name}: the published tables have no host of this name, only {', '.join(problem.bases)}")
    fit = problem.fit()
    hardware, names = _with_intervals(problem, fit, base.name)
    pipelines = pipeline_rows(folder) if base.name == SWEEP_HOST else []
    if pipelines:
        hardware, names = with_pipelines(hardware, pipelines), (*names, *OF_PIPELINES)
    residuals = residuals_of(base.name, problem.rows, cross_validate(problem), fit.hosts)
    instructions = [name for name in KINDS if hardware.sources[name].low is not None]
    return _calibration(problem, dataclasses.replace(hardware, residuals=residuals), (*names, *instructions))


def calibrate(rows: Sequence[Row], base: Hardware, *, name: str, source: str) -> Calibration:
    """A host's own constants from its rows, the chip's from `base`; raises BadInput for fewer than 3 networks.

    Rows of one network count as one, their median. A constant is fitted only where that pays in cross-validation:
    starting from none, the one that helps most is taken until none brings the error of left-out rows down by a
    twentieth. The memory changes only where the compiler's bytes speak against the base's. source: what is written
    beside fitted constants.
    """
    own = dataclasses.replace(base, name=name, residuals={})
    timed = _networks([dataclasses.replace(row, host=name) for row in rows if row.latency_ms is not None], own)
    if len(timed) < LEAST_ROWS:
        raise BadInput(f"{len(timed)} networks with a latency are too few to calibrate; {LEAST_ROWS} are the least")
    problem = _chosen_problem(timed, own)
    fit = problem.fit()
    hardware, names = _with_intervals(problem, fit, name)
    predictions = cross_validate(problem)
    residuals = widened({**base.residuals, **residuals_of(name, problem.rows, predictions, fit.hosts)}, base)
    sources = {
        key: dataclasses.replace(constant, source=source, note="") if key in names else constant
        for key, constant in hardware.sources.items()
    }
    return _calibration(problem, dataclasses.replace(hardware, sources=sources, residuals=residuals), names)


def _calibration(problem: Problem, hardware: Hardware, fitted: tuple[str, ...]) -> Calibration:
    own = [index for index, row in enumerate(problem.rows) if row.host == hardware.name]
    ratios = [
        ratio for index in own for ratio in _ratios(problem, problem.fit(all_but(len(problem.rows), index)), [index])
    ]
    kept = tuple(key for key in hardware.values if key not in fitted)
    return Calibration(hardware=hardware, fitted=fitted, kept=kept, score=score(ratios), rows=len(own))


def _networks(rows: Sequence[Row], base: Hardware) -> list[Row]:
    """One row, of the median, for those that the simulator can't tell apart: they can only be left out together."""
    alike: dict[Counts, list[Row]] = {}
    for row in rows:
        alike.setdefault(count(row.graph, place(row.graph, base), base), []).append(row)
    return [
        dataclasses.replace(same[0], latency_ms=statistics.median(row.latency_ms or 0 for row in same))
        for same in alike.values()
    ]


def _chosen_problem(rows: Sequence[Row], base: Hardware) -> Problem:
    """The problem with those of the host's own constants that pay, taken one by one."""
    counted = CountedRows(rows, {base.name: base})
    chosen: tuple[str, ...] = ()
    best = Problem(counted, own_plan(chosen))
    error = _error(best)
    while len(chosen) + 2 <= len(rows) and len(chosen) < len(OWN):
        tried = {name: Problem(counted, own_plan((*chosen, name))) for name in OWN if name not in chosen}
        errors = {name: _error(problem) for name, problem in tried.items()}
        winner = min(errors, key=errors.__getitem__)
        if errors[winner] >= min(PAYS * error, error - LEAST_GAIN):
            break
        best, chosen, error = tried[winner], (*chosen, winner), errors[winner]
    return best


def _error(problem: Problem) -> float:
    """Mean absolute logarithm of the left-out ratios: far rows count, but not without bound."""
    rows = len(problem.rows)
    ratios: list[float] = []
    for fold in range(min(FOLDS, rows)):
        out = np.arange(rows) % FOLDS == fold
        ratios += _ratios(problem, problem.fit(~out), np.flatnonzero(out))
    return float(np.mean(np.minimum(np.abs(np.log(ratios)), 1.0)))


def _ratios(problem: Problem, fit: Fit, indices: Iterable[int]) -> list[float]:
    rows = ((problem.rows[index], float(problem.latency_ms[index])) for index in indices)
    return [predict(row.graph, fit.hosts[row.host]).latency_ms / latency_ms for row, latency_ms in rows]


def _with_intervals(problem: Problem, fit: Fit, host: str) -> tuple[Hardware, tuple[str, ...]]:
    """The host's hardware, rounded, each constant that was fitted with its interval; and the names of these."""
    hardware, base = fit.hosts[host], problem.bases[host]
    names = {cost.constant for cost in COSTS if problem.plan(cost.count, host, base.interface) in fit.costs}
    others = [problem.fit(all_but(len(problem.rows), index)).hosts[host].values for index in range(len(problem.rows))]
    ends = {name: around(hardware.values[name], [values[name] for values in others]) for name in sorted(names)}
    if "link_mb_per_s" in ends and hardware.link_mbit_per_s is not None:  # nor can its interval pass the line rate
        low, high = ends["link_mb_per_s"]
        ends["link_mb_per_s"] = (low, min(high, max(hardware.link_mbit_per_s / 8, hardware.link_mb_per_s)))
    ends.update(_plateaus(fit))
    made = changed(hardware, **{name: rounded(value) for name, value in hardware.values.items() if name in ends})
    sources = {
        name: dataclasses.replace(constant, low=rounded(ends[name][0]), high=rounded(ends[name][1]))
        if name in ends
        else base.sources[name]
        for name, constant in made.sources.items()
    }
    return dataclasses.replace(made, sources=sources), tuple(name for name in made.values if name in ends)


def _plateaus(fit: Fit) -> Iterator[tuple[str, tuple[float, float]]]:
    found = (
        ("wide_memory_bytes", fit.memory.wide_range),
        ("input_room_bytes", fit.memory.room_range),
        ("stripe_memory_bytes", fit.stripe_range),
    )
    return ((name, plateau) for name, plateau in found if plateau is not None)
