"""The page of runs over several devices, from a small sweep that is run here."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest

from paraedge import flow
from paraedge.archive import Campaign, read_campaign
from paraedge.report import write_report
from paraedge.sweep import parse_sweep

SWEEP = """
name = "several"
devices = ["sim-edgetpu-pcie"]
[pipeline]
segments = [1, 2, 3]
strategy = ["params", "optimal", "data", "fit"]
inputs = [1, 50]
[[grid]]
family = "fc"
layer = 4
node = [100, 500, 1100, 1700, 1860, 2500]
input = 64
output = 10
"""
PUBLISHED = (
    "source,kind,filters_or_neurons,macs,tpus,segmentation,batch,onchip_mib_per_segment,offchip_mib_per_segment,"
    "ms_per_input\n"
    "made up,FC,500,1,1,none,1,0.5,0.0,2.0\n"
    "made up,FC,500,1,2,default rule,50,0.25;0.25,0.0;0.0,1.0\n"
)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("several") / "campaign"
    flow.run_campaign(parse_sweep(SWEEP, source="several.toml"), folder=folder)
    return read_campaign(folder)


@pytest.fixture(scope="module")
def page(campaign: Campaign, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    published = folder / "synthetic_sweeps.csv"
    published.write_text(PUBLISHED)
    return write_report([campaign], folder, published=published)


def words(page: Path) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8")).split()))


def test_a_report_of_pipelines_alone_has_no_sections_that_they_cannot_fill(page: Path) -> None:
    text = words(page)
    assert "6 models of fc, simulated over up to 3 devices (sim-edgetpu-pcie)." in text
    assert "Several devices" in text
    assert "Rooflines" not in text
    assert "Latency against model size" not in text
    assert "Nothing here was measured" in text
    assert " nan" not in text
    assert "EdgePipe" not in text  # its figures stand beside clusters only


def test_the_most_speed_up_is_the_archive_s(campaign: Campaign, page: Path) -> None:
    runs = campaign.runs[campaign.runs["status"] == "ok"]
    many = runs[runs["inputs"] == 50]
    one = many[many["segments"] == 1].set_index("spec_id")["latency_median_ms"]
    speedup = many["spec_id"].map(one) / many["latency_median_ms"]
    most = speedup[many["segments"] > 1].max()
    assert f"give up to {most:.3g} times the throughput of one" in words(page)
    assert most > 3  # over three devices: super-linear, so the page says why
    assert "by memory: parameters come on chip that fewer devices stream" in words(page)


def test_says_when_whole_models_side_by_side_are_better(page: Path) -> None:
    text = words(page)
    assert "Data parallel or pipeline? Coral's page advises" in text
    assert "whole models side by side the fastest %" in text
    assert re.search(r"a pipeline in \d+ % of \d+ comparisons above 8 MB", text)


def test_failed_runs_are_listed_with_their_reason(campaign: Campaign, page: Path) -> None:
    failed = campaign.runs[campaign.runs["status"] == "failed"]
    text = words(page)
    if len(failed):
        assert f"{len(failed)} of {len(campaign.runs)} points have no result" in text
    else:
        assert "Every point has a result." in text


def test_figures_have_the_published_points_where_they_were_given(
    page: Path, campaign: Campaign, tmp_path: Path
) -> None:
    def labelled(folder: Path) -> list[str]:
        return sorted(p.name for p in (folder / "figures").glob("*.svg") if "published, params" in p.read_text())

    assert labelled(page.parent) == ["pipelines-fc-2-devices-50-inputs-sim-edgetpu-pcie.svg"]
    assert labelled(write_report([campaign], tmp_path).parent) == []


def test_every_table_row_is_of_the_campaign(campaign: Campaign, page: Path) -> None:
    assert "Distance from the proven bound" in words(page)
    gaps = campaign.runs[campaign.runs["strategy"] == "optimal"]["gap"].astype(float)
    assert pd.Series(gaps).abs().max() < 1e-9
