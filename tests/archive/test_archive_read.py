"""What is written comes back: through read_campaign, and through pandas and the csv module without options."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge.archive import Archive, Row, read_campaign
from paraedge.core.errors import BadCampaign

Open = Callable[..., Archive]
Make = Callable[..., Row]

texts = st.text(max_size=60)
attempts = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(1, 9), st.none() | texts), max_size=8, unique_by=lambda item: item[0]
)


@given(attempts)
@settings(max_examples=60, deadline=None)
def test_rows_come_back(make: Make, open_archive: Open, wanted: list[tuple[int, int, str | None]]) -> None:
    rows = [make(node, blocks=blocks, error=error) for node, blocks, error in wanted]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_archive(folder) as archive:
            for row in rows:
                archive.append(row)
        with open_archive(folder) as archive:
            assert archive.done == {row.key for row in rows}
            assert archive.failed == {row.key for row in rows if row.status == "failed"}
        campaign = read_campaign(folder)
        samples = campaign.samples()
    assert list(campaign.runs["run_id"]) == [row.run_id for row in rows]
    for row, (_, found) in zip(rows, campaign.runs.iterrows(), strict=True):
        for column, cell in found.items():
            _assert_same(row.cells.get(str(column)), cell)
    expected = [(r.run_id, i, b.invokes, b.duration_ns) for r in rows for i, b in enumerate(r.blocks)]
    assert list(samples.itertuples(index=False, name=None)) == expected


def _assert_same(written: object, found: object) -> None:
    if written is None or written == "":
        assert pd.isna(found)
    elif isinstance(written, float):
        assert found == pytest.approx(written, rel=1e-8)
    elif isinstance(written, str):
        assert _visible(str(found)) == _visible(written)
    else:
        assert found == written


def _visible(text: str) -> str:
    """Control characters and spaces may become other spaces; all else must come back."""
    return "".join(c for c in text if c.isprintable() and not c.isspace())


def test_text_that_is_no_unicode(tmp_path: Path, make: Make, open_archive: Open) -> None:
    """An error from the system may hold bytes that no encoding explains."""
    with open_archive(tmp_path) as archive:
        archive.append(make(1, error='b\udcffd\0 \x1b[0m, "1"'))
    assert read_campaign(tmp_path).runs["error"][0] == 'run: MemoryError: b?d   [0m, "1"'


@pytest.fixture
def campaign(tmp_path: Path, make: Make, open_archive: Open) -> Path:
    with open_archive(tmp_path) as archive:
        archive.append(make(64, blocks=8))
        archive.append(make(128, error='said "no", twice; NA'))
        archive.append(make(128, attempt=2))
        archive.append(make(128, number=2))
    return tmp_path


def test_last_attempt_counts(campaign: Path) -> None:
    found = read_campaign(campaign)
    assert list(found.attempts["attempt"]) == [1, 1, 2, 1]
    assert list(found.runs["status"]) == ["ok", "ok", "ok"]
    assert list(found.runs["round"]) == [1, 1, 2]
    assert (found.name, found.meta["name"], found.folder) == ("test", "test", campaign)


def test_types(campaign: Path) -> None:
    types = read_campaign(campaign).runs.dtypes
    assert {name: str(types[name]) for name in ("batch", "round", "attempt")} == dict.fromkeys(
        ("batch", "round", "attempt"), "int64"
    )
    assert {str(types[name]) for name in ("layer", "node", "threads", "macs", "samples", "off_chip_bytes")} == {"Int64"}
    assert {str(types[name]) for name in ("latency_median_ms", "gops_per_s", "cpu_ms")} == {"float64"}
    assert not any(pd.api.types.is_numeric_dtype(types[name]) for name in ("widths", "error", "spec_id", "kernels"))


def test_identities_that_look_like_numbers_stay_texts(campaign: Path) -> None:
    text = (campaign / "runs.csv").read_text()
    identity = text.splitlines()[1].split(",")[1]
    (campaign / "runs.csv").write_text(text.replace(identity, "00123456789012e4"))
    assert read_campaign(campaign).runs["spec_id"][0] == "00123456789012e4"


def test_pandas_without_options(campaign: Path) -> None:
    table, found = pd.read_csv(campaign / "runs.csv"), read_campaign(campaign).attempts
    assert list(table.columns) == list(found.columns)
    assert len(table) == 4
    assert table["latency_median_ms"].dtype == np.float64
    assert table["error"].isna().tolist() == [True, False, True, True]
    assert table["error"][1] == 'run: MemoryError: said "no", twice; NA'
    pd.testing.assert_series_equal(table["latency_mean_ms"], found["latency_mean_ms"])
    assert list(pd.read_csv(campaign / "samples.csv")["block"]) == [*range(8), 0, 1, 2, 0, 1, 2]


def test_sniffer_sees_a_comma_and_a_header(campaign: Path) -> None:
    for file in ("runs.csv", "samples.csv"):
        text = (campaign / file).read_text()
        assert csv.Sniffer().sniff(text).delimiter == ","
        assert csv.Sniffer().has_header(text)


def test_reading_changes_nothing_and_ignores_what_is_half_written(
    campaign: Path, make: Make, open_archive: Open
) -> None:
    with open_archive(campaign) as archive:
        archive.append(make(256))
        for file in ("runs.csv", "samples.csv"):
            with (campaign / file).open("a") as half:
                half.write("r12345,0")
        before = {path.name: path.read_bytes() for path in campaign.iterdir()}
        found = read_campaign(campaign)
        assert len(found.attempts) == 5
        assert len(found.samples()) == 8 + 3 * 3
        assert {path.name: path.read_bytes() for path in campaign.iterdir()} == before


def test_campaign_without_rows_has_all_columns(tmp_path: Path, open_archive: Open) -> None:
    open_archive(tmp_path).close()
    found = read_campaign(tmp_path)
    assert len(found.runs) == len(found.samples()) == 0
    assert {"latency_median_ms", "layer", "error"} <= set(found.runs.columns)
    assert str(found.runs["macs"].dtype) == "Int64"


def test_what_is_no_campaign(tmp_path: Path, campaign: Path) -> None:
    with pytest.raises(BadCampaign, match=r"no meta\.json; make one with `paraedge run`"):
        read_campaign(tmp_path / "nowhere")
    (campaign / "runs.csv").rename(campaign / "other.csv")
    with pytest.raises(BadCampaign, match=r"has no runs\.csv"):
        read_campaign(campaign)
    (campaign / "runs.csv").write_text("")
    with pytest.raises(BadCampaign, match="is empty"):
        read_campaign(campaign)
    (campaign / "runs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadCampaign, match="lacks run_id"):
        read_campaign(campaign)


def test_importing_and_writing_load_nothing_heavy() -> None:
    script = "import sys, paraedge.archive; print(sorted({'pandas', 'numpy', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_stages_come_back(tmp_path: Path, make: Make, open_archive: Open) -> None:
    device = 'host, "b" é'
    rows = [make(1), make(2, segments=1), make(3, segments=3, device=device), make(3, segments=2, error="no")]
    with open_archive(tmp_path) as archive:
        archive.append(rows[0])
        assert not (tmp_path / "stages.csv").exists()
        for row in rows[1:]:
            archive.append(row)
    with open_archive(tmp_path) as archive:
        assert archive.done == {row.key for row in rows}
    campaign = read_campaign(tmp_path)
    expected = [(row.run_id, *line) for row in rows for line in row.stages]
    assert list(campaign.stages().itertuples(index=False, name=None)) == [pytest.approx(line) for line in expected]
    assert set(campaign.stages()["device"]) == {"cpu", device}
    assert campaign.runs["strategy"].tolist()[2:] == ["params", "params"]
    assert campaign.runs[["segments", "inputs"]].to_numpy().tolist() == [[pd.NA, pd.NA], [1, 10], [3, 10], [2, 10]]


def test_a_model_has_a_row_for_each_way_it_is_spread(tmp_path: Path, make: Make, open_archive: Open) -> None:
    with open_archive(tmp_path) as archive:
        for segments in (None, 1, 2, 3):
            archive.append(make(1, segments=segments))
    assert len(read_campaign(tmp_path).runs) == 4
