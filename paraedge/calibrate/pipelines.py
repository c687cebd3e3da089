"""What two devices in a row cost beyond their stages: four constants, from the published two-device rows.

A batch of N inputs takes `host_ms`, the busy time of both stages, `idle_ms` for each that streams, and N - 1 times the
longest of the two and `host_ms`: linear in the constants once it is known which is the longest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from scipy.optimize import nnls

from paraedge.calibrate.changed import changed
from paraedge.calibrate.fit import Chosen, Floats, all_but, log_errors, robust_weights
from paraedge.calibrate.jackknife import around, rounded
from paraedge.calibrate.report import PipelineGroup
from paraedge.calibrate.row import PipelineRow
from paraedge.calibrate.score import score
from paraedge.simulate import spans
from paraedge.simulate.constants import OF_PIPELINES, Hardware
from paraedge.simulate.shapes import MIB

PASSES = 20
SIZE_BLOCKS = 5
HOST, HANDOVER, STREAM, IDLE = range(len(OF_PIPELINES))


class PipelineProblem:
    """Two-device rows ready to be fitted, many times over subsets; all other constants are the hardware's.

    contradicted: rows whose named off-chip bytes can't cross the link in the measured time, at its line rate: they name
    another cut than was timed.
    """

    def __init__(self, rows: Sequence[PipelineRow], hardware: Hardware, held: Collection[str] = ()) -> None:
        """Those of `OF_PIPELINES` that are held stay 0."""
        self.rows = tuple(rows)
        self.input_ms = np.array([row.input_ms for row in rows])
        self.contradicted = np.array([_contradicted(row, hardware) for row in rows], dtype=bool)
        self._free = np.array([name not in held for name in OF_PIPELINES])
        self._batch = np.array([float(row.batch) for row in rows])
        plain = changed(hardware, **dict.fromkeys(OF_PIPELINES, 0.0))
        first_ms, last_ms, handed_mib, first_streams, last_streams = np.array([_stages(row, plain) for row in rows]).T
        # the first stage, the last, the host: milliseconds without the constants, and how much of each constant
        self._fixed = np.stack([first_ms, last_ms, np.zeros(len(rows))])
        self._times = np.zeros((3, len(rows), len(OF_PIPELINES)))
        self._times[0, :, STREAM], self._times[1, :, STREAM] = first_streams, last_streams
        self._times[1, :, HANDOVER], self._times[2, :, HOST] = handed_mib, 1.0
        self._idle = np.zeros((len(rows), len(OF_PIPELINES)))
        self._idle[:, IDLE] = first_streams + last_streams
        kinds = np.array([f"{row.kind}, {streams > 0}" for row, streams in zip(rows, self._idle[:, IDLE], strict=True)])
        self._groups = {str(kind): kinds == kind for kind in np.unique(kinds)}

    def fit(self, chosen: Chosen | None = None) -> Floats:
        """The constants, in the order of `OF_PIPELINES`, of the chosen rows (all by default) but the contradicted ones.

        Errors and weights are those of `fit.Problem`, whose scatter groups are here sweeps, on chip or streamed.
        """
        pick = ~self.contradicted if chosen is None else chosen & ~self.contradicted
        measured = self.input_ms[pick]
        groups = {name: lines[pick] for name, lines in self._groups.items() if lines[pick].any()}
        values, middle, weights = np.zeros(len(OF_PIPELINES)), measured, np.ones(len(measured))
        for _ in range(PASSES if len(measured) else 0):
            design, fixed = self._design(values, pick)
            a, b = design[:, self._free] / middle[:, None], (measured - fixed) / middle
            scale = np.maximum(np.linalg.norm(a, axis=0), 1e-12)
            values[self._free] = nnls(a / scale * weights[:, None], b * weights)[0] / scale
            predicted = self.predict(values)[pick]
            weights, middle = robust_weights(log_errors(predicted, measured), groups), np.sqrt(predicted * measured)
        return values

    def predict(self, values: Floats) -> Floats:
        """Milliseconds an input of every row."""
        design, fixed = self._design(values, np.ones(len(self.rows), dtype=bool))
        found: Floats = fixed + design @ values
        return found

    def _design(self, values: Floats, pick: Chosen) -> tuple[Floats, Floats]:
        """Of an input of each chosen row: how much of each constant, and milliseconds without them."""
        fixed, times, more = self._fixed[:, pick], self._times[:, pick], self._batch[pick] - 1
        longest = np.argmax(fixed + times @ values, axis=0), np.arange(len(more))
        design = times.sum(axis=0) + self._idle[pick] + more[:, None] * times[longest]
        return design / (more[:, None] + 1), (fixed.sum(axis=0) + more * fixed[longest]) / (more + 1)


def _stages(row: PipelineRow, plain: Hardware) -> tuple[float, ...]:
    """Busy times of both stages, MiB handed over, and whether each streams; no stage costs what `plain` doesn't."""
    found, end = spans(row.graph, plain), len(row.graph.layers)
    first, last = (0, row.cut), (row.cut, end)
    streams = [float(found.off_chip_bytes[stage] > 0) for stage in (first, last)]
    return float(found.busy_ms[first]), float(found.busy_ms[last]), float(found.input_bytes[last]) / MIB, *streams


