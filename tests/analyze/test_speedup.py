"""Speed-ups against a brute-force join."""

from __future__ import annotations

import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from paraedge.analyze.speedup import direction_of, speedup
from paraedge.core.errors import BadInput

rows = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.one_of(st.none(), st.just(0.0), st.floats(1e-9, 1e3))),
    min_size=1,
    max_size=25,
)


def frame(values: list[tuple[int, int, float | None]], metric: str) -> pd.DataFrame:
    return pd.DataFrame(values, columns=["layer", "node", metric])


def brute_force(
    base: list[tuple[int, int, float | None]], new: list[tuple[int, int, float | None]], *, higher: bool
) -> dict[str, object]:
    sides = []
    for side in (base, new):
        cells: dict[tuple[int, int], list[float]] = {}
        for layer, node, value in side:
            cells.setdefault((layer, node), [])
            if value is not None:
                cells[layer, node].append(value)
        sides.append({key: statistics.median(found) if found else None for key, found in cells.items()})
    left, right = sides
    common = [key for key in left if key in right]
    usable = [(left[k], right[k]) for k in common if left[k] and right[k]]
    ratios = [b / a if higher else a / b for a, b in usable]
    return {"ratios": ratios, "common": len(common), "only": (len(left) - len(common), len(right) - len(common))}


@settings(max_examples=80, deadline=None)
@given(base=rows, new=rows, metric=st.sampled_from(["examples_per_s", "latency_median_ms"]))
def test_equals_brute_force(
    base: list[tuple[int, int, float | None]], new: list[tuple[int, int, float | None]], metric: str
) -> None:
    expected = brute_force(base, new, higher=metric == "examples_per_s")
    tables = frame(base, metric).astype({metric: float}), frame(new, metric).astype({metric: float})
    ratios = expected["ratios"]
    if not ratios:
        with pytest.raises(BadInput, match="match"):
            speedup(*tables, ["layer", "node"], metric)
        return
    found = speedup(*tables, ["layer", "node"], metric)
    assert found.count == len(ratios)
    assert found.excluded == expected["common"] - len(ratios)
    assert (found.unmatched_base, found.unmatched_new) == expected["only"]
    assert sorted(found.pairs["speedup"]) == pytest.approx(sorted(ratios))
    assert found.mean == pytest.approx(np.mean(ratios))
    assert found.median == pytest.approx(np.median(ratios))
    assert found.geometric_mean == pytest.approx(stats.gmean(ratios))
    assert (found.min, found.max) == pytest.approx((min(ratios), max(ratios)))
    assert found.share_above_1 == pytest.approx(sum(r > 1 for r in ratios) / len(ratios))


def test_by_hand() -> None:
    base = frame([(4, 1, 10.0), (8, 1, 20.0), (16, 1, 5.0), (32, 1, 1.0)], "examples_per_s")
    new = frame([(4, 1, 20.0), (8, 1, 10.0), (16, 1, 40.0), (64, 1, 9.0)], "examples_per_s")
    found = speedup(base, new, ["layer", "node"], "examples_per_s", base_name="a.csv", new_name="b.csv").as_dict()
    assert found["count"] == 3
    assert found["mean"] == pytest.approx(3.5)
    assert found["median"] == 2.0
    assert found["geometric_mean"] == pytest.approx(2.0)
    assert found["share_above_1"] == pytest.approx(2 / 3)
    assert (found["unmatched_base"], found["unmatched_new"]) == (1, 1)
    assert found["direction"] == "higher is better"
    assert found["pairs"][0] == {"layer": 4, "node": 1, "base": 10.0, "new": 20.0, "speedup": 2.0}


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("gops_per_s", "higher"), ("examples_per_s", "higher"), ("latency_median_ms", "lower"), ("first_ms", "lower"),
        ("block_ns", "lower"), ("latency", "lower"), ("time", "lower"), ("run_time_s", "lower"), ("gops", "higher"),
        ("invokes_per_ms", "higher"), ("timeouts", "higher"),
    ],
)  # fmt: skip
def test_direction(metric: str, direction: str) -> None:
    assert direction_of(metric).startswith(direction)


def test_failed_rows_match_nothing(run, make_runs) -> None:
    base = make_runs(run(spec_id="a"), run(spec_id="b"))
    new = make_runs(run(spec_id="a", latency_median_ms=0.5), run(spec_id="b", status="failed"))
    found = speedup(base, new, ["spec_id"], "latency_median_ms")
    assert (found.count, found.unmatched_base, found.unmatched_new) == (1, 1, 0)
    assert found.mean == 2.0
    assert found.origins == {"base": ("measured",), "new": ("measured",)}
    assert found.pairs["parameters"].tolist() == [1000]  # for a scatter


def test_duplicates_are_noted_and_other_devices_refused(run, make_runs) -> None:
    base = make_runs(run(round=0, latency_median_ms=1.0), run(round=1, latency_median_ms=3.0))
    new = make_runs(run(latency_median_ms=1.0))
    found = speedup(base, new, ["layer", "node"], "latency_median_ms")
    assert found.mean == 2.0
    assert found.notes == ("2 rows of base share their keys with others; the median of each key counts",)
    mixed = make_runs(run(), run(device="sim-edgetpu-pcie", origin="simulated"))
    with pytest.raises(BadInput, match=r"different device \(cpu, sim-edgetpu-pcie\)"):
        speedup(mixed, new, ["layer", "node"], "latency_median_ms")


def test_rows_without_any_key_are_left_out() -> None:
    base = pd.DataFrame({"layer": [1, None, None], "node": [1, None, 2], "gops": [1.0, 5.0, 2.0]})
    found = speedup(base, base, ["layer", "node"], "gops")
    assert found.count == 2
    assert "1 rows of base have none of the key columns and are left out" in found.notes


@pytest.mark.parametrize(
    ("on", "metric", "message"),
    [
        ([], "gops", "at least one column"),
        (["gops"], "gops", "both the metric"),
        (["layre"], "gops", "did you mean 'layer'"),
        (["layer"], "kind", "must hold numbers"),
        (["layer"], "gops", "no row matches on layer: base has e.g. layer=1; new has e.g. layer=2"),
    ],
)
def test_bad_input(on: list[str], metric: str, message: str) -> None:
    base = pd.DataFrame({"layer": [1], "kind": ["x"], "gops": [1.0]})
    with pytest.raises(BadInput, match=message):
        speedup(base, base.assign(layer=2), on, metric)


def test_text_never_matches_numbers() -> None:
    base = pd.DataFrame({"layer": [1], "gops": [1.0]})
    with pytest.raises(BadInput, match="holds text in new and numbers"):
        speedup(base, base.assign(layer="one"), ["layer"], "gops")


def test_nothing_good() -> None:
    base = pd.DataFrame({"layer": [1], "gops": [1.0], "status": ["failed"]})
    with pytest.raises(BadInput, match="base has no good rows"):
        speedup(base, base, ["layer"], "gops")
