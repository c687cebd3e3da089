"""The published tables, rebuilt: how many rows, and whether their networks are those that were measured."""

from __future__ import annotations

import collections
import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from paraedge.calibrate import validate
from paraedge.calibrate.bases import published_problem
from paraedge.calibrate.fit import Problem
from paraedge.calibrate.published import (
    ZOO,
    pipeline_rows,
    pruning_slopes,
    published_rows,
    segment_rows,
    sweep_graph,
    zoo_graph,
)
from paraedge.core.errors import BadInput
from paraedge.tflite import read_graph

TABLES = ("synthetic_sweeps.csv", "latency.csv", "compiled_models.csv")
MILLION_MACS = {
    "MobileNetV1_25": 14,
    "MobileNetV1_50": 77,
    "MobileNetV1_75": 239,
    "MobileNetV1": 569,
    "MobileNetV2": 300,
    "InceptionV3": 5713,
}
"""As published: tensorflow/models, slim's tables of MobileNetV1 and V2; Inception's 5.7 billion, to the digits here."""


def test_rows_by_host(published: Problem) -> None:
    hosts = collections.Counter(row.host for row in published.rows)
    assert hosts == {
        "sim-edgetpu-pcie": 104,
        **dict.fromkeys(("sim-edgetpu-usb3", "sim-edgetpu-devboard", "sim-edgetpu-usb2"), 6),
        **dict.fromkeys(("macOS, USB 3", "Windows, PCIe"), 6),
        **dict.fromkeys(("Xeon E5, USB 3", "Raspberry Pi 4B, USB 3", "Dev Board in Python, PCIe"), 2),
        **dict.fromkeys(("Raspberry Pi 3B, USB 2", "Raspberry Pi 3B+, USB 2"), 2),
    }
    assert collections.Counter(row.series for row in published.counted.byte_rows) == {
        "FC segments": 280,
        "CONV segments": 402,
    }
    models = collections.Counter((row.host, row.case) for row in published.rows if row.case is not None)
    assert set(models.values()) == {1}
    sources = [row.source for row in published.rows]
    assert len(set(sources)) == len(sources)


def test_latencies_are_the_tables(published: Problem, edgetpu_data: Path) -> None:
    with (edgetpu_data / "latency.csv").open(newline="") as file:
        lines = [
            line for line in csv.DictReader(file) if "DevBoardMini" in line["source"] and "CPU" not in line["interface"]
        ]
    told = {line["model"]: float(line["value_ms"]) for line in lines if line["model"] in ZOO}
    assert {row.case: row.latency_ms for row in published.rows if row.host == "sim-edgetpu-usb2"} == told
    assert told


def test_every_sweeps_network_does_the_macs_of_its_row(edgetpu_data: Path) -> None:
    """All 445, the two-device ones with an input of 8 channels."""
    with (edgetpu_data / "synthetic_sweeps.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 445
    for line in lines:
        channels = 3 if line["tpus"] == "1" else 8
        graph = sweep_graph(line["kind"], int(line["filters_or_neurons"]), channels)
        assert graph.macs == int(line["macs"]), line


@pytest.mark.parametrize("name", ZOO)
def test_the_suites_models_do_the_macs_that_are_published(name: str) -> None:
    graph = zoo_graph(name)
    assert round((graph.macs or 0) / 1e6) == pytest.approx(MILLION_MACS[name], abs=1)
    assert graph.tensors[graph.inputs[0]].dtype == "uint8"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("MobileNetV1_25", "mobilenet_v1_0.25_128_quant"),
        ("MobileNetV1_50", "mobilenet_v1_0.5_160_quant"),
        ("MobileNetV1_75", "mobilenet_v1_0.75_192_quant"),
        ("MobileNetV2", "mobilenet_v2_1.0_224_quant"),
    ],
)
def test_and_those_of_their_files(name: str, file: str, edgetpu_data: Path) -> None:
    assert zoo_graph(name).macs == read_graph(edgetpu_data / "models" / f"{file}.tflite").macs


