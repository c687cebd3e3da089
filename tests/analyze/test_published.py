"""Published multi-device rows: a table made up for the arithmetic, and the real one where it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paraedge.analyze.published import FILE, published_speedups
from paraedge.core.errors import BadInput

HEADER = (
    "source,kind,filters_or_neurons,macs,tpus,segmentation,batch,onchip_mib_per_segment,offchip_mib_per_segment,"
    "ms_per_input\n"
)


def test_two_devices_over_one_of_the_same_size(tmp_path: Path) -> None:
    rows = (
        "s,FC,100,1000,1,none,1,0.5,0.0,2.0\n"
        "s,FC,100,1000,2,default rule,1,0.25;0.25,0.0;0.5,4.0\n"
        "s,FC,100,1000,2,profiled,50,0.25;0.25,0.0;0.0,0.5\n"
        "s,FC,140,2000,2,profiled,50,0.25;0.25,0.0;0.0,0.5\n"  # no single device of this size
    )
    (tmp_path / FILE).write_text(HEADER + rows)
    found = published_speedups(tmp_path)
    columns = ["family", "size", "weight_mib", "segments", "strategy", "inputs", "speedup"]
    assert found[columns].values.tolist() == [
        ["fc", 100, 1.0, 2, "params", 1, 0.5],
        ["fc", 100, 0.5, 2, "profiled", 50, 4.0],
    ]


def test_a_file_without_the_columns_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="kind"):
        published_speedups(tmp_path)
    with pytest.raises(BadInput, match="no published rows"):
        published_speedups(tmp_path / "nowhere")
    (tmp_path / FILE).write_text(HEADER + "s,FC,100,1000,2,none,1,many;0.1,0.0;0.0,2.0\n")
    with pytest.raises(BadInput, match="MiB of each segment"):
        published_speedups(tmp_path / FILE)


def test_the_published_file(edgetpu_data: Path) -> None:
    found = published_speedups(edgetpu_data)
    raw = pd.read_csv(edgetpu_data / FILE)
    one = raw[(raw["kind"] == "FC") & (raw["filters_or_neurons"] == 1380) & (raw["tpus"] == 1)]["ms_per_input"]
    two = raw[(raw["kind"] == "FC") & (raw["filters_or_neurons"] == 1380) & (raw["tpus"] == 2) & (raw["batch"] == 50)]
    mine = found[(found["family"] == "fc") & (found["size"] == 1380) & (found["inputs"] == 50)]
    assert mine["speedup"].tolist() == pytest.approx([one.median() / ms for ms in two["ms_per_input"]])
    assert {*found["strategy"]} == {"params", "profiled"}
