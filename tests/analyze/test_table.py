"""Loading tables, and each way in which a file can be bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from paraedge.analyze.plain import plain, plain_dict
from paraedge.analyze.table import good, is_campaign, load_points, load_table, numbers, require_columns
from paraedge.core.errors import BadCampaign, BadInput
from paraedge.core.estimate import Estimate


def test_any_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\ufefflayer, node\n4,32\n8,\n", encoding="utf-8")
    table = load_table(path)
    assert list(table.columns) == ["layer", "node"]
    assert numbers(table, "node").isna().tolist() == [False, True]
    assert not is_campaign(table)
    assert load_points(path).equals(table)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"layer{separator}node\n4{separator}32\n")
    assert load_table(path)["node"].tolist() == [32]


def test_a_campaign_folder_or_its_runs(tmp_path: Path, run: Callable[..., dict[str, object]], make_runs) -> None:
    rows = [
        run(spec_id="0123456789012345", round=0, status="failed", error="run: Timeout: 120 s"),
        run(spec_id="0123456789012345", round=1, latency_median_ms=2.0),
        run(spec_id="0123456789012345", round=0, attempt=2, latency_median_ms=2.0),
    ]
    make_runs(*rows).to_csv(tmp_path / "runs.csv", index=False)
    with (tmp_path / "runs.csv").open("a") as file:
        file.write("torn,0123456789012345,fc")  # killed while writing
    for path in (tmp_path, tmp_path / "runs.csv"):
        table = load_table(path)
        assert is_campaign(table)
        assert table["spec_id"].tolist() == ["0123456789012345"] * 2  # digits stay text
        assert table["status"].tolist() == ["ok", "ok"]  # the last attempt
    assert load_points(tmp_path)["n_rounds"].tolist() == [2]


BAD_FILES = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "binary": (b"\x00\x01\x02TFL3\x00", "binary"),
    "not UTF-8": (b"a,b\n\xff\xfe,1\n", "UTF-8"),
    "only a header": (b"a,b\n", "no rows"),
    "ragged": (b"a,b\n1,2\n1,2,3\n", "can be read"),
    "all rows too long": (b"a,b\n1,2,3\n4,5,6\n", "can be read"),
    "open quote": (b'a,b\n"1,2\n3,4\n', "can be read"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_files_get_one_line(tmp_path: Path, kind: str) -> None:
    content, message = BAD_FILES[kind]
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        load_table(path)
    assert "\n" not in str(caught.value)
    assert "bad.csv" in str(caught.value)


def test_a_missing_file_and_a_folder_that_is_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_table(tmp_path / "nothing.csv")
    with pytest.raises(BadCampaign, match=r"runs\.csv"):
        load_table(tmp_path)


def test_missing_columns_come_with_a_suggestion() -> None:
    table = pd.DataFrame({"layer": [1], "node": [2], "gops_per_s": [3.0]})
    with pytest.raises(BadInput, match="no column 'gops_per_sec'; did you mean 'gops_per_s'"):
        require_columns(table, ["layer", "gops_per_sec"], "t.csv")
    with pytest.raises(BadInput, match="there are: layer, node, gops_per_s"):
        require_columns(table, ["zzz"], "t.csv")


def test_text_where_numbers_must_be() -> None:
    table = pd.DataFrame({"widths": ["512-10", "3"], "ok": [1, None]})
    require_columns(table, ["ok", "widths"], "t.csv")
    require_columns(table, ["ok"], "t.csv", numeric=True)
    with pytest.raises(BadInput, match=r"'widths' of t\.csv must hold numbers, but has '512-10'"):
        require_columns(table, ["widths"], "t.csv", numeric=True)


def test_good_rows_and_numbers() -> None:
    table = pd.DataFrame({"status": ["ok", "failed"], "x": [float("inf"), 1.0]})
    assert len(good(table)) == 1
    assert len(good(table[["x"]])) == 2
    assert numbers(table, "x").isna().tolist() == [True, False]
    assert numbers(table, "absent").isna().all()


def test_results_become_json() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [float("nan"), 2.5], "c": ["x", None]})
    value = {"frame": frame, "estimate": Estimate(value=float("inf"), low=None, high=1.0, unit="ms"), "t": (1, True)}
    assert plain(value) == {
        "frame": [{"a": 1, "b": None, "c": "x"}, {"a": 2, "b": 2.5, "c": None}],
        "estimate": {"value": None, "low": None, "high": 1.0, "unit": "ms"},
        "t": [1, True],
    }
    with pytest.raises(TypeError):
        plain(object())
    with pytest.raises(TypeError):
        plain_dict([1])
