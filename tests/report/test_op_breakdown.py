"""The section of ops: what is drawn of a table of ops, and what stands there without one."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paraedge.archive.ops import OpsTable
from paraedge.core.device import Origin, Target
from paraedge.core.profile import OpTime, Profile
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.cnn import CnnParams
from paraedge.models.fc import FcParams
from paraedge.report.data import gather
from paraedge.report.figures.op_breakdown import OTHERS, colours_of, folded
from paraedge.report.sections import sections
from paraedge.report.sections.op_breakdown import op_breakdown_section
from paraedge.report.setup import setup

CPU = Target(device="cpu", threads=1, kernels="xnnpack")
SIM = Target(device="sim-edgetpu-pcie")
NAMES = ("input", "layer", "node", "output", "widths", "kind", "block", "blocks", "filter", "image")


def made(target: Target, *times_ms: tuple[str, float]) -> Profile:
    ops = [OpTime(op=op, indices=(at,), macs=1, latency_ms=ms) for at, (op, ms) in enumerate(times_ms)]
    simulated = target is SIM
    whole_ms = sum(ms for _, ms in times_ms) + simulated
    return Profile(
        target=target, origin=Origin.SIMULATED if simulated else Origin.MEASURED, ops=tuple(ops),
        other_ms={"overhead_ms": 1.0} if simulated else {}, whole_ms=whole_ms, low_ms=None, high_ms=None,
    )  # fmt: skip


def write(folder: Path, points: Sequence[Params]) -> None:
    """A table of ops in which the share of FULLY_CONNECTED grows along `node`, and CONV_2D doesn't along `filter`."""
    table = OpsTable(folder, NAMES)
    for params, target in itertools.product(points, (CPU, SIM)):
        if isinstance(params, FcParams):
            spec, times = (
                ModelSpec(family="fc", params=params),
                (("FULLY_CONNECTED", 0.1 * (params.node or 0)), ("ADD", 1.0)),
            )
        else:
            spec, times = ModelSpec(family="cnn", params=params), (("CONV_2D", 3.0), ("ADD", 1.0))
        table.append(spec, target, Origin.SIMULATED if target is SIM else Origin.MEASURED, made(target, *times))


FC = [FcParams(layer=layer, node=node) for layer in (1, 2) for node in range(1, 31)]
CNN = [
    CnnParams(kind=kind, block=1, filter=filters, image=64)
    for kind in ("residual", "bottleneck")
    for filters in (8, 16, 32)
]


@pytest.fixture
def campaign(make_campaign: Any, tmp_path: Path) -> Any:
    write(tmp_path, [*FC, *CNN])
    return make_campaign(tmp_path, devices=("cpu", SIM.device))


def test_families_stand_beside_each_other_and_along_what_moves_them(campaign: Any) -> None:
    section = op_breakdown_section(gather([campaign]))
    assert [panel.name for panel in section.panels] == [
        "ops-cpu", "ops-sim-edgetpu-pcie", "ops-fc-node-cpu", "ops-fc-node-sim-edgetpu-pcie",
    ]  # fmt: skip
    assert "cnn bottleneck CONV_2D 75 %, ADD 25 %" in section.panels[0].text
    labels = [text.get_text() for text in section.panels[0].figure.axes[0].get_yticklabels()]
    assert labels == ["fc (60)", "cnn residual (3)", "cnn bottleneck (3)"]
    assert len(section.panels[2].figure.axes[0].get_yticklabels()) <= 12
    assert "(simulated)" in section.panels[1].text
    sums, shares = section.tables
    assert [row[:3] for row in sums.rows] == [("cpu", "measured", "66"), (SIM.device, "simulated", "66")]
    assert [row[3] for row in sums.rows] == ["100", "100"]
    assert ("cpu", "measured", "cnn residual", "3", "CONV_2D", "75") in shares.rows
    assert section.holes == ()


def test_bars_fill_the_axis(campaign: Any) -> None:
    for panel in op_breakdown_section(gather([campaign])).panels:
        axes = panel.figure.axes[0]
        ends: dict[int, float] = {}
        for patch in axes.patches:
            row = round(patch.get_y() + patch.get_height() / 2)
            ends[row] = max(ends.get(row, 0.0), patch.get_x() + patch.get_width())
        assert list(ends.values()) == pytest.approx([100.0] * len(axes.get_yticklabels()), abs=0.5)


def test_without_a_table_the_page_says_how_to_get_one(make_campaign: Any, tmp_path: Path) -> None:
    section = op_breakdown_section(gather([make_campaign(tmp_path)]))
    assert section.panels == ()
    assert "paraedge profile SWEEP" in section.holes[0]


def test_devices_that_no_run_has_are_drawn_too(make_campaign: Any, tmp_path: Path) -> None:
    write(tmp_path, FC[:4])
    data = gather([make_campaign(tmp_path, devices=(SIM.device,), points=[])])
    section = next(section for section in sections(data) if section.id == "ops")
    assert [panel.name for panel in section.panels[:2]] == ["ops-cpu-threads-1-kernels-xnnpack", "ops-sim-edgetpu-pcie"]


def test_a_model_predicted_in_part_is_left_out_and_said(make_campaign: Any, tmp_path: Path) -> None:
    write(tmp_path, FC[:4])
    part = OpTime(op="FULLY_CONNECTED", indices=(1,), macs=9, latency_ms=None, error="on the CPU, it has a batch")
    lacking = dataclasses.replace(made(SIM, ("RESHAPE", 1.0)), ops=(*made(SIM, ("RESHAPE", 1.0)).ops, part))
    spec = ModelSpec(family="fc", params=FC[7])
    OpsTable(tmp_path, NAMES).append(spec, SIM, Origin.SIMULATED, lacking)
    section = op_breakdown_section(gather([make_campaign(tmp_path, devices=("cpu", SIM.device))]))
    assert section.holes == (
        "1 model on sim-edgetpu-pcie (simulated) is left out: the prediction leaves out ops with MACs.",
    )
    assert "RESHAPE" not in "".join(panel.text for panel in section.panels)


def test_the_text_says_which_models_are_set_beside_each_other(make_campaign: Any, tmp_path: Path) -> None:
    table = OpsTable(tmp_path, NAMES)
    for precision in ("int8", "float32"):
        spec = ModelSpec(family="fc", params=FC[3], precision=precision)
        table.append(spec, CPU, Origin.MEASURED, made(CPU, ("ADD", 1.0)))
    (text,) = op_breakdown_section(gather([make_campaign(tmp_path)])).texts
    assert text.endswith("Of the models that were taken apart, only int8 are shown.")


def test_a_profile_does_not_count_as_time_of_the_campaign(make_campaign: Any, tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path)
    run, profile = ({"rows": rows, "wall_s": 10.0, "timed_s": rows / 2} for rows in (10, 0))
    campaign.meta["invocations"] = [run, profile]
    assert dict(setup(gather([campaign]), 0).facts)["Time"] == "10 s, 50 % of it inside timed blocks"


def test_kinds_beyond_the_colours_are_together() -> None:
    shares = pd.Series({**{f"OP_{number}": 0.1 for number in range(9)}, "overhead": 0.1})
    colours = colours_of(pd.DataFrame([shares]))
    parts = folded(shares, colours)
    assert list(parts) == [*(f"OP_{number}" for number in range(5)), OTHERS, "overhead"]
    assert parts[OTHERS] == pytest.approx(0.4)
    assert sum(parts.values()) == pytest.approx(1.0)