def test_segments_hold_what_their_row_says(edgetpu_data: Path) -> None:
    """Both segments of a cut do the MACs of the whole, and each has about the parameters that the compiler told."""
    with (edgetpu_data / "synthetic_sweeps.csv").open(newline="") as file:
        lines = {f"synthetic_sweeps.csv:{number}": line for number, line in enumerate(csv.DictReader(file), start=2)}
    rows = list(segment_rows(pipeline_rows(edgetpu_data)))
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first.source == second.source
        assert len(first.graph.layers) + len(second.graph.layers) == 5
        assert (first.graph.macs or 0) + (second.graph.macs or 0) == int(lines[first.source]["macs"])
    off = [abs(row.size - (row.graph.weight_bytes or 0) / 2**20) / row.size for row in rows if row.size > 1]
    assert sorted(off)[len(off) // 2] < 0.1


def test_pruning_slopes_by_hand(tmp_path: Path) -> None:
    """The median of the slopes of all pairs; rows that stream nothing are left out, and so are lone ones."""
    header = "source,model,input,interface,host,metric,value_ms,notes\n"
    row = 's,{} pruned {}%,,USB3,h,m,{},"on-chip 5 MiB, off-chip {} MiB."\n'
    points = [("a", 0, 12.0, 3), ("a", 10, 8.0, 1), ("a", 20, 9.5, 2), ("a", 30, 1.0, 0), ("b", 0, 5.0, 2)]
    (tmp_path / "latency.csv").write_text(header + "".join(row.format(*point) for point in points))
    assert pruning_slopes(tmp_path) == {"a": (pytest.approx(2.0), 3)}  # slopes 1.5, 2.0 and 2.5


# --- damaged tables ---


@pytest.fixture
def copy(edgetpu_data: Path, tmp_path: Path) -> Path:
    """The tables, with the models beside them."""
    for name in TABLES:
        shutil.copyfile(edgetpu_data / name, tmp_path / name)
    (tmp_path / "models").symlink_to(edgetpu_data / "models")
    return tmp_path


def edited(path: Path, change: Callable[[list[dict[str, str]]], object]) -> None:
    """Write the table again, its lines changed in place."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    change(lines)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def refuses(folder: Path, *names: str) -> None:
    with pytest.raises(BadInput) as caught:
        validate(folder)
    assert len(str(caught.value).splitlines()) == 1
    for name in names:
        assert name in str(caught.value)


def test_the_copy_itself_is_good(copy: Path, published: Problem) -> None:
    assert published_rows(copy) == list(published.rows)


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_cannot_be_read(copy: Path, name: str) -> None:
    path = copy / name
    header = path.read_text().splitlines()[0]
    for content in (b"", b"\n\n", header.encode(), b"\xff\xfe\x00", b'a,b\n"'):
        path.write_bytes(content)
        refuses(copy, name)
    path.unlink()
    refuses(copy, name)
    path.mkdir()
    refuses(copy, name)
    path.rmdir()
    os.mkfifo(path)
    refuses(copy, name)


COLUMNS = {
    "synthetic_sweeps.csv": (
        *("kind", "filters_or_neurons", "tpus", "segmentation", "batch"),
        *("onchip_mib_per_segment", "offchip_mib_per_segment", "ms_per_input"),
    ),
    "latency.csv": ("source", "model", "interface", "host", "value_ms", "notes"),
    "compiled_models.csv": ("file", "type", "instr_bytes", "est_cycles64"),
}


@pytest.mark.parametrize(("name", "column"), [(name, column) for name in COLUMNS for column in COLUMNS[name]])
def test_a_missing_column(copy: Path, name: str, column: str) -> None:
    edited(copy / name, lambda lines: [line.pop(column) for line in lines])
    refuses(copy, name, column)


@pytest.mark.parametrize(
    ("name", "column", "text"),
    [
        ("synthetic_sweeps.csv", "filters_or_neurons", "many"),
        ("synthetic_sweeps.csv", "filters_or_neurons", "1.5"),
        ("synthetic_sweeps.csv", "filters_or_neurons", "-64"),
        ("synthetic_sweeps.csv", "filters_or_neurons", ""),
        ("synthetic_sweeps.csv", "kind", "RNN"),
        ("synthetic_sweeps.csv", "batch", "0"),
        ("synthetic_sweeps.csv", "ms_per_input", "fast"),
        ("synthetic_sweeps.csv", "ms_per_input", "0"),
        ("synthetic_sweeps.csv", "ms_per_input", "-1"),
        ("synthetic_sweeps.csv", "ms_per_input", "nan"),
        ("synthetic_sweeps.csv", "ms_per_input", "inf"),
        ("synthetic_sweeps.csv", "onchip_mib_per_segment", "none"),
        ("synthetic_sweeps.csv", "onchip_mib_per_segment", "1;2;3"),
        ("synthetic_sweeps.csv", "offchip_mib_per_segment", "nan"),
        ("latency.csv", "value_ms", "1,5"),
        ("latency.csv", "value_ms", ""),
        ("compiled_models.csv", "instr_bytes", "lots"),
        ("compiled_models.csv", "instr_bytes", "0"),
    ],
)
def test_text_in_place_of_a_number(copy: Path, name: str, column: str, text: str) -> None:
    edited(copy / name, lambda lines: [line.update({column: text}) for line in lines])
    refuses(copy, name, column, ":")


def test_a_size_beyond_all_bounds(copy: Path) -> None:
    edited(copy / "synthetic_sweeps.csv", lambda lines: lines[3].update(filters_or_neurons="99999999999"))
    refuses(copy, "synthetic_sweeps.csv:5")


def test_tables_without_what_is_needed(copy: Path) -> None:
    edited(copy / "synthetic_sweeps.csv", lambda lines: [line.update(tpus="2") for line in lines])
    refuses(copy, "synthetic_sweeps.csv", "tpus")


def test_without_the_compiled_models_there_are_no_instruction_bytes(copy: Path) -> None:
    (copy / "models").unlink()
    refuses(copy, "compiled_models.csv", "models")
    assert published_rows(copy)
    with pytest.raises(BadInput):
        published_problem(copy)
