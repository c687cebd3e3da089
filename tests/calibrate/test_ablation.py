"""The simulator less one idea: that the check of its errors can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from paraedge.calibrate.ablation import VARIANTS, ablate, ablate_pipelines
from paraedge.calibrate.plan import published_plan
from paraedge.calibrate.report import Validation
from paraedge.simulate.constants import OF_PIPELINES, UNITS
from paraedge.simulate.counts import COSTS

BY_NAME = {variant.name: variant for variant in VARIANTS}
PCIE = "PCIe Gen2 x1 (inferred)"


def test_each_variant_is_one_idea_less() -> None:
    assert len(BY_NAME) == len(VARIANTS)
    counts = {cost.count for cost in COSTS}
    for variant in VARIANTS:
        assert variant.free <= counts
        assert set(variant.held) <= set(UNITS)
        changed = {cost.count for cost in COSTS} - {
            count for count in counts if variant.plan(count, "a", PCIE) == published_plan(count, "a", PCIE)
        }
        assert changed == variant.free
        named = {cost.constant for cost in COSTS if cost.count in variant.free}
        assert named <= set(variant.held), "what isn't fitted must be held at a value, not left at the base's"


@pytest.mark.parametrize("name", ["no stripes (one fetch)"])
def test_without_stripes_the_conv_sweep_misses_its_target(
    name: str, edgetpu_data: Path, validation: Validation
) -> None:
    [broken] = ablate(edgetpu_data, [BY_NAME[name]])
    assert broken.name == name
    scores, whole = (
        {group.name: group.scores for group in found}["CONV sweep"] for found in (broken.groups, validation.groups)
    )
    assert scores["row"].median_ape > 0.025
    assert scores["row"].within_10 < 0.92
    assert whole["row"].median_ape <= 0.025 < scores["row"].median_ape


def test_the_whole_simulator_is_a_variant_that_leaves_nothing_out() -> None:
    whole = VARIANTS[0]
    assert (whole.free, dict(whole.held)) == (frozenset(), {})


def test_each_constant_of_pipelines_pays(edgetpu_data: Path) -> None:
    """With sizes left out, one of the sweeps is predicted worse without it, and none better by more than a tenth."""
    found = ablate_pipelines(edgetpu_data)
    assert list(found) == ["all constants", *(f"no {name}" for name in OF_PIPELINES)]
    errors = {
        name: {group.name: group.scores["size"].median_ape for group in groups if not group.is_series}
        for name, groups in found.items()
    }
    whole = errors.pop("all constants")
    for name, without in errors.items():
        ratios = [without[sweep] / whole[sweep] for sweep in ("CONV", "FC")]
        assert max(ratios) > 1.3, name
        assert min(ratios) > 0.9, name
