"""Heat maps against a brute-force pivot."""

from __future__ import annotations

import statistics

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge.analyze.heatmap import NOT_IN_GRID, heatmap
from paraedge.core.errors import BadInput

cells = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(["a", "b", "c"]), st.one_of(st.none(), st.floats(-9, 9)), st.booleans()
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=80, deadline=None)
@given(cells)
def test_equals_brute_force(rows: list[tuple[int, str, float | None, bool]]) -> None:
    table = pd.DataFrame(
        [(x, y, z if ok else None, "ok" if ok else "failed", None if ok else f"e{x}") for x, y, z, ok in rows],
        columns=["x", "y", "z", "status", "error"],
    ).astype({"z": float})
    found = heatmap(table, "x", "y", "z")
    assert found.x_values == tuple(sorted({row[0] for row in rows}))
    assert found.y_values == tuple(sorted({row[1] for row in rows}))
    for i, y in enumerate(found.y_values):
        for j, x in enumerate(found.x_values):
            here = [row for row in rows if row[:2] == (x, y)]
            values = [z for _, _, z, ok in here if ok and z is not None]
            assert found.counts[i][j] == len(values)
            assert found.failed[i][j] == sum(not row[3] for row in here)
            if values:
                assert found.matrix[i][j] == pytest.approx(statistics.median(values))
                assert found.reasons[i][j] is None
                continue
            assert found.matrix[i][j] is None
            failed = any(not row[3] for row in here)
            assert found.reasons[i][j] == (f"failed: e{x}" if failed else "no number" if here else NOT_IN_GRID)


def test_holes_of_a_campaign_are_named(run, make_runs) -> None:
    table = make_runs(
        run(layer=4, node=32, gops_per_s=1.0), run(layer=8, node=32, gops_per_s=2.0),
        run(layer=8, node=64, status="failed", error="open: MemoryError: 8 GiB"),
        run(family="conv_stack", layer=5, node=None, kernel=3, gops_per_s=9.0),
    )  # fmt: skip
    found = heatmap(table, "node", "layer", "gops_per_s").as_dict()
    assert found["x_values"] == [32, 64]
    assert found["y_values"] == [4, 8]
    assert found["matrix"] == [[1.0, None], [2.0, None]]
    assert found["reasons"] == [[None, NOT_IN_GRID], [None, "failed: open: MemoryError: 8 GiB"]]
    assert found["origins"] == ["measured"]
    assert found["notes"] == ["1 rows have no node or no layer and are left out"]


def test_a_plain_csv_has_no_status() -> None:
    table = pd.DataFrame({"x": [1, 1, 2], "y": [1, 1, 1], "z": [1.0, 3.0, None]})
    found = heatmap(table, "x", "y", "z")
    assert found.matrix == ((2.0, None),)
    assert found.reasons == ((None, "no number"),)
    assert found.notes == ("1 cells hold the median of several points",)


@pytest.mark.parametrize(
    ("x", "y", "z", "message"),
    [
        ("x", "x", "z", "both 'x'"),
        ("x", "w", "z", "no column 'w'"),
        ("x", "y", "text", "must hold numbers"),
        ("empty", "y", "z", "no row of the table has both"),
    ],
)
def test_bad_input(x: str, y: str, z: str, message: str) -> None:
    table = pd.DataFrame({"x": [1], "y": [2], "z": [3.0], "text": ["a"], "empty": [None]})
    with pytest.raises(BadInput, match=message):
        heatmap(table, x, y, z)
