"""make_row against numpy and scipy, and against numbers worked out by hand."""

from __future__ import annotations

import csv
import dataclasses
import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from paraedge.archive import Key, Row, make_row
from paraedge.archive.columns import RESULT, STAGES, TERMS, run_columns
from paraedge.archive.row import median_interval, quantile, run_id
from paraedge.core.device import DeviceInfo, Origin, Target
from paraedge.core.graph import FileWeights, Layer, LayerGraph, Tensor
from paraedge.core.outcome import Block, Failure, Measurement, Outcome, Placement, Prediction
from paraedge.core.partition import Partition
from paraedge.core.pipeline import PipelineRun
from paraedge.core.spec import ModelSpec, Params

CPU = DeviceInfo(id="cpu", origin=Origin.MEASURED, batch_mode="native")
SIMULATED = DeviceInfo(id="sim-x", origin=Origin.SIMULATED, batch_mode="looped")
EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example" / "runs.csv"
SUMMARY = ("median", "low", "high", "p90", "p99", "mean", "min")


@dataclasses.dataclass(frozen=True)
class SquareParams(Params):
    n: int
    widths: tuple[int, ...] | None = None


def dense_graph(batch: int, n: int) -> LayerGraph:
    """One FULLY_CONNECTED n x n."""
    tensors = (
        Tensor(name="x", shape=(batch, n), dtype="int8"),
        Tensor(name="w", shape=(n, n), dtype="int8", weights=FileWeights(offset=0, size_bytes=n * n)),
        Tensor(name="y", shape=(batch, n), dtype="int8"),
    )
    layer = Layer(op="FULLY_CONNECTED", inputs=(0, 1, -1), outputs=(2,), options={})
    return LayerGraph(name="dense", tensors=tensors, layers=(layer,), inputs=(0,), outputs=(2,))


def made(outcome: Outcome, *, batch: int = 1, mode: str = "native", graph: LayerGraph | None = None) -> Row:
    origin = outcome.device.origin if isinstance(outcome, Measurement) else Origin.MEASURED
    return make_row(
        spec=ModelSpec(family="matmul", params=SquareParams(n=8), batch=batch),
        target=Target(device="cpu", threads=2, kernels="builtin"),
        round=2,
        attempt=1,
        outcome=outcome,
        origin=origin,
        batch_mode=mode,
        graph=graph,
    )


def measured(blocks: list[tuple[int, int]]) -> Measurement:
    return Measurement(
        device=CPU,
        blocks=tuple(Block(invokes=n, duration_ns=ns) for n, ns in blocks),
        stop_reason="precision",
        first_ns=3_000_000,
        set_ns=2_000,
    )


blocks_of = st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10**12)), min_size=1, max_size=60)


@given(blocks_of)
@settings(max_examples=60, deadline=None)
def test_summary_is_numpys(blocks: list[tuple[int, int]]) -> None:
    cells = made(measured(blocks)).cells
    ms = np.array([ns / n / 1e6 for n, ns in blocks])
    expected = {
        "median": np.median(ms),
        "p90": np.percentile(ms, 90),
        "p99": np.percentile(ms, 99),
        "mean": sum(ns for _, ns in blocks) / sum(n for n, _ in blocks) / 1e6,
        "min": ms.min(),
    }
    assert {name: cells[f"latency_{name}_ms"] for name in expected} == pytest.approx(expected, rel=1e-12)
    assert cells["samples"] == len(blocks)
    if len(blocks) < 6:
        assert cells["latency_low_ms"] is None
        assert cells["latency_high_ms"] is None
    else:
        assert cells["latency_low_ms"] <= cells["latency_median_ms"] <= cells["latency_high_ms"]


