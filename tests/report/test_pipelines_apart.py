"""Runs over devices that must not be put beside each other: of other campaigns, options and precisions."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from paraedge import flow
from paraedge.analyze.pipelines import data_or_pipeline, over_fewest
from paraedge.archive import Campaign, read_campaign
from paraedge.report.data import gather
from paraedge.report.sections.pipelines import groups, pipelines_section, published
from paraedge.report.setup import setup
from paraedge.sweep import parse_sweep

SWEEP = """
name = "several"
devices = ["sim-edgetpu-pcie"]
[pipeline]
segments = [1, 2]
strategy = ["params", "data"]
inputs = [50]
[[grid]]
family = "fc"
layer = 4
node = [100, 1700]
input = 64
output = 10
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("several") / "campaign"
    flow.run_campaign(parse_sweep(SWEEP, source="several.toml"), folder=folder)
    return read_campaign(folder)


def changed(campaign: Campaign, *, times: float = 1.0, **cells: object) -> Campaign:
    runs = campaign.runs.assign(latency_median_ms=campaign.runs["latency_median_ms"] * times, **cells)
    return dataclasses.replace(campaign, runs=runs)


def speedups(table: pd.DataFrame) -> list[float]:
    return over_fewest(table)["speedup"].round(6).tolist()


def test_a_slower_campaign_is_not_held_against_a_faster_one(campaign: Campaign) -> None:
    alone = gather([campaign]).pipelines
    both = gather([campaign, changed(campaign, times=3.0)]).pipelines
    assert set(alone["device"]) == {"sim-edgetpu-pcie"}
    assert set(both["device"]) == {"sim-edgetpu-pcie (several 1)", "sim-edgetpu-pcie (several 2)"}
    assert speedups(both) == speedups(alone) * 2
    assert len(data_or_pipeline(both)) == 2 * len(data_or_pipeline(alone))


def test_a_device_with_other_options_is_another_one(campaign: Campaign) -> None:
    one, two = (changed(campaign, times=1 / n, device="cpu", threads=n).runs for n in (1, 2))
    cpu = dataclasses.replace(
        campaign,
        runs=pd.concat([one, two], ignore_index=True),
        meta={**campaign.meta, "devices": {"cpu threads=1": {"id": "cpu", "details": {"model": "first"}}}},
    )
    data = gather([cpu])
    assert [device for device, _ in data.pipelines.groupby("device")] == ["cpu threads=1", "cpu threads=2"]
    assert [title for title, _ in groups(over_fewest(data.pipelines))] == ["fc on cpu threads=1", "fc on cpu threads=2"]
    only = dataclasses.replace(cpu, runs=one)
    assert set(gather([only]).pipelines["device"]) == {"cpu"}
    assert "first" in str(setup(gather([only]), 0).devices.rows)


def test_models_of_other_precisions_are_on_other_lines(campaign: Campaign) -> None:
    floats = changed(campaign, precision="float32", spec_id="f" + campaign.runs["spec_id"])
    both = dataclasses.replace(campaign, runs=pd.concat([campaign.runs, floats.runs], ignore_index=True))
    titles = [title for title, _ in groups(over_fewest(gather([both]).pipelines))]
    assert titles == ["fc precision=int8", "fc precision=float32"]


def test_a_campaign_with_fewer_inputs_is_among_the_best_too(campaign: Campaign) -> None:
    section = pipelines_section(gather([campaign, changed(campaign, inputs=7)]))
    assert section is not None
    best = section.tables[0]
    assert best.title == "The best of each model, 7 inputs and 50 inputs"
    assert {row[0] for row in best.rows} == {"sim-edgetpu-pcie (several 1)", "sim-edgetpu-pcie (several 2)"}


@pytest.mark.parametrize(
    ("device", "batch", "there"),
    [("sim-edgetpu-pcie", 1, True), ("edgetpu", 1, True), ("cpu", 1, False), ("edgetpu", 8, False)],
)
def test_published_rows_stand_beside_edge_tpus_only(campaign: Campaign, device: str, batch: int, there: bool) -> None:
    rows = pd.DataFrame([{"family": "fc", "segments": 2, "inputs": 50, "strategy": "params"}])
    mine = gather([changed(campaign, device=device, batch=batch)]).pipelines
    assert len(published(rows, mine[mine["segments"] == 2])) == there
