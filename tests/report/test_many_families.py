"""Campaigns of several families with sorts and real models: sizes, models by name, heat maps, weights, parts."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paraedge import flow
from paraedge.analyze.partial import without_parts
from paraedge.archive import read_campaign
from paraedge.report.data import ReportData, gather, kind_of, like, main_precision
from paraedge.report.explained import explained
from paraedge.report.figures import models, ranges
from paraedge.report.figures.speedup import best_parameter
from paraedge.report.findings import failed, headlines
from paraedge.report.sections import sections, sort_of
from paraedge.report.sections.heatmaps import heatmap_section
from paraedge.report.sections.ranges import ranges_section
from paraedge.report.sections.section import MOST_MODELS
from paraedge.report.sections.weights import regression_fits, weights_section
from paraedge.sweep import parse_sweep

SIMULATED = "sim-edgetpu-pcie"


def several() -> Iterator[dict[str, Any]]:
    """Two sorts of cnn, three of rnn, three real models, one of them at two images."""
    for kind, block, filters in itertools.product(("residual", "bottleneck"), (1, 2, 4), (8, 16, 32)):
        size = 500 * block * filters**2 * (2 if kind == "bottleneck" else 1)
        yield {"family": "cnn", "kind": kind, "block": block, "filter": filters, "macs": 90 * size, "parameters": size}
    for cell, layer, embed in itertools.product(("rnn", "lstm", "gru"), (1, 5), (100, 500, 900)):
        size = {"rnn": 1, "gru": 3, "lstm": 4}[cell] * layer * (2 * embed**2 + embed)
        yield {"family": "rnn", "cell": cell, "layer": layer, "embed": embed, "macs": 10 * size, "parameters": size}
    for name, image, size in (("small", 128, 10**6), ("small", 224, 10**6), ("middle", 224, 4 * 10**6)):
        yield {"family": "zoo", "model": name, "image": image, "macs": size * image, "parameters": size}
    yield {"family": "zoo", "model": "large", "image": 299, "macs": 6 * 10**9, "parameters": 24 * 10**6}


@pytest.fixture(scope="module")
def made(make_campaign: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return make_campaign(tmp_path_factory.mktemp("several"), points=list(several()), devices=("cpu", SIMULATED))


@pytest.fixture(scope="module")
def data(made: Any) -> ReportData:
    return gather([made])


def test_sizes_have_a_row_a_sort_and_a_real_model_with_its_whole_range(
    data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, dict[str, tuple[float, float]]] = {}

    def note(title: str, what: str, rows: list[tuple[str, str, pd.Series]]) -> None:
        seen[title] = {label: (values.min(), values.max()) for label, _, values in rows}

    monkeypatch.setattr(ranges, "draw", note)
    ranges_section(data)
    expected: dict[str, list[int]] = {}
    for point in several():
        sort = point.get("kind") or point.get("cell") or point["model"]
        name = sort if sort == "rnn" or point["family"] == "zoo" else f"{point['family']} {sort}"
        expected.setdefault(name, []).append(point["parameters"])
    assert seen["Parameters"] == {name: (min(sizes), max(sizes)) for name, sizes in expected.items()}
    assert list(seen["Parameters"])[-3:] == ["small", "middle", "large"]
    assert seen["MACs"]["small"] == (128e6, 224e6)


def test_the_figure_of_sizes_says_each_range(data: ReportData) -> None:
    panels = {panel.name: panel for panel in ranges_section(data).panels}
    text = panels["ranges-Parameters"].text
    assert "cnn residual 32k to 2.05M" in text
    assert "rnn lstm 80.4k to 32.4M" in text
    assert "3 real models 1M to 24M" in text
    labels = [label.get_text() for label in panels["ranges-Parameters"].figure.axes[0].get_yticklabels()]
    assert labels[-3:] == ["small", "middle", "large"]


def test_sizes_of_too_many_real_models_share_a_row(make_campaign: Any, tmp_path: Any) -> None:
    many = [
        {"family": "zoo", "model": f"m{n}", "image": 224, "macs": 10**6 * n, "parameters": 1000 * n}
        for n in range(1, MOST_MODELS + 2)
    ]
    data = gather([make_campaign(tmp_path, points=many, devices=("cpu",))])
    labels = [label.get_text() for label in ranges_section(data).panels[0].figure.axes[0].get_yticklabels()]
    assert labels == ["zoo"]
    assert models.draw(data, "zoo", MOST_MODELS) is None
    assert {panel.name for section in sections(data) for panel in section.panels} >= {"latency-zoo"}


def test_real_models_are_listed_by_name_and_have_no_grid(data: ReportData) -> None:
    found = {section.id: section for section in sections(data)}
    assert {panel.name for panel in found["latency"].panels} == {"latency-cnn", "latency-rnn", "models-zoo"}
    axes = next(panel for panel in found["latency"].panels if panel.name == "models-zoo").figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["small", "middle", "large"]
    assert not any("zoo" in panel.name for name in ("heatmaps", "weights") for panel in found[name].panels)
    assert not any("zoo-by" in panel.name for panel in found["speedup"].panels)
    assert "No weights for zoo: real models are no grid." in found["weights"].holes


def test_each_sort_has_a_line_of_its_own(data: ReportData) -> None:
    assert {panel.name for panel in weights_section(data).panels} == {
        "weights-cnn residual", "weights-cnn bottleneck", "weights-rnn", "weights-rnn lstm", "weights-rnn gru",
    }  # fmt: skip
    (cpu, _) = data.series
    groups = regression_fits(data, cpu, "rnn")
    assert [sort_of("rnn", group) for group in groups] == ["rnn", "rnn lstm", "rnn gru"]
    assert [group.n for group in groups] == [6, 6, 6]


def test_a_heat_map_is_of_the_two_hyperparameters_that_say_most(made: Any) -> None:
    """The rate is made to hang on `filter`, less on `block`, and not at all on `kind`."""
    runs = made.runs.copy()
    rate = 10.0 * runs["filter"].fillna(8) * runs["block"].fillna(1) ** 0.5
    runs["latency_median_ms"] = 2e-6 * runs["macs"] / rate
    other = type(made)(made.name, made.folder, runs, made.meta)
    names = {panel.name: panel for panel in heatmap_section(gather([other])).panels}
    axes = names["heatmap-cnn-cpu"].figure.axes[0]
    assert {axes.get_xlabel(), axes.get_ylabel()} == {"filter", "block"}


def test_what_rises_and_falls_again_is_explained() -> None:
    hill = pd.Series([1.0, 9.0, 1.0, 1.1, 9.2, 1.1])
    place = pd.Series([1, 2, 3, 1, 2, 3])
    assert explained(hill, place) > 0.99
    assert explained(hill, pd.Series(["a", "a", "a", "b", "b", "b"])) < 0.01
    assert explained(hill, pd.Series(range(6))) == explained(hill, pd.Series([4] * 6)) == 0
    pairs = pd.DataFrame({"speedup": hill, "node": place, "output": [1, 1, 1, 2, 2, 2], "hole": [1, None, 2, 3, 4, 5]})
    assert best_parameter(pairs, ["output", "node", "hole"]) == "node"
    assert best_parameter(pairs, ["hole"]) is None


def test_simulated_in_part_is_a_hole_with_its_reason_and_no_speedup(made: Any) -> None:
    runs = made.runs.copy()
    large = runs["model"] == "large"
    on_tpu = runs["device"] == SIMULATED
    runs["placed"] = runs["placed"].astype(object)
    runs["warnings"] = runs["warnings"].astype(object)
    runs.loc[large & on_tpu, "placed"] = "on_chip=0-2 on_cpu=3-90"
    runs.loc[large & on_tpu, "warnings"] = "latency leaves out FULLY_CONNECTED x48: on the CPU, it has a batch"
    middle = runs["model"] == "middle"
    runs.loc[middle & on_tpu, "placed"] = "on_chip=0-2 on_cpu=3"
    runs.loc[middle & on_tpu, "warnings"] = "latency leaves out op 3 (SOFTMAX): on the CPU, it is too large"
    data = gather([type(made)(made.name, made.folder, runs, made.meta)])
    by_model = data.points.set_index(["model", "device"])
    assert by_model.loc[("large", SIMULATED), "status"] == "failed"
    reason = str(by_model.loc[("large", SIMULATED), "error"])
    assert reason.startswith("incomplete prediction: latency leaves out FULLY_CONNECTED")
    assert by_model.loc[("large", "cpu"), "status"] == "ok"
    assert by_model.loc[("middle", SIMULATED), "status"] == "ok"
    assert f"of {len(list(several())) - 1} models" in " ".join(headlines(data))


def test_nothing_is_simulated_in_part_where_all_ops_are_mapped(data: ReportData) -> None:
    assert without_parts(data.points) is data.points
    assert set(data.points["status"]) == {"ok"}


def test_a_device_is_named_with_the_options_that_tell_it_apart(made: Any) -> None:
    one = made.runs[made.runs["device"] == "cpu"]
    two, both = one.assign(threads=2), pd.concat([one, one.assign(threads=2, kernels="builtin")])

    def labels(*tables: pd.DataFrame) -> list[str]:
        runs = pd.concat([*tables, made.runs[made.runs["device"] == SIMULATED]], ignore_index=True)
        return [series.label for series in gather([type(made)(made.name, made.folder, runs, made.meta)]).series]

    assert labels(one) == ["cpu", SIMULATED]
    assert labels(one, two) == ["cpu threads=1", "cpu threads=2", SIMULATED]
    assert labels(both) == ["cpu threads=1 kernels=xnnpack", "cpu threads=2 kernels=builtin", SIMULATED]


def test_unlike_rows_are_not_drawn_together() -> None:
    table = pd.DataFrame({"batch": [1, 1, 1, 8], "precision": ["int8", "float32", "float32", "int8"]})
    assert like(table)["precision"].tolist() == ["float32", "float32"]
    assert main_precision(table)["precision"].unique().tolist() == ["int8"]
    assert like(table.iloc[:0]).empty


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"family": "fc"}, "fc"),
        ({"family": "cnn", "kind": "residual"}, "cnn residual"),
        ({"family": "rnn", "cell": "rnn"}, "rnn"),
        ({"family": "rnn", "cell": "lstm"}, "rnn lstm"),
        ({"family": "zoo", "model": "vgg16"}, "vgg16"),
        ({"family": "zoo", "model": None}, "zoo"),
        ({"family": "file", "path": "models/mine v2.tflite"}, "mine v2"),
    ],
)
def test_a_point_is_named_by_its_sort(row: dict[str, Any], said: str) -> None:
    assert kind_of(pd.Series(row)) == said


SWEEP = """
name = "numbers"
devices = ["sim-edgetpu-pcie"]
[[grid]]
family = "cnn"
kind = "residual"
block = [1, 2]
filter = [4, 8]
image = 32
output = 10
[[grid]]
family = "rnn"
cell = "rnn"
layer = [1, 2]
embed = [4, 8]
length = [2, 4]
vocab = 4
"""


def test_a_hyperparameter_that_is_a_number_is_one_in_the_report(tmp_path: Path) -> None:
    """`block` and `length` are also names of columns of other tables of a campaign, where they are something else."""
    flow.run_campaign(parse_sweep(SWEEP, source="numbers.toml"), folder=tmp_path / "campaign")
    data = gather([read_campaign(tmp_path / "campaign")])
    (series,) = data.series
    names = {
        family: {weight.feature for group in regression_fits(data, series, family) for weight in group.weights}
        for family in data.families
    }
    assert names == {"cnn": {"block", "filter"}, "rnn": {"layer", "embed", "length"}}


def test_holes_that_differ_by_how_many_ops_stay_on_the_cpu_are_of_one_kind(made: Any) -> None:
    found = gather([made])
    points = found.points.astype({"error": object})
    why = [f"incomplete prediction: latency leaves out FULLY_CONNECTED x{number}: on the CPU" for number in (24, 48)]
    points.loc[points.index[:2], ["status", "error"]] = [["failed", reason] for reason in why]
    (said,) = failed(dataclasses.replace(found, points=points))
    assert said == (
        f"2 of {len(points)} points have no result, by incomplete prediction: latency leaves out FULLY_CONNECTED; "
        "each is listed under Failures."
    )