def test_interval_has_the_widest_ranks_that_the_binomial_allows() -> None:
    for count in [*range(1, 400), 1000, 5001]:
        found = median_interval(range(1, count + 1))
        inside = [k for k in range(1, count // 2 + 1) if stats.binom.cdf(k - 1, count, 0.5) <= 0.025]
        assert found == ((max(inside), count + 1 - max(inside)) if inside else None)


def test_interval_covers_the_median_of_a_skewed_distribution() -> None:
    random_ = random.Random(0)
    hits = 0
    for _ in range(2000):
        interval = median_interval(sorted(random_.expovariate(1.0) for _ in range(25)))
        assert interval is not None
        hits += interval[0] <= math.log(2) <= interval[1]
    assert 0.94 < hits / 2000 < 0.98  # exact coverage at n = 25: 95.7 %


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
@settings(deadline=None)
def test_quantile_is_numpys(values: list[float], share: float) -> None:
    assert quantile(sorted(values), share) == pytest.approx(float(np.quantile(values, share)), abs=1e-9, rel=1e-9)


def test_native_batch_is_one_invoke() -> None:
    cells = made(measured([(10, 20_000_000)] * 6), batch=4, graph=dense_graph(4, 8)).cells
    assert cells["latency_median_ms"] == pytest.approx(2.0)
    assert cells["macs"] == 4 * 8 * 8
    assert cells["gops_per_s"] == pytest.approx(2 * 256 / 2e-3 / 1e9)
    assert cells["examples_per_s"] == pytest.approx(4 / 2e-3)
    assert (cells["input_bytes"], cells["output_bytes"], cells["activation_bytes"]) == (32, 32, 64)
    assert (cells["weight_bytes"], cells["parameters"]) == (64, 64)


def test_looped_batch_is_as_many_invokes() -> None:
    cells = made(measured([(10, 20_000_000)] * 6), batch=4, mode="looped", graph=dense_graph(1, 8)).cells
    assert [cells[f"latency_{name}_ms"] for name in SUMMARY] == pytest.approx([8.0] * 7)
    assert cells["macs"] == 4 * 8 * 8
    assert cells["gops_per_s"] == pytest.approx(2 * 256 / 8e-3 / 1e9)
    assert cells["examples_per_s"] == pytest.approx(4 / 8e-3)
    assert (cells["input_bytes"], cells["weight_bytes"]) == (32, 64)
    assert cells["set_ms"] == pytest.approx(4 * 0.002)
    assert cells["first_ms"] == pytest.approx(3.0)  # one invoke


def prediction() -> Prediction:
    placement = Placement(
        source="estimated",
        on_device=(0, 1, 2, 4),
        on_cpu=(5,),
        on_chip=(0, 1, 2),
        off_chip=(4,),
        on_chip_bytes=300,
        off_chip_bytes=100,
        reasons={5: "no such op"},
    )
    return Prediction(
        device="sim-x",
        latency_ms=1.25,
        first_ms=9.0,
        terms={**dict.fromkeys(TERMS, 0.0), "compute_ms": 1.0, "overhead_ms": 0.25},
        placement=placement,
        instruction_bytes=7,
        link_bytes=11,
        low_ms=1.0,
        high_ms=4.0,
        outside=("no measured model has PAD", "too wide"),
    )


@pytest.mark.parametrize("blocks", [(), (Block(invokes=1, duration_ns=1_250_000),)])
def test_simulated_row_has_terms_that_add_up_and_no_interval(blocks: tuple[Block, ...]) -> None:
    outcome = Measurement(device=SIMULATED, blocks=blocks, stop_reason="simulated", prediction=prediction())
    row = made(outcome, batch=3, mode="looped")
    cells = row.cells
    assert cells["origin"] == "simulated"
    assert cells["latency_median_ms"] == cells["latency_min_ms"] == 3.75
    assert cells["compute_ms"] + cells["overhead_ms"] == pytest.approx(3.75)
    assert cells.get("latency_low_ms") is None
    assert cells.get("latency_high_ms") is None
    assert (cells["samples"], len(row.blocks)) == (1, 1)
    assert cells["first_ms"] == 9.0
    assert (cells["instruction_bytes"], cells["link_bytes"]) == (21, 33)
    assert (cells["predicted_low_ms"], cells["predicted_high_ms"]) == (3.0, 12.0)
    assert cells["outside"] == "no measured model has PAD; too wide"
    assert (cells["on_chip_bytes"], cells["off_chip_bytes"]) == (300, 100)
    assert cells["placement"] == "estimated"
    assert cells["placed"] == "on_chip=0-2 off_chip=4 on_cpu=5"
    assert row.timed_s == 0.0


def test_a_latency_without_some_macs_has_no_rate() -> None:
    graph, whole = dense_graph(1, 8), prediction()
    for on_cpu, rate in (((0,), None), ((), 2 * 64 / 1.25 * 1e-6)):
        placement = dataclasses.replace(whole.placement, on_cpu=on_cpu)
        taken = dataclasses.replace(whole, placement=placement)
        outcome = Measurement(device=SIMULATED, blocks=(), stop_reason="simulated", prediction=taken)
        assert made(outcome, mode="looped", graph=graph).cells["gops_per_s"] == rate


@pytest.mark.parametrize(
    ("on_chip", "off_chip", "placed"),
    [(None, None, "on_device=0-2,4 on_cpu=5"), ((0, 2), (), "on_chip=0,2 on_cpu=5")],
)
def test_a_compiled_row_has_the_compilers_placement(
    on_chip: tuple[int, ...] | None, off_chip: tuple[int, ...] | None, placed: str
) -> None:
    placement = dataclasses.replace(prediction().placement, source="compiler", on_chip=on_chip, off_chip=off_chip)
    row = make_row(
        spec=ModelSpec(family="matmul", params=SquareParams(n=8)),
        target=Target(device="edgetpu:0"),
        round=1,
        attempt=1,
        outcome=measured([(1, 5)]),
        origin=Origin.MEASURED,
        batch_mode="looped",
        placement=placement,
        compiler="16.0.384591198",
    )
    assert (row.cells["placement"], row.cells["compiler"]) == ("compiler", "16.0.384591198")
    assert row.cells["placed"] == placed
    assert (row.cells["on_chip_bytes"], row.cells["off_chip_bytes"]) == (300, 100)


def test_failed_row_says_why_and_keeps_what_is_known_of_the_model() -> None:
    row = made(Failure(stage="run", error="Crash", message="a\nb", signal="SIGSEGV"), graph=dense_graph(1, 8))
    assert row.status == row.cells["status"] == "failed"
    assert row.cells["error"] == "run: Crash: SIGSEGV: a b"
    assert row.cells["macs"] == 64
    assert "latency_median_ms" not in row.cells
    assert row.blocks == ()


def test_no_number_without_an_origin() -> None:
    with pytest.raises(ValueError, match="simulated point of a driver of measured ones"):
        make_row(
            spec=ModelSpec(family="matmul", params=SquareParams(n=8)),
            target=Target(device="sim-x"),
            round=1,
            attempt=1,
            outcome=Measurement(device=SIMULATED, blocks=(), stop_reason="simulated", prediction=prediction()),
            origin=Origin.MEASURED,
            batch_mode="looped",
        )
    with pytest.raises(ValueError, match="without blocks"):
        made(Measurement(device=CPU, blocks=(), stop_reason="precision"))


def test_every_cell_has_a_column(
    make_pipeline: Callable[[int], PipelineRun], make_partition: Callable[[int], Partition]
) -> None:
    names = {column.name for column in run_columns(("n", "widths"))}
    simulated = Measurement(device=SIMULATED, blocks=(), stop_reason="simulated", prediction=prediction())
    full = made(measured([(1, 5)] * 9), graph=dense_graph(1, 8)).cells | made(simulated, mode="looped").cells
    full |= made(dataclasses.replace(measured([(1, 5)]), pipeline=make_pipeline(2), partition=make_partition(2))).cells
    full |= made(Failure(stage="run", error="E", message="")).cells
    assert names == set(full)


def test_filled_columns_are_filled_in_a_failed_row() -> None:
    cells = made(Failure(stage="build", error="E", message="")).cells
    assert [column.name for column in RESULT if column.filled and cells.get(column.name) is None] == []


def test_run_id_differs_where_anything_of_the_key_does() -> None:
    target = Target(device="cpu", threads=1, kernels="xnnpack", segments=2, strategy="params", inputs=10)
    key = Key("s0123456789abcde", target, 1)
    others = [key._replace(spec_id="s1"), key._replace(round=2), key._replace(target=target.alone())]
    changes = {"device": "sim", "threads": 2, "kernels": None, "segments": 3, "strategy": "data", "inputs": 50}
    others += [key._replace(target=dataclasses.replace(target, **{name: to})) for name, to in changes.items()]
    ids = {run_id(other, attempt) for other in [key, *others] for attempt in (1, 2)}
    assert len(ids) == 2 * (1 + 3 + 6)
    assert run_id(key, 1) == run_id(key, 1)
    assert all(identity[0] == "r" and len(identity) == 16 for identity in ids)


def test_a_plain_row_has_the_run_id_of_earlier_releases() -> None:
    """Of results/example, which the release before pipelines wrote."""
    target = Target(device="sim-edgetpu-usb3")
    row = next(row for row in csv.DictReader(EXAMPLE.read_text().splitlines()) if row["device"] == target.device)
    assert run_id(Key(row["spec_id"], target, int(row["round"])), int(row["attempt"])) == row["run_id"]


def test_a_pipeline_is_one_row_of_all_its_devices(
    make_pipeline: Callable[[int], PipelineRun], make_partition: Callable[[int], Partition]
) -> None:
    run = make_pipeline(3)
    outcome = dataclasses.replace(measured([(10, 40_000_000)]), pipeline=run, partition=make_partition(3))
    row = made(outcome)
    expected = {
        "latency_median_ms": 4.0, "throughput_per_s": 250.0, "steady_per_s": 9 / 36e-3, "pass_ms": 7.5, "fill_ms": 4.0,
        "drain_ms": 5.0, "devices_used": 3, "cuts": "1,2", "bottleneck_ms": 4.0, "lower_bound_ms": 2.0, "gap": 1.0,
        "on_chip_bytes": 903, "off_chip_bytes": 3, "samples": 1,
    }  # fmt: skip
    assert {name: row.cells[name] for name in expected} == pytest.approx(expected)
    names = [column.name for column in STAGES][1:]
    assert [dict(zip(names, line, strict=True)) for line in row.stages] == [dataclasses.asdict(s) for s in run.stages]


def test_bytes_that_one_stage_does_not_know_are_unknown_of_the_whole(
    make_pipeline: Callable[[int], PipelineRun], make_partition: Callable[[int], Partition]
) -> None:
    first, *rest = make_partition(3).stages
    stages = (dataclasses.replace(first, on_chip_bytes=None), *rest)
    split = dataclasses.replace(make_partition(3), stages=stages)
    cells = made(dataclasses.replace(measured([(10, 1)]), pipeline=make_pipeline(3), partition=split)).cells
    assert cells["on_chip_bytes"] is None
    assert cells["off_chip_bytes"] == 3


def test_a_looped_batch_takes_as_many_inputs(make_pipeline: Callable[[int], PipelineRun]) -> None:
    run = dataclasses.replace(measured([(10, 40_000_000)]), pipeline=make_pipeline(2))
    assert made(run, batch=3, mode="looped").cells["latency_median_ms"] == pytest.approx(12.0)
    assert made(run, batch=3).cells["latency_median_ms"] == pytest.approx(4.0)
