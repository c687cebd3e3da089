"""Campaigns of releases that had fewer columns: read as they are, and given the new columns when resumed."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from paraedge.archive import Archive, Row, read_campaign
from paraedge.archive.columns import ADDED, RESULT, names
from paraedge.core.errors import BadCampaign

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example"


@pytest.fixture
def earlier(tmp_path: Path, make: Callable[..., Row], open_archive: Callable[..., Archive]) -> Path:
    """A campaign of two rows, one failed with an odd text, without the columns that came later."""
    with open_archive(tmp_path) as archive:
        archive.append(make(1))
        archive.append(make(2, error='said "no", twice; é'))
    header, *rows = csv.reader((tmp_path / "runs.csv").read_text().splitlines())
    kept = [index for index, name in enumerate(header) if name not in ADDED]
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([[row[i] for i in kept] for row in (header, *rows)])
    meta = json.loads((tmp_path / "meta.json").read_text())
    meta["columns"] = [column for column in meta["columns"] if column["name"] not in ADDED]
    del meta["stages_columns"]
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    return tmp_path


def test_the_columns_are_ours() -> None:
    assert set(names(RESULT)) >= ADDED
    assert not any(column.filled for column in RESULT if column.name in ADDED)


def test_it_is_read_with_the_new_columns_empty(earlier: Path) -> None:
    runs = read_campaign(earlier).runs
    assert list(runs["status"]) == ["ok", "failed"]
    assert all(runs[name].isna().all() for name in ADDED)


def test_it_is_resumed_and_then_has_them(
    earlier: Path, make: Callable[..., Row], open_archive: Callable[..., Archive], whole: Callable[[Path], object]
) -> None:
    before = pd.read_csv(earlier / "runs.csv", dtype=str)
    with open_archive(earlier) as archive:
        assert len(archive.done) == 2
        archive.append(make(3))
    whole(earlier)
    after = pd.read_csv(earlier / "runs.csv", dtype=str)
    assert set(after.columns) - set(before.columns) == ADDED
    pd.testing.assert_frame_equal(after[before.columns].head(2), before)
    assert len(read_campaign(earlier).runs) == 3
    described = [column["name"] for column in json.loads((earlier / "meta.json").read_text())["columns"]]
    assert described == list(after.columns)


def test_it_may_go_on_with_pipelines(
    earlier: Path, make: Callable[..., Row], open_archive: Callable[..., Archive], whole: Callable[[Path], object]
) -> None:
    assert read_campaign(earlier).stages().empty
    with open_archive(earlier) as archive:
        archive.append(make(1, segments=2))
    whole(earlier)
    campaign = read_campaign(earlier)
    assert campaign.runs["segments"].tolist() == [pd.NA, pd.NA, 2]
    assert campaign.stages()["stage"].tolist() == [1, 2]
    described = json.loads((earlier / "meta.json").read_text())["stages_columns"]
    assert [column["name"] for column in described] == list(campaign.stages().columns)


def test_a_column_of_always_is_still_missed(earlier: Path, open_archive: Callable[..., Archive]) -> None:
    text = (earlier / "runs.csv").read_text()
    (earlier / "runs.csv").write_text(text.replace("status", "state", 1))
    with pytest.raises(BadCampaign, match="status"):
        read_campaign(earlier)
    with pytest.raises(BadCampaign, match="status"):
        open_archive(earlier)


def test_the_shipped_example_is_read() -> None:
    assert len(read_campaign(EXAMPLE).runs) > 100
