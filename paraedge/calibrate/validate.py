"""Predicted against published, every row by a fit that hasn't seen it, and by one that hasn't seen its whole case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from paraedge.calibrate import baselines
from paraedge.calibrate.bases import published_problem
from paraedge.calibrate.cases import case_of
from paraedge.calibrate.counted import CountedRows
from paraedge.calibrate.fit import Chosen, Problem, all_but
from paraedge.calibrate.instructions import compiled_rows, left_out_ratios
from paraedge.calibrate.memory import MemoryFit, agrees
from paraedge.calibrate.pipelines import PipelineProblem, pipeline_groups
from paraedge.calibrate.plan import own_link
from paraedge.calibrate.published import SWEEP_HOST, pipeline_rows, pruning_slopes
from paraedge.calibrate.report import Bytes, Group, PipelineGroup, Prediction, Slope, Validation
from paraedge.calibrate.residuals import SUITE, covered_outside, covered_rows
from paraedge.calibrate.row import Row
from paraedge.calibrate.score import Score, score
from paraedge.simulate.hardware import load_hardware
from paraedge.simulate.placement import Subgraph, place
from paraedge.simulate.predict import predict
from paraedge.simulate.shapes import MIB

LEAST_ROWS = 3
"""A host with fewer rows isn't a group: its own constants can't be told from them."""


def validate(folder: Path) -> Validation:
    """Everything that the published tables in `folder` can say; raises BadInput where they can't be read."""
    problem = published_problem(folder)
    slopes, instructions = pruning_slopes(folder), compiled_rows(folder, problem.bases[SWEEP_HOST])
    predictions = cross_validate(problem)
    return Validation(
        groups=tuple(groups(problem.rows, predictions)),
        placements=tuple(_placements(problem)),
        slopes=tuple(
            Slope(name=name, rows=count, measured_ms_per_mib=slope, predicted_ms_per_mib=_usb3_slope())
            for name, (slope, count) in slopes.items()
        ),
        instructions=score(list(left_out_ratios(instructions).values())),
        pipelines=_pipelines(folder, problem),
    )


def _pipelines(folder: Path, problem: Problem) -> tuple[PipelineGroup, ...]:
    """Two-device rows, their stages by the fit of all single-device rows: no two-device row has a part in that."""
    rows = pipeline_rows(folder)
    return tuple(pipeline_groups(PipelineProblem(rows, problem.fit().hosts[SWEEP_HOST]))) if rows else ()


def cross_validate(problem: Problem) -> list[Prediction]:
    """Each row's predictions by row, by case and, for models of the suite, by host; and the baselines'.

    Which rows make a case is told by the fit of all rows; how a row is predicted, by none that has seen it.
    """
    rows = problem.rows
    whole = problem.fit()
    cases = [case_of(row, whole.hosts) for row in rows]
    found: list[dict[str, float]] = [{} for _ in rows]
    for index in range(len(rows)):
        _record(problem, found, "row", ~all_but(len(rows), index))
    for case in dict.fromkeys(cases):
        what = "model" if any(row.case == case for row in rows) else "regime"
        _record(problem, found, what, np.array([other == case for other in cases]), suffix=", case out")
    for host in dict.fromkeys(row.host for row in rows if row.case is not None):
        for index, ms in _unseen_host(problem, host).items():
            found[index]["host"] = ms
        for index, ms in _foreign_chip(problem, host).items():
            found[index]["chip"] = ms
    return [
        Prediction(
            name=row.name,
            source=row.source,
            host=row.host,
            case=case,
            is_model=row.case is not None,
            measured_ms=row.latency_ms or 0,
            predicted_ms=ms,
        )
        for row, case, ms in zip(rows, cases, found, strict=True)
    ]


def _record(problem: Problem, found: list[dict[str, float]], key: str, out: Chosen, suffix: str = "") -> None:
    """Predict the rows that are out by a fit, and by the baselines, of those that aren't."""
    fit = problem.fit(~out)
    known = [row for row, gone in zip(problem.rows, out, strict=True) if not gone]
    for index in np.flatnonzero(out):
        row = problem.rows[index]
        found[index][key] = predict(row.graph, fit.hosts[row.host]).latency_ms
        for name, baseline in (("constant", baselines.constant), ("interpolation", baselines.interpolation)):
            ms = baseline(row, known)
            if ms is not None:
                found[index][name + suffix] = ms


