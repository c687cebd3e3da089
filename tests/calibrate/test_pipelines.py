"""What two devices in a row cost: recovered from rows made by known constants, and judged on the published rows."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from paraedge.calibrate.changed import changed
from paraedge.calibrate.pipelines import PipelineProblem, pipeline_groups, with_pipelines
from paraedge.calibrate.published import pipeline_rows, sweep_graph
from paraedge.calibrate.report import PipelineGroup, Validation
from paraedge.calibrate.row import PipelineRow
from paraedge.core.cut import cut
from paraedge.simulate import Hardware, load_hardware, predict
from paraedge.simulate.constants import OF_PIPELINES

TRUTH = dict(zip(OF_PIPELINES, (0.35, 6.5, 0.9, 2.2), strict=True))
WAYS = ("fitted", "series", "size")
MIB = 1 << 20


@pytest.fixture(scope="module")
def pcie() -> Hardware:
    return load_hardware("sim-edgetpu-pcie")


def batch_ms(row: PipelineRow, hardware: Hardware) -> float:
    """An input's share of a batch, from predictions of both segments, input after input through the host and both."""
    ends = (0, row.cut, len(row.graph.layers))
    parts = [cut(row.graph, range(low, high)) for low, high in itertools.pairwise(ends)]
    first, last = (predict(part, hardware) for part in parts)
    [handed] = parts[1].inputs
    streams = [found.placement.off_chip_bytes > 0 for found in (first, last)]
    first_ms = first.latency_ms - first.terms["output_ms"] + hardware.stream_pipelined_ms * streams[0]
    last_ms = last.latency_ms + hardware.stream_pipelined_ms * streams[1]
    last_ms += hardware.handover_ms_per_mib * (row.graph.tensors[handed].size_bytes or 0) / MIB
    host, one, two = 0.0, 0.0, 0.0  # when each is free
    idle_ms = hardware.idle_ms * sum(streams)
    for _ in range(row.batch):
        host += hardware.host_ms
        one = max(one, host) + first_ms
        two = max(two, one) + last_ms
    return (two + idle_ms) / row.batch


def made(hardware: Hardware, factors: Sequence[float] = (1.0,)) -> list[PipelineRow]:
    """Rows of both sweeps, every cut and two batches, their times those of the hardware times the factors in turn."""
    rows = []
    for kind, sizes in (("FC", range(100, 2700, 300)), ("CONV", range(40, 700, 110))):
        for size in sizes:
            graph = sweep_graph(kind, size, 8)
            for at, batch in ((1, 1), (2, 1), (2, 50), (3, 50)):
                row = PipelineRow(
                    source=f"{kind}:{size}:{at}:{batch}",
                    kind=kind,
                    size=size,
                    segmentation="default" if at == 2 else "other",
                    batch=batch,
                    graph=graph,
                    cut=at,
                    input_ms=1.0,
                    on_chip_mib=(0.0, 0.0),
                    off_chip_mib=(0.0, 0.0),
                )
                factor = factors[len(rows) % len(factors)]
                rows.append(dataclasses.replace(row, input_ms=factor * batch_ms(row, hardware)))
    return rows


# --- rows made by known constants ---


def test_known_constants_are_recovered(pcie: Hardware) -> None:
    hardware = changed(pcie, **TRUTH)
    problem = PipelineProblem(made(hardware), pcie)
    assert problem.fit() == pytest.approx(list(TRUTH.values()), rel=1e-6)
    assert problem.predict(problem.fit()) == pytest.approx(problem.input_ms, rel=1e-9)


def test_a_few_rows_far_off_hardly_matter(pcie: Hardware) -> None:
    factors = [1.0] * 9 + [8.0]
    found = PipelineProblem(made(changed(pcie, **TRUTH), factors), pcie).fit()
    assert found == pytest.approx(list(TRUTH.values()), rel=0.05)


def test_a_constant_that_is_held_stays_at_nothing(pcie: Hardware) -> None:
    rows = made(changed(pcie, **{**TRUTH, "idle_ms": 0.0}))
    found = PipelineProblem(rows, pcie, held=["idle_ms"]).fit()
    assert found == pytest.approx([*list(TRUTH.values())[:3], 0.0], rel=1e-6)


def test_no_other_constant_changes_and_intervals_hold_the_truth(pcie: Hardware) -> None:
    noise = np.random.default_rng(5).normal(0, 0.03, 97)
    found = with_pipelines(pcie, made(changed(pcie, **TRUTH), list(np.exp(noise))))
    assert changed(found, **{name: pcie.values[name] for name in OF_PIPELINES}).values == pcie.values
    for name, truth in TRUTH.items():
        constant = found.sources[name]
        assert (constant.low or 0) <= constant.value <= (constant.high or 0)
        width = (constant.high or 0) - (constant.low or 0)
        assert abs(constant.value - truth) <= width, name  # four standard errors
        assert constant.source == pcie.sources[name].source


