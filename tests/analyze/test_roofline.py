"""Rooflines by hand: intensities, levels, bounds, and points faster than their machine."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

from paraedge.analyze.roofline import roofline, roofline_table, roofs_from_meta
from paraedge.core.device import Origin, Roof
from paraedge.core.errors import BadInput

KIB = 1024


def roof(kind: str, level: str, value: float, capacity: int | None = None, origin: Origin = Origin.MEASURED) -> Roof:
    unit = {"compute": "gops_per_s", "bandwidth": "gb_per_s", "floor": "ms"}[kind]
    return Roof(
        name=f"{kind} {level}", kind=kind, level=level, value=value, unit=unit, origin=origin, capacity_bytes=capacity
    )


CPU = "cpu threads=1 kernels=xnnpack"
CPU_ROOFS = [
    roof("compute", "int8", 100.0),
    roof("compute", "float32", 40.0),
    roof("bandwidth", "L1", 200.0, 32 * KIB),
    roof("bandwidth", "L2", 80.0, 1024 * KIB),
    roof("bandwidth", "DRAM", 10.0),
    roof("floor", "invoke", 0.0005),
]
TPU = "sim-edgetpu-usb3"
TPU_ROOFS = [
    roof("compute", "int8", 4096.0, origin=Origin.SIMULATED),
    roof("bandwidth", "host link", 0.17, origin=Origin.SIMULATED),
    roof("bandwidth", "on chip", 32.0, 8 * KIB * KIB, origin=Origin.SIMULATED),
]


def cpu_points(run, make_runs, **given: object) -> pd.DataFrame:
    return roofline(make_runs(run(**given)), {CPU: CPU_ROOFS}).points


@pytest.mark.parametrize(
    ("weight_bytes", "level", "bandwidth"),
    [(30 * KIB, "L1", 200.0), (32 * KIB, "L1", 200.0), (33 * KIB, "L2", 80.0), (2**21, "DRAM", 10.0)],
)
def test_a_cpu_point_lies_under_the_smallest_memory_that_holds_it(
    run, make_runs, weight_bytes: int, level: str, bandwidth: float
) -> None:
    macs = weight_bytes  # one MAC a byte: an FC layer
    point = cpu_points(
        run, make_runs, weight_bytes=weight_bytes, activation_bytes=0, macs=macs, latency_median_ms=1.0
    ).iloc[0]
    assert point["level"] == level
    assert bool(point["bytes_inferred"])
    assert point["intensity"] == pytest.approx(2.0)
    assert point["attainable"] == pytest.approx(min(100.0, 2 * bandwidth))
    assert point["rate_gops_per_s"] == pytest.approx(2e-6 * macs)
    assert point["share_of_roof"] == pytest.approx(2e-6 * macs / point["attainable"])
    assert point["bound"] == ("compute" if 2 * bandwidth > 100 else "bandwidth")
    assert bool(point["binding"])
    assert point["implausible"] is None


def test_the_compute_roof_is_that_of_the_precision(run, make_runs) -> None:
    found = cpu_points(run, make_runs, macs=10**9, precision="float32", latency_median_ms=100.0).iloc[0]
    assert found["attainable"] == 40.0
    result = roofline(make_runs(run(precision="int4", weight_bytes=10**6)), {CPU: CPU_ROOFS})
    assert "no compute roof of int4" in result.notes[0]
    assert result.points["bound"].tolist() == ["bandwidth"]


def test_the_floor_bounds_the_shortest_invokes(run, make_runs) -> None:
    found = cpu_points(run, make_runs, macs=100, weight_bytes=100, latency_median_ms=0.0006)
    assert found["bound"].tolist() == ["floor"]
    looped = cpu_points(run, make_runs, macs=100, batch=8, batch_mode="looped", latency_median_ms=0.005)
    assert looped["bound"].tolist() == ["floor"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        # 2e9 operations take 20 ms at 100 GOPS/s
        ({"macs": 10**9, "latency_median_ms": 18.0}, "its compute roof allows no less than 20 ms"),
        ({"macs": 10**9, "latency_median_ms": 19.5}, None),  # within the tolerance of 5 %
        # 11 MiB of weights: at least 10 MiB come from DRAM at 10 GB/s, 1.049 ms
        ({"macs": 10, "weight_bytes": 11 * 2**20, "latency_median_ms": 0.9}, "the bandwidth of its DRAM"),
        ({"macs": 10, "weight_bytes": 11 * 2**20, "latency_median_ms": 1.1}, None),
        # barely more than L2 holds: the rest may stay there, however slow DRAM is
        ({"macs": 10, "weight_bytes": 2**20 + 10, "latency_median_ms": 0.02}, None),
        # all that fits L1 still moves at its rate: 30 KiB at 200 GB/s is 0.000154 ms
        ({"macs": 10, "weight_bytes": 30 * KIB, "latency_median_ms": 0.0001}, "the bandwidth of its L1"),
    ],
)
def test_a_point_faster_than_its_machine_is_flagged(run, make_runs, given: dict[str, float], words: str | None) -> None:
    base = {"input_bytes": 0, "output_bytes": 0, "activation_bytes": 0}
    found = cpu_points(run, make_runs, **base, **given)["implausible"].iloc[0]
    assert (found is None) if words is None else (words in found)


def test_an_edge_tpu_has_two_levels(run, make_runs) -> None:
    row = run(
        device=TPU, origin="simulated", threads=None, kernels=None, macs=8_000_000, batch=4, batch_mode="looped",
        weight_bytes=2_000_000, activation_bytes=192_000, link_bytes=400_000, latency_median_ms=4.0,
    )  # fmt: skip
    result = roofline(make_runs(row), {TPU: TPU_ROOFS})
    by_level = result.points.set_index("level")
    assert by_level.loc["host link", "intensity"] == pytest.approx(16e6 / 400_000)
    # four invokes read the weights four times
    assert by_level.loc["on chip", "intensity"] == pytest.approx(16e6 / (4 * 2_000_000 + 192_000))
    assert by_level.loc["host link", "attainable"] == pytest.approx(40 * 0.17)
    assert by_level.loc["on chip", "attainable"] == pytest.approx(32 * 16e6 / (4 * 2_000_000 + 192_000))
    assert by_level["binding"].to_dict() == {"host link": True, "on chip": False}
    assert by_level["bytes_inferred"].to_dict() == {"host link": False, "on chip": True}
    assert len(result.best()) == 1
    fast = roofline(make_runs(row | {"latency_median_ms": 2.0}), {TPU: TPU_ROOFS}).points
    assert fast["implausible"].iloc[0] == "takes 2 ms, but its host link allows no less than 2.35 ms"


def test_link_bytes_are_put_together_where_they_are_not_given(run, make_runs) -> None:
    row = run(device=TPU, threads=None, kernels=None, input_bytes=64, output_bytes=10, off_chip_bytes=1000,
              instruction_bytes=500, batch=3, batch_mode="looped")  # fmt: skip
    link = roofline(make_runs(row), {TPU: TPU_ROOFS}).points.set_index("level").loc["host link"]
    assert link["level_bytes"] == 64 + 10 + 500 + 3 * 1000  # only streamed parameters are of one invoke
    assert bool(link["bytes_inferred"])


def test_targets_without_roofs_are_named_and_failed_points_left_out(run, make_runs) -> None:
    table = make_runs(run(), run(spec_id="b", status="failed"), run(threads=4))
    result = roofline(table, {CPU: CPU_ROOFS})
    assert len(result.points) == 1
    assert result.notes == (
        "no roofs are known of cpu threads=4 kernels=xnnpack: its points have no share of a roof",
        "1 failed point is left out",
    )
    nothing = roofline(table, {})
    assert nothing.points.empty
    assert nothing.best().empty


def test_only_compute_roofs(run, make_runs) -> None:
    found = roofline(make_runs(run()), {CPU: CPU_ROOFS[:1]}).points.iloc[0]
    assert (found["attainable"], found["bound"], found["level"]) == (100.0, "compute", "none")


def test_roofs_come_from_json(run, make_runs) -> None:
    text = json.loads(json.dumps({CPU: [dataclasses.asdict(roof) for roof in CPU_ROOFS]}))
    assert roofs_from_meta(text) == {CPU: tuple(CPU_ROOFS)}
    assert json.dumps(roofline(make_runs(run()), text).as_dict(), allow_nan=False)
    with pytest.raises(BadInput, match=r"roof in meta\.json"):
        roofs_from_meta({CPU: [{"name": "x"}]})
    with pytest.raises(BadInput, match=r"roof in meta\.json"):
        roofs_from_meta({CPU: [text[CPU][0] | {"origin": "guessed"}]})


def test_any_table() -> None:
    table = pd.DataFrame({"work": [1e6, 1e6, 1e6, None], "moved": [1e5, 1e7, 1e5, 1.0], "ms": [1.0, 2.0, 0.01, 1.0]})
    found = roofline_table(
        table, macs="work", moved_bytes="moved", latency_ms="ms", peak_gops_per_s=50, bandwidth_gb_per_s=10,
    )  # fmt: skip
    points = found.points
    assert points["intensity"].tolist()[:3] == pytest.approx([20, 0.2, 20])
    assert points["attainable"].tolist()[:3] == pytest.approx([50, 2, 50])
    assert points["share_of_roof"].tolist()[:3] == pytest.approx([2 / 50, 1 / 2, 4.0])
    assert points["bound"].tolist()[:3] == ["compute", "bandwidth", "compute"]
    assert points["implausible"].notna().tolist() == [False, False, True, False]
    assert found.notes == ("1 rows without work, bytes or time have no share of a roof",)
    half = roofline_table(
        table, ops="work", moved_bytes="moved", latency_ms="ms", peak_gops_per_s=50, bandwidth_gb_per_s=10
    )
    assert half.points["intensity"].iloc[0] == pytest.approx(10)
    assert json.dumps(half.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"macs": None}, "name one column of work"),
        ({"ops": "work"}, "not both"),
        ({"moved_bytes": "move"}, "did you mean 'moved'"),
        ({"peak_gops_per_s": 0.0}, "roof peak is 0"),
        ({"bandwidth_gb_per_s": float("nan")}, "roof bandwidth is nan"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    table = pd.DataFrame({"work": [1.0], "moved": [1.0], "ms": [1.0]})
    given = {
        "macs": "work",
        "moved_bytes": "moved",
        "latency_ms": "ms",
        "peak_gops_per_s": 1.0,
        "bandwidth_gb_per_s": 1.0,
    }
    with pytest.raises(BadInput, match=message):
        roofline_table(table, **(given | change))


def test_a_looped_batch_needs_no_more_cache_than_one_example(run, make_runs) -> None:
    given = {"weight_bytes": 20 * KIB, "input_bytes": 0, "output_bytes": 0, "macs": 10**6, "latency_median_ms": 1.0}
    one = cpu_points(run, make_runs, **given, activation_bytes=10 * KIB).iloc[0]
    eight = cpu_points(
        run, make_runs, **given | {"macs": 8 * 10**6}, activation_bytes=80 * KIB, batch=8, batch_mode="looped"
    ).iloc[0]
    assert one["level"] == eight["level"] == "L1"
    assert one["intensity"] == pytest.approx(eight["intensity"])
    native = cpu_points(run, make_runs, **given, activation_bytes=80 * KIB, batch=8).iloc[0]
    assert native["level"] == "L2"


def test_float16_lies_under_the_roof_of_float32_and_moves_its_unpacked_weights(run, make_runs) -> None:
    stored = 20 * KIB  # in the first-level cache as stored, beyond it as float32
    point = cpu_points(run, make_runs, precision="float16", weight_bytes=stored, activation_bytes=0, macs=1e9).iloc[0]
    assert point["level"] == "L2"
    assert point["level_bytes"] == 2 * stored
    assert point["attainable"] == 40.0


@pytest.mark.parametrize("roofs", [CPU_ROOFS, [roof("compute", "int8", 20.0), *CPU_ROOFS[1:]]])
def test_dynamic_range_lies_under_the_higher_of_int8_and_float32(run, make_runs, roofs: list[Roof]) -> None:
    made = roofline(make_runs(run(precision="dynamic_range", weight_bytes=1000, macs=1e9)), {CPU: roofs})
    assert made.points.iloc[0]["attainable"] == max(roofs[0].value, 40.0)
    assert made.points.iloc[0]["level_bytes"] == 1100
    assert made.notes == ()


def test_a_precisions_own_roof_comes_first_and_a_missing_one_is_told(run, make_runs) -> None:
    rows = make_runs(run(precision="float16", macs=1e9))
    own = [roof("compute", "float16", 75.0), *CPU_ROOFS]
    assert roofline(rows, {CPU: own}).points.iloc[0]["attainable"] == 75.0
    without = [one for one in CPU_ROOFS if one.level != "float32"]
    assert any("no compute roof of float16" in note for note in roofline(rows, {CPU: without}).notes)
