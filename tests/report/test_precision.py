"""The section on what quantization gives: there where models come in float32 and in something else, and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paraedge.report.data import ReportData, gather
from paraedge.report.figures.latency import draw
from paraedge.report.findings import peaks
from paraedge.report.sections.precision import precision_section, quantization_headline

SLOWER = {"float32": 3.0, "float16": 3.0, "dynamic_range": 1.5, "int8": 1.0}


@pytest.fixture
def data(make_campaign: Any, made_specs: Any, tmp_path: Path) -> ReportData:
    """Every model of the made campaign in four precisions on the CPU, in int8 on a simulated device."""
    campaign = make_campaign(tmp_path, devices=("cpu", "sim-edgetpu-usb3"), points=made_specs)
    runs = campaign.runs
    copies = [runs]
    for precision in ("float32", "float16", "dynamic_range"):
        copy = runs[runs["device"] == "cpu"].copy()
        copy["precision"] = precision
        copy["spec_id"] += precision
        copy["latency_median_ms"] *= SLOWER[precision]
        copies.append(copy)
    campaign.runs = pd.concat(copies, ignore_index=True)
    return gather([campaign])


def test_the_section_shows_families_sizes_and_a_table(data: ReportData) -> None:
    section = precision_section(data)
    assert section is not None
    assert [panel.name for panel in section.panels] == ["precision-family-cpu", "precision-size-cpu"]
    assert "int8 is 3 times as fast" in section.panels[0].text
    (table,) = section.tables
    assert {row[0] for row in table.rows} == {"cpu"}  # the simulated device has one precision
    whole = {row[2]: row for row in table.rows if row[3] == "all"}
    assert [float(whole[name][5]) for name in ("int8", "dynamic_range", "float16")] == pytest.approx(
        [3, 2, 1], abs=0.01
    )
    families = {row[3] for row in table.rows if row[2] == "int8"}
    assert set(data.families) <= families
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_a_model_without_its_float32_is_named_as_left_out(data: ReportData) -> None:
    assert precision_section(data).holes == ()
    gone = (data.points["precision"] == "float32") & (data.points["family"] == "matmul")
    holes = precision_section(replace(data, points=data.points[~gone])).holes
    assert len(holes) == 3
    assert "10 good int8 points of cpu are left out: there is no good float32 one." in holes


def test_the_headline_is_one_sentence_of_the_first_device(data: ReportData) -> None:
    (sentence,) = quantization_headline(data)
    assert sentence.startswith("On cpu threads=1 kernels=xnnpack (measured), compared with float32, int8 is 3 times")


def test_other_figures_say_which_precision_they_are_of(data: ReportData) -> None:
    family = data.families[0]
    panel = draw(data, family)
    assert panel is not None
    assert ", only int8. Lines join" in panel.text
    (best,) = (text for text in peaks(data) if "(simulated)" not in text)
    assert "precision=int8" in best


def test_one_precision_makes_no_section(make_campaign: Any, tmp_path: Path) -> None:
    data = gather([make_campaign(tmp_path)])
    assert precision_section(data) is None
    assert list(quantization_headline(data)) == []