def _unseen_host(problem: Problem, host: str) -> dict[int, float]:
    """The rows of a host of which nothing is known but its interface: by the other hosts that have it, as one."""
    interface = problem.bases[host].interface
    pool = {
        row.host for row in problem.rows
        if row.case is not None and problem.bases[row.host].interface == interface
    }  # fmt: skip
    if pool == {host}:
        return {}

    def as_one(count: str, of: str, its_interface: str) -> str | None:
        return problem.plan(count, interface if of in pool else of, its_interface)

    fit = Problem(problem.counted, as_one).fit(problem.counted.hosts != host)
    return {
        index: predict(row.graph, fit.hosts[host]).latency_ms
        for index, row in enumerate(problem.rows)
        if row.host == host
    }


def _foreign_chip(problem: Problem, host: str) -> dict[int, float]:
    """The rows of a host by a chip that other hosts told, its own constants fitted to its other rows."""
    own = np.flatnonzero(problem.counted.hosts == host)
    if len(own) < LEAST_ROWS:
        return {}
    base = problem.fit(problem.counted.hosts != host).hosts[host]
    alone = Problem(CountedRows([problem.rows[index] for index in own], {host: base}), own_link)
    fits = [alone.fit(all_but(len(own), place)) for place in range(len(own))]
    return {
        int(index): predict(problem.rows[index].graph, fit.hosts[host]).latency_ms
        for index, fit in zip(own, fits, strict=True)
    }


def groups(rows: Sequence[Row], predictions: Sequence[Prediction]) -> list[Group]:
    """The predictions in their groups; hosts with few rows are in none."""
    members: dict[str, list[Prediction]] = {}
    for row, prediction in zip(rows, predictions, strict=True):
        for name in group_names(row, prediction):
            members.setdefault(name, []).append(prediction)
    inside, beyond = covered_rows(predictions), covered_outside(predictions)
    return [_group(name, chosen, inside, beyond) for name, chosen in members.items() if len(chosen) >= LEAST_ROWS]


def group_names(row: Row, prediction: Prediction) -> tuple[str, ...]:
    """The groups that a row counts in."""
    if row.case is not None:
        return (*(("models, three hosts",) if row.host in SUITE else ()), f"models on {row.host}")
    regime = prediction.case.split(":")[0]
    return (regime,) if row.series == "FC" else (f"{row.series} sweep", regime)


def _group(
    name: str, predictions: Sequence[Prediction], inside: Mapping[str, bool], beyond: Mapping[str, bool]
) -> Group:
    ratios: dict[str, list[float]] = {}
    for prediction in predictions:
        for key, ms in prediction.predicted_ms.items():
            ratios.setdefault(key, []).append(ms / prediction.measured_ms)
    scores: Mapping[str, Score] = {key: score(found) for key, found in ratios.items()}
    return Group(
        name=name,
        scores=scores,
        coverage=sum(inside[prediction.source] for prediction in predictions) / len(predictions),
        coverage_outside=sum(beyond[prediction.source] for prediction in predictions) / len(predictions),
        predictions=tuple(predictions),
    )


def _placements(problem: Problem) -> list[Bytes]:
    """Rows of each series whose bytes agree: by the memory of all rows, and by that of all but those placed alike."""
    counted = problem.counted
    told = [row for row in (*counted.rows, *counted.byte_rows) if row.on_chip_mib is not None]
    whole = counted.grid.fit()
    cases = {row.source + row.name: _placed(row, counted, whole) for row in told}
    of_all = [cases.get(row.source + row.name) for row in (*counted.rows, *counted.byte_rows)]
    blind = {
        case: counted.grid.fit(np.array([other != case for other in of_all])) for case in dict.fromkeys(cases.values())
    }
    return [
        Bytes(
            name=name,
            rows=len(chosen),
            agree=sum(_agrees(row, counted, whole) for row in chosen),
            agree_left_out=sum(_agrees(row, counted, blind[cases[row.source + row.name]]) for row in chosen),
        )
        for name, chosen in ((name, [row for row in told if row.series == name]) for name in _series(told))
    ]


def _placed(row: Row, counted: CountedRows, memory: MemoryFit) -> tuple[str, int]:
    """Series and number of streamed layers: rows that are placed alike."""
    return row.series, len(_partition(row, counted, memory).streamed)


def _series(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.series for row in rows))


def _agrees(row: Row, counted: CountedRows, memory: MemoryFit) -> bool:
    placement = _partition(row, counted, memory).placement
    return agrees(placement.on_chip_bytes / MIB, row.on_chip_mib or 0) and agrees(
        placement.off_chip_bytes / MIB, row.off_chip_mib or 0
    )


def _partition(row: Row, counted: CountedRows, memory: MemoryFit) -> Subgraph:
    base = counted.bases[row.host]
    return place(row.graph, counted.hardware(row.host, memory, base.stripe_memory_bytes))


def _usb3_slope() -> float:
    return load_hardware("sim-edgetpu-usb3").stream_ms_per_mib
