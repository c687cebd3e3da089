"""`paraedge calibrate`: a table of measurements and a base to a hardware file of one's own, or a shipped one anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paraedge.calibrate.bases import published_problem
from paraedge.calibrate.changed import changed
from paraedge.calibrate.fit import Fit, Problem, all_but
from paraedge.calibrate.plan import OWN, own_plan
from paraedge.calibrate.residuals import residuals_of
from paraedge.calibrate.row import Row
from paraedge.calibrate.score import Score, score
from paraedge.calibrate.validate import cross_validate
from paraedge.core.errors import BadInput
from paraedge.simulate.constants import Hardware
from paraedge.simulate.predict import predict

DIGITS = 6
"""Significant digits that constants are written with."""
NORMAL_95 = 1.96
PAYS = 0.95
"""A constant is fitted to one's own rows if it brings the error of the left-out rows down to this share or less."""
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
    jackknife over the rows, those of the memory the range over which they do equally well.
    """
    problem = published_problem(folder)
    if base.name not in problem.bases:
        raise BadInput(f"{base.name}: the published tables have no host of this name, only {', '.join(problem.bases)}")
    fit = problem.fit()
    hardware, names = _with_intervals(problem, fit, base.name)
    residuals = residuals_of(base.name, problem.rows, cross_validate(problem), fit.hosts)
    return _calibration(problem, dataclasses.replace(hardware, residuals=residuals), names)


def calibrate(rows: Sequence[Row], base: Hardware, *, name: str, source: str) -> Calibration:
    """A host's own constants from its rows, the chip's from `base`; raises BadInput for fewer than 3 rows.

    A constant is fitted only where that pays in cross-validation: starting from none, the one that helps most is taken
    until none brings the error of left-out rows down by a twentieth. source: what is written beside fitted constants.
    """
    timed = [row for row in rows if row.latency_ms is not None]
    if len(timed) < LEAST_ROWS:
        raise BadInput(f"{len(timed)} rows with a latency are too few to calibrate with; {LEAST_ROWS} are the least")
    timed = [dataclasses.replace(row, host=name) for row in timed]
    problem = _chosen_problem(timed, dataclasses.replace(base, name=name, residuals={}))
    fit = problem.fit()
    hardware, names = _with_intervals(problem, fit, name)
    predictions = cross_validate(problem)
    residuals = {**base.residuals, **residuals_of(name, problem.rows, predictions, fit.hosts)}
    sources = {
        key: dataclasses.replace(constant, source=source, note="") if key in names else constant
        for key, constant in hardware.sources.items()
    }
    return _calibration(problem, dataclasses.replace(hardware, sources=sources, residuals=residuals), names)


def _calibration(problem: Problem, hardware: Hardware, fitted: tuple[str, ...]) -> Calibration:
    own = [index for index, row in enumerate(problem.rows) if row.host == hardware.name]
    ratios = [_left_out_ratio(problem, index) for index in own]
    kept = tuple(key for key in hardware.values if key not in fitted)
    return Calibration(hardware=hardware, fitted=fitted, kept=kept, score=score(ratios), rows=len(own))


def _left_out_ratio(problem: Problem, index: int) -> float:
    row = problem.rows[index]
    hardware = problem.fit(all_but(len(problem.rows), index)).hosts[row.host]
    return predict(row.graph, hardware).latency_ms / float(problem.latency_ms[index])


def _chosen_problem(rows: Sequence[Row], base: Hardware) -> Problem:
    """The problem with those of the host's own constants that pay, taken one by one."""
    best = _with_own((), rows, base)
    chosen: tuple[str, ...] = ()
    error = _error(best)
    while True:
        tried = [(name, _with_own((*chosen, name), rows, base)) for name in OWN if name not in chosen]
        errors = {name: _error(problem) for name, problem in tried}
        winner = min(errors, key=errors.__getitem__, default=None)
        if winner is None or errors[winner] > PAYS * error or len(chosen) + 2 > len(rows):
            return best
        best, chosen, error = dict(tried)[winner], (*chosen, winner), errors[winner]


def _with_own(chosen: tuple[str, ...], rows: Sequence[Row], base: Hardware) -> Problem:
    return Problem(rows, {base.name: base}, plan=own_plan(chosen))


def _error(problem: Problem) -> float:
    """Mean absolute logarithm of the left-out ratios: far rows count, but not without bound."""
    ratios = [_left_out_ratio(problem, index) for index in range(len(problem.rows))]
    return float(np.mean(np.minimum(np.abs(np.log(ratios)), 1.0)))


def _with_intervals(problem: Problem, fit: Fit, host: str) -> tuple[Hardware, tuple[str, ...]]:
    """The host's hardware, rounded, each constant that was fitted with its interval; and the names of these."""
    hardware, base = fit.hosts[host], problem.bases[host]
    others = [problem.fit(all_but(len(problem.rows), index)).hosts[host].values for index in range(len(problem.rows))]
    ends: dict[str, tuple[float, float]] = {}
    for name, value in hardware.values.items():
        left_out = np.array([values[name] for values in others])
        if value != base.values[name] or np.ptp(left_out) > 0:
            error = NORMAL_95 * float(
                np.sqrt((len(others) - 1) / len(others) * np.sum((left_out - left_out.mean()) ** 2))
            )
            ends[name] = (max(0.0, value - error), value + error)
    ends.update(_plateaus(fit))
    rounded = changed(hardware, **{name: _rounded(value) for name, value in hardware.values.items() if name in ends})
    sources = {
        name: dataclasses.replace(constant, low=_rounded(ends[name][0]), high=_rounded(ends[name][1]))
        if name in ends
        else base.sources[name]
        for name, constant in rounded.sources.items()
    }
    return dataclasses.replace(rounded, sources=sources), tuple(name for name in rounded.values if name in ends)


def _plateaus(fit: Fit) -> Iterator[tuple[str, tuple[float, float]]]:
    found = (
        ("wide_memory_bytes", fit.memory.wide_range),
        ("input_room_bytes", fit.memory.room_range),
        ("stripe_memory_bytes", fit.stripe_range),
    )
    return ((name, plateau) for name, plateau in found if plateau is not None)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
