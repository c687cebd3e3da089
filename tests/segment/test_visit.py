"""Pipelines of a sweep, point by point: what a simulated one comes to, what is costed once, what fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from paraedge import models, simulate
from paraedge.build.scratch import Work
from paraedge.core.device import MeasureSettings, Target
from paraedge.core.outcome import Failure, Measurement, Outcome
from paraedge.core.spec import ModelSpec
from paraedge.grid import Pipelines
from paraedge.models.fc import FcParams
from paraedge.segment import costs
from paraedge.segment.pool import find_driver
from paraedge.segment.visit import Chosen, cut_key, visit_pipelines
from paraedge.simulate.hardware import load_hardware

PCIE = "sim-edgetpu-pcie"
SMALL = ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=256, output=10))
LARGE = ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=2048, output=10))
HUGE = ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=4096, output=10))
FLOAT = ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=256, output=10), precision="float32")


def outcomes(
    device: str, specs: list[ModelSpec], pipelines: Pipelines, folder: Path, chosen: Chosen | None = None
) -> Iterator[tuple[str, Target, Outcome]]:
    driver = find_driver(device, max(pipelines.segments))
    alone = driver.targets(device, (1,), ("xnnpack",))[0]
    points = list(itertools.product(specs, pipelines.targets(alone)))
    visited = visit_pipelines(driver, points, MeasureSettings(), Work(folder=folder), chosen or Chosen())
    for target, ready, outcome in visited:
        yield ready.spec.spec_id, target, outcome


def good(outcome: Outcome) -> Measurement:
    assert isinstance(outcome, Measurement), outcome
    return outcome


def wall_ms(outcome: Outcome) -> float:
    (block,) = good(outcome).blocks
    return block.duration_ns / 1e6


def test_one_segment_is_the_whole_model_again_and_again(tmp_path: Path) -> None:
    pipelines = Pipelines(segments=(1,), strategies=(), inputs=(1, 7))
    for spec in (SMALL, LARGE):
        latency_ms = simulate.predict(models.build_graph(spec), load_hardware(PCIE)).latency_ms
        once, seven = (outcome for _, _, outcome in outcomes(PCIE, [spec], pipelines, tmp_path))
        assert wall_ms(once) == pytest.approx(latency_ms, rel=1e-5)
        assert wall_ms(seven) == pytest.approx(7 * latency_ms, rel=1e-5)
        split = good(seven).partition
        assert split is not None
        assert (split.cuts, split.bottleneck_ms) == ((), pytest.approx(latency_ms))


def test_a_pipeline_takes_its_latency_and_then_a_period_an_input(tmp_path: Path) -> None:
    """The textbook formula, on parameters that are all on chip."""
    pipelines = Pipelines(segments=(2, 4), strategies=("params", "optimal", "equal"), inputs=(1, 2, 50))
    for _, target, outcome in outcomes(PCIE, [SMALL], pipelines, tmp_path):
        found = good(outcome)
        split, inputs = found.partition, target.inputs or 0
        assert split is not None
        assert wall_ms(outcome) == pytest.approx(split.latency_ms + (inputs - 1) * split.bottleneck_ms, rel=1e-5)
        assert found.pipeline is not None
        assert [(s.first, s.end) for s in found.pipeline.stages] == [(s.first, s.end) for s in split.stages]
        assert (found.device.id, found.stop_reason, found.blocks[0].invokes) == (PCIE, "simulated", inputs)


def test_stages_that_stream_are_slow_once_after_idling(tmp_path: Path) -> None:
    idle_ms = load_hardware(PCIE).idle_ms
    assert idle_ms > 0
    pipelines = Pipelines(segments=(2,), strategies=("params",), inputs=(1,))
    ((_, _, outcome),) = outcomes(PCIE, [HUGE], pipelines, tmp_path)
    split = good(outcome).partition
    assert split is not None
    streaming = sum(bool(stage.off_chip_bytes) for stage in split.stages)
    assert streaming > 0
    assert wall_ms(outcome) == pytest.approx(split.latency_ms + streaming * idle_ms, rel=1e-5)


def test_data_parallel_is_the_whole_model_on_each(tmp_path: Path) -> None:
    hardware = load_hardware(PCIE)
    latency_ms = simulate.predict(models.build_graph(LARGE), hardware).latency_ms
    pipelines = Pipelines(segments=(4,), strategies=("data",), inputs=(1, 8))
    one, eight = (good(outcome) for _, _, outcome in outcomes(PCIE, [LARGE], pipelines, tmp_path))
    assert wall_ms(one) == pytest.approx(latency_ms + hardware.host_ms, rel=1e-5)
    assert eight.pipeline is not None
    assert [(s.stage, s.replica, s.inputs) for s in eight.pipeline.stages] == [(1, r, 2) for r in (1, 2, 3, 4)]
    assert wall_ms(eight) == pytest.approx(4 * hardware.host_ms + 2 * latency_ms, rel=1e-5)


def test_costs_are_found_once_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    spans = simulate.spans

    def counted(graph, hardware):  # type: ignore[no-untyped-def]
        asked.append(graph.name)
        return spans(graph, hardware)

    monkeypatch.setattr(costs.simulate, "spans", counted)
    pipelines = Pipelines(segments=(1, 2, 3), strategies=("params", "optimal", "data"), inputs=(1, 50))
    found = list(outcomes(PCIE, [SMALL, LARGE], pipelines, tmp_path))
    assert len(found) == 2 * (2 + 2 * 3 * 2)
    assert len(asked) == 2


def test_cuts_that_were_chosen_are_kept(tmp_path: Path) -> None:
    chosen = Chosen()
    pipelines = Pipelines(segments=(2,), strategies=("equal",), inputs=(1, 50))
    first = [good(outcome).partition for _, _, outcome in outcomes(PCIE, [SMALL], pipelines, tmp_path, chosen)]
    again = [good(outcome).partition for _, _, outcome in outcomes(PCIE, [SMALL], pipelines, tmp_path, chosen)]
    assert len(chosen.made) == 1
    assert all(one is first[0] for one in [*first, *again])


def test_what_can_not_be_cut_is_a_failure_and_the_next_goes_on(tmp_path: Path) -> None:
    pipelines = Pipelines(segments=(2, 9), strategies=("fit", "equal"), inputs=(1,))
    found = {
        (spec, target.segments, target.strategy): outcome
        for spec, target, outcome in outcomes(PCIE, [HUGE, FLOAT, SMALL], pipelines, tmp_path)
    }
    assert len(found) == 12
    for key in ((HUGE.spec_id, 2, "fit"), (SMALL.spec_id, 9, "equal")):  # 5 layers
        failure = found[key]
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.error) == ("partition", "BadInput")
    floats = [outcome for key, outcome in found.items() if key[0] == FLOAT.spec_id]
    assert {(f.stage, f.error) for f in floats if isinstance(f, Failure)} == {("load", "Unsupported")}
    assert isinstance(found[SMALL.spec_id, 2, "equal"], Measurement)


CLUSTER = """
name = "uneven"
summary = "for a test"
[[host]]
name = "weak"
gmacs_per_s = 1
memory_mib = 100
link_mbit_per_s = 10000
[[host]]
name = "tiny"
gmacs_per_s = 40
memory_mib = 0.001
link_mbit_per_s = 10000
[[host]]
name = "strong"
gmacs_per_s = 40
memory_mib = 100
link_mbit_per_s = 10000
"""


def test_of_a_cluster_optimal_takes_the_best_hosts_and_the_others_the_first(tmp_path: Path) -> None:
    path = tmp_path / "uneven.toml"
    path.write_text(CLUSTER)
    pipelines = Pipelines(segments=(1, 2), strategies=("optimal", "equal"), inputs=(1,))
    found = {
        (target.segments, target.strategy): outcome
        for _, target, outcome in outcomes(f"cluster:{path}", [LARGE], pipelines, tmp_path)
    }
    one = good(found[1, None]).pipeline
    assert one is not None
    assert [stage.device for stage in one.stages] == ["strong"]
    best = good(found[2, "optimal"]).pipeline
    assert best is not None
    assert {stage.device for stage in best.stages} <= {"weak", "strong"}
    equal = found[2, "equal"]  # weak and tiny, which holds nothing
    assert isinstance(equal, Failure)
    assert "tiny" in equal.message


def test_measured_devices_are_cut_as_in_earlier_calls(tmp_path: Path) -> None:
    """Costs are measured anew in each call; the points of a campaign must not change with them."""
    target = Target(device="cpu", threads=1, kernels="xnnpack", segments=2, strategy="optimal", inputs=1)
    pipelines = Pipelines(segments=(2,), strategies=("optimal",), inputs=(3,))
    cuts = set()
    for at in (1, 4):
        chosen = Chosen(earlier={cut_key(SMALL.spec_id, target): (at,)})
        ((_, _, outcome),) = outcomes("cpu", [SMALL], pipelines, tmp_path, chosen)
        split = good(outcome).partition
        assert split is not None
        assert (split.strategy, split.cuts) == ("optimal", (at,))
        assert split.gap >= 0
        cuts.add(split.cuts)
    assert len(cuts) == 2