def _contradicted(row: PipelineRow, hardware: Hardware) -> bool:
    rate = hardware.link_mbit_per_s
    return rate is not None and max(row.off_chip_mib) * MIB > row.input_ms * rate / 8 * 1e3


def with_pipelines(hardware: Hardware, rows: Sequence[PipelineRow]) -> Hardware:
    """The hardware with the constants of these rows; each one's interval is 1.96 standard errors of a jackknife."""
    problem = PipelineProblem(rows, hardware)
    values = problem.fit()
    others = np.array([problem.fit(all_but(len(rows), int(index))) for index in np.flatnonzero(~problem.contradicted)])
    made = changed(hardware, **dict(zip(OF_PIPELINES, map(rounded, values), strict=True)))
    sources = dict(made.sources)
    for at, name in enumerate(OF_PIPELINES):
        low, high = around(float(values[at]), [float(value) for value in others[:, at]])
        sources[name] = dataclasses.replace(sources[name], low=rounded(low), high=rounded(high))
    return dataclasses.replace(made, sources=sources)


def pipeline_groups(problem: PipelineProblem) -> Iterator[PipelineGroup]:
    """Each sweep, and each of its segmentations and batches: as fitted, and as left out.

    Contradicted rows aren't fitted, but are scored with the others.
    """
    kinds = np.array([row.kind for row in problem.rows])
    series = np.array([f"{row.kind}, {row.segmentation}, batch {row.batch}" for row in problem.rows])
    ways = {
        "fitted": problem.predict(problem.fit()),
        "series": _left_out(problem, series),
        "size": _left_out(problem, _size_blocks(problem.rows)),
    }
    ratios = {way: predicted / problem.input_ms for way, predicted in ways.items()}
    for kind in dict.fromkeys(kinds):
        for labels, name in ((kinds, kind), *((series, name) for name in dict.fromkeys(series[kinds == kind]))):
            scores = {way: score(found[labels == name]) for way, found in ratios.items()}
            yield PipelineGroup(
                name=str(name),
                is_series=labels is series,
                scores=scores,
                contradicted=int(problem.contradicted[labels == name].sum()),
            )


def _left_out(problem: PipelineProblem, labels: Floats) -> Floats:
    """Each row's prediction by a fit without all rows that have its label."""
    found = np.zeros(len(problem.rows))
    for label in np.unique(labels):
        found[labels == label] = problem.predict(problem.fit(labels != label))[labels == label]
    return found


def _size_blocks(rows: Sequence[PipelineRow]) -> Floats:
    """Labels of neighbouring sizes of a sweep, five of each."""
    blocks = {}
    for kind in dict.fromkeys(row.kind for row in rows):
        sizes = sorted({row.size for row in rows if row.kind == kind})
        blocks.update({(kind, size): f"{kind} {at * SIZE_BLOCKS // len(sizes)}" for at, size in enumerate(sizes)})
    return np.array([blocks[row.kind, row.size] for row in rows])
