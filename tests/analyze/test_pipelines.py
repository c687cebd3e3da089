"""Speed-up over the fewest devices, and data parallel against pipelines, on tables worked out by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from paraedge.analyze.pipelines import data_or_pipeline, over_fewest, pipeline_rows, winner


def table(rows: list[tuple[str, int | None, str | None, int | None, float | None]]) -> pd.DataFrame:
    """Rows of (spec, segments, strategy, inputs, ms of one input); None of the last is a failed row."""
    made = pd.DataFrame(rows, columns=["spec_id", "segments", "strategy", "inputs", "latency_median_ms"])
    made["segments"], made["inputs"] = made["segments"].astype("Int64"), made["inputs"].astype("Int64")
    status = made["latency_median_ms"].notna().map({True: "ok", False: "failed"})
    return made.assign(device="sim", family="fc", weight_bytes=2**20, status=status)


POINTS = table(
    [
        ("a", 1, None, 50, 8.0), ("a", 2, "params", 50, 5.0), ("a", 2, "optimal", 50, 2.0), ("a", 2, "data", 50, 4.0),
        ("a", 1, None, 1, 8.0), ("a", 2, "optimal", 1, 9.0), ("a", None, None, None, 7.0),
        ("b", 1, None, 50, None), ("b", 2, "optimal", 50, None), ("b", 3, "optimal", 50, 6.0),
        ("b", 3, "params", 50, 8.0), ("b", 6, "optimal", 50, 3.0),
    ]
)  # fmt: skip


def test_what_ran_whole_on_one_device_is_no_pipeline_row() -> None:
    assert len(pipeline_rows(POINTS)) == len(POINTS) - 1
    assert pipeline_rows(POINTS.drop(columns="segments")).empty


def test_speed_up_is_over_the_fewest_devices_with_a_result() -> None:
    found = over_fewest(POINTS).set_index(["spec_id", "segments", "strategy", "inputs"])
    assert found.loc[("a", 2, "optimal", 50), "speedup"] == 4.0
    assert found.loc[("a", 2, "params", 50), "speedup"] == pytest.approx(1.6)
    assert found.loc[("a", 2, "optimal", 1), "speedup"] == pytest.approx(8 / 9)
    six = found.loc[("b", 6, "optimal", 50)]
    assert (six["base_segments"], six["base_ms"], six["speedup"], six["share"]) == (3, 6.0, 2.0, 1.0)
    assert found.loc[("b", 3, "params", 50), "speedup"] == 0.75  # the best cut over as few is the base


def test_only_more_than_as_many_times_is_super_linear() -> None:
    found = over_fewest(POINTS)
    over = found[found["is_superlinear"]]
    assert list(over[["spec_id", "strategy", "inputs"]].itertuples(index=False, name=None)) == [("a", "optimal", 50)]


def test_data_parallel_is_compared_with_the_best_cut_over_as_many() -> None:
    (row,) = data_or_pipeline(POINTS).to_dict(orient="records")
    assert (row["data_ms"], row["pipeline_ms"], row["strategy"], row["ratio"]) == (4.0, 2.0, "optimal", 2.0)
    assert row["winner"] == "pipeline"


def test_a_cut_that_uses_one_device_is_no_pipeline() -> None:
    used = POINTS.assign(devices_used=POINTS["strategy"].map({"optimal": 1}).fillna(POINTS["segments"].astype(float)))
    (row,) = data_or_pipeline(used).to_dict(orient="records")
    assert (row["pipeline_ms"], row["strategy"], row["one_ms"], row["winner"]) == (5.0, "params", 8.0, "data")


@pytest.mark.parametrize(
    ("times", "name"),
    [((8, 4, 2), "pipeline"), ((8, 2, 4), "data"), ((8, 2.02, 2), "even"), ((2.01, 4, 2), "one"), ((1, 4, 2), "one")],
)
def test_the_winner_is_faster_by_more_than_the_margin(times: tuple[float, float, float], name: str) -> None:
    assert winner(*times) == name


def test_where_one_device_has_no_result_it_does_not_win() -> None:
    assert winner(float("nan"), 3.0, 2.0) == "pipeline"


def test_tables_without_rows_have_the_columns() -> None:
    assert {"speedup", "is_superlinear"} <= {*over_fewest(POINTS.iloc[:0]).columns}
    assert {"ratio", "winner"} <= {*data_or_pipeline(POINTS.iloc[:0]).columns}