def test_rows_that_cannot_be_are_scored_and_not_fitted(pcie: Hardware) -> None:
    """500 MB/s carry 10 MiB in 21 ms: a row of 20 ms that names so much off chip was cut elsewhere."""
    rows = made(changed(pcie, **TRUTH))
    wrong = [dataclasses.replace(row, input_ms=20.0, off_chip_mib=(0.0, 10.0)) for row in rows[:5]]
    right = dataclasses.replace(rows[5], input_ms=21.0, off_chip_mib=(0.0, 10.0))
    problem = PipelineProblem([*wrong, right, *rows[6:]], pcie)
    assert list(np.flatnonzero(problem.contradicted)) == [0, 1, 2, 3, 4]
    assert problem.fit() == pytest.approx(PipelineProblem([right, *rows[6:]], pcie).fit(), rel=1e-9)
    groups = {group.name: group for group in pipeline_groups(problem)}
    assert groups["FC"].contradicted == 5
    assert groups["FC"].scores["fitted"].rows == sum(row.kind == "FC" for row in rows)


@pytest.mark.parametrize("way", ["series", "size"])
def test_what_is_left_out_has_no_part_in_its_prediction(pcie: Hardware, way: str) -> None:
    """Times of one series, or of the smallest sizes, thrice as long: its own predictions stay what they were."""
    rows = made(changed(pcie, **TRUTH))

    def is_out(row: PipelineRow) -> bool:
        if row.kind != "CONV":
            return False
        return (row.segmentation, row.batch) == ("default", 50) if way == "series" else row.size == 40

    longer = [dataclasses.replace(row, input_ms=row.input_ms * (3 if is_out(row) else 1)) for row in rows]
    before, after = (
        {group.name: group.scores[way] for group in pipeline_groups(PipelineProblem(each, pcie))}
        for each in (rows, longer)
    )
    name = "CONV, default, batch 50" if way == "series" else "CONV, other, batch 50"
    assert before[name].median_ape == pytest.approx(0, abs=1e-6)
    if way == "series":
        assert after[name].median_ape == pytest.approx(2 / 3, abs=1e-6)
    else:  # one of the group's six sizes
        assert after[name].p90_ape > 0.3


def test_no_rows_leave_nothing_to_fit(pcie: Hardware) -> None:
    problem = PipelineProblem(made(pcie)[:1], pcie)
    assert list(problem.fit(np.array([False]))) == [0.0] * 4


# --- the published rows ---


@pytest.fixture(scope="module")
def groups(validation: Validation) -> dict[str, PipelineGroup]:
    return {group.name: group for group in validation.pipelines}


def test_every_two_device_row_is_judged(groups: dict[str, PipelineGroup]) -> None:
    rows = {name: group.scores["fitted"].rows for name, group in groups.items()}
    assert rows == {
        "CONV": 201,
        "CONV, compiler default, batch 1": 68,
        "CONV, compiler default, batch 100": 67,
        "CONV, profiled, batch 100": 66,
        "FC": 140,
        "FC, default rule, batch 1": 64,
        "FC, default rule, batch 50": 12,
        "FC, profiled, batch 50": 64,
    }
    assert {name for name, group in groups.items() if not group.is_series} == {"CONV", "FC"}
    assert all(tuple(group.scores) == WAYS for group in groups.values())


@pytest.mark.parametrize("way", WAYS)
def test_convolutions_on_two_devices(groups: dict[str, PipelineGroup], way: str) -> None:
    assert groups["CONV"].scores[way].median_ape <= 0.05


@pytest.mark.parametrize("way", WAYS)
def test_fully_connected_layers_on_two_devices(groups: dict[str, PipelineGroup], way: str) -> None:
    found = groups["FC"].scores[way]
    assert found.median_ape <= 0.15
    assert abs(found.bias) < 0.10


def test_rows_that_name_another_split_are_told(groups: dict[str, PipelineGroup]) -> None:
    told = {name: group.contradicted for name, group in groups.items() if group.contradicted}
    assert told == {"FC": 11, "FC, profiled, batch 50": 11}


def test_the_shipped_file_does_as_well(edgetpu_data: Path, pcie: Hardware) -> None:
    """Straight from the file, input after input, with nothing of the fit's code."""
    ratios: dict[str, list[float]] = {}
    for row in pipeline_rows(edgetpu_data)[::3]:
        ratios.setdefault(row.kind, []).append(batch_ms(row, pcie) / row.input_ms)
    errors = {kind: np.array(found) - 1 for kind, found in ratios.items()}
    assert np.median(np.abs(errors["CONV"])) <= 0.05
    assert np.median(np.abs(errors["FC"])) <= 0.15
    assert abs(np.median(errors["FC"])) < 0.10
