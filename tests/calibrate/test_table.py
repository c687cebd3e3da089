"""A user's measurements: what is read of each kind of table, what is refused, and in which words."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compiled_files import compiled_model

from paraedge import models
from paraedge.calibrate.table import check_published, is_published, read_table
from paraedge.core.device import Origin
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Placement
from paraedge.core.spec import ModelSpec
from paraedge.models import CnnParams, ConvStackParams, FcParams
from paraedge.models.zoo import ZooParams
from paraedge.simulate import Hardware
from paraedge.tflite import write_model

Make = Callable[..., Any]
MIB = 1 << 20
PLACED = Placement(
    source="compiler", on_device=(0, 1), on_cpu=(), on_chip=None, off_chip=None,
    on_chip_bytes=3 * MIB, off_chip_bytes=MIB // 2, reasons={},
)  # fmt: skip
OWN = "family,layer,node,latency_ms\nfc,4,512,0.3\nfc,4,1024,0.4\nfc,4,2048,18\n"


def fc(node: int) -> object:
    return models.build_graph(ModelSpec(family="fc", params=FcParams(layer=4, node=node)))


def refused(path: Path, base: Hardware, *words: str, device: str | None = None) -> None:
    with pytest.raises(BadInput) as caught:
        read_table(path, base, device=device)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


# --- a campaign ---


def test_a_campaign_is_its_good_measured_points(campaign: Make, attempt: Make, base: Hardware) -> None:
    sizes = (512, 1024, 2048)
    latencies = {512: (0.3, 0.5, 0.31), 1024: (0.4, 0.42, 0.9), 2048: (18, 18.5, 17)}
    folder = campaign(
        *(attempt(node=n, latency_ms=latencies[n][i], round=i + 1) for i in range(3) for n in sizes),
        attempt(node=4096, latency_ms=None),
        attempt(node=512, latency_ms=9.0, device="cpu"),
        attempt(node=512, latency_ms=7.0, device="sim-edgetpu-usb3", origin=Origin.SIMULATED),
    )
    for path in (folder, folder / "runs.csv"):
        rows = read_table(path, base)
        assert [row.latency_ms for row in rows] == pytest.approx([0.31, 0.42, 18])
        assert [row.graph for row in rows] == [fc(n) for n in sizes]
        assert {row.host for row in rows} == {"edgetpu:0"}
        assert {(row.on_chip_mib, row.off_chip_mib) for row in rows} == {(None, None)}
        assert rows[0].source == "runs.csv:2"


def test_a_looped_batch_is_so_many_invokes_of_one(campaign: Make, attempt: Make, base: Hardware) -> None:
    rows = read_table(campaign(*(attempt(node=n, latency_ms=0.25, batch=8) for n in (64, 128, 256))), base)
    assert [row.latency_ms for row in rows] == pytest.approx([0.25] * 3)
    assert [row.graph for row in rows] == [fc(n) for n in (64, 128, 256)]


def test_the_compilers_bytes_are_taken_estimated_ones_not(campaign: Make, attempt: Make, base: Hardware) -> None:
    guessed = Placement(**{**vars(PLACED), "source": "estimated"})
    rows = read_table(
        campaign(
            attempt(node=64, latency_ms=1, placement=PLACED),
            attempt(node=128, latency_ms=2, placement=guessed),
            attempt(node=256, latency_ms=3),
        ),
        base,
    )
    assert [(row.on_chip_mib, row.off_chip_mib) for row in rows] == [(3.0, 0.5), (None, None), (None, None)]


def test_a_point_with_ops_on_the_cpu_is_none_of_the_chips(campaign: Make, attempt: Make, base: Hardware) -> None:
    mixed = Placement(**{**vars(PLACED), "on_cpu": (2,)})
    folder = campaign(
        *(attempt(node=n, latency_ms=1, placement=PLACED) for n in (64, 128, 256)),
        attempt(node=512, latency_ms=1, placement=mixed),
    )
    assert len(read_table(folder, base)) == 3


def test_the_last_attempt_of_a_round_counts(campaign: Make, attempt: Make, base: Hardware) -> None:
    folder = campaign(
        *(attempt(node=n, latency_ms=None) for n in (64, 128, 256)),
        *(attempt(node=n, latency_ms=2.0, attempt=2) for n in (64, 128, 256)),
    )
    assert [row.latency_ms for row in read_table(folder, base)] == [2.0, 2.0, 2.0]


def test_a_pipeline_on_the_device_is_no_row_of_it(campaign: Make, attempt: Make, base: Hardware) -> None:
    path = campaign(*(attempt(node=n, latency_ms=0.5) for n in (512, 1024, 2048))) / "runs.csv"
    header, *rows = csv.reader(path.read_text().splitlines())
    at = {name: header.index(name) for name in ("segments", "inputs", "latency_median_ms")}
    for row in list(rows):
        piped = list(row)
        for name, cell in (("segments", "1"), ("inputs", "50"), ("latency_median_ms", "99")):
            piped[at[name]] = cell
        rows.append(piped)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    assert [row.latency_ms for row in read_table(path, base)] == [0.5, 0.5, 0.5]


def test_a_torn_last_line_is_not_read(campaign: Make, attempt: Make, base: Hardware) -> None:
    folder = campaign(*(attempt(node=n, latency_ms=n / 64) for n in (64, 128, 256, 512)))
    path = folder / "runs.csv"
    data = path.read_bytes()
    for cut in (1, 20, len(data.splitlines()[-1])):
        path.write_bytes(data[:-cut])
        assert [row.latency_ms for row in read_table(path, base)] == [1.0, 2.0, 4.0]


def test_several_devices_are_told_apart(campaign: Make, attempt: Make, base: Hardware) -> None:
    folder = campaign(
        *(attempt(node=n, latency_ms=1.0 + i, device=f"edgetpu:{i}") for n in (64, 128, 256) for i in range(2))
    )
    refused(folder, base, "edgetpu:0, edgetpu:1", "--device")
    assert [row.latency_ms for row in read_table(folder, base, device="edgetpu:1")] == [2.0, 2.0, 2.0]
    refused(folder, base, "edgetpu:7", "edgetpu:0", device="edgetpu:7")


def test_simulated_campaigns_are_refused(campaign: Make, attempt: Make, base: Hardware) -> None:
    simulated = [attempt(node=n, latency_ms=1, device="sim-edgetpu-usb3", origin=Origin.SIMULATED) for n in (64, 128)]
    refused(campaign(*simulated), base, "simulated", "measure")


@pytest.mark.parametrize(("device", "refuses"), [("edgetpu:0", True), ("edgetpu:1", False)])
def test_a_campaign_of_a_made_up_device_is_refused(
    device: str, refuses: bool, campaign: Make, attempt: Make, base: Hardware
) -> None:
    """As meta.json tells where a test's files stood in for the host's; a table without its campaign can't tell."""
    folder = campaign(*(attempt(node=n, latency_ms=1) for n in (64, 128, 256)))
    meta = json.loads((folder / "meta.json").read_text())
    meta["devices"] = {device: {"details": {"sysfs": "made up: PARAEDGE_ROOT is set"}}, "cpu": None}
    (folder / "meta.json").write_text(json.dumps(meta))
    if refuses:
        refused(folder, base, "meta.json", "no real device", device)
        (folder / "meta.json").unlink()
    assert len(read_table(folder, base)) == 3


def test_a_campaign_of_the_cpu_is_refused(campaign: Make, attempt: Make, base: Hardware) -> None:
    refused(campaign(*(attempt(node=n, latency_ms=1, device="cpu") for n in (64, 128, 256))), base, "edgetpu")


# --- a CSV of families ---


def test_families_and_their_parameters(table: Make, base: Hardware) -> None:
    text = """family;layer;node;widths;filter;kind;blocks;image;model;width;latency_ms;host;name
fc;4;512;;;;;;;;0.3;lab;first

fc;;;256x128;;;;;;;0.2;lab;
conv_stack;3;;;64;;;32;;;2.5;lab;
cnn;;;;8;residual;1x1x2x1;32;;;1.5;lab;
zoo;;;;;;;128;mobilenet_v1;25;1.2;lab;
"""
    rows = read_table(table(text), base)
    specs = [
        ModelSpec(family="fc", params=FcParams(layer=4, node=512)),
        ModelSpec(family="fc", params=FcParams(widths=(256, 128))),
        ModelSpec(family="conv_stack", params=ConvStackParams(layer=3, filter=64, image=32)),
        ModelSpec(family="cnn", params=CnnParams(kind="residual", blocks=(1, 1, 2, 1), filter=8, image=32)),
        ModelSpec(family="zoo", params=ZooParams(model="mobilenet_v1", width=25, image=128)),
    ]
    assert [row.graph for row in rows] == [models.build_graph(spec) for spec in specs]
    assert [row.latency_ms for row in rows] == [0.3, 0.2, 2.5, 1.5, 1.2]
    assert [row.name for row in rows] == ["first", *(spec.label() for spec in specs[1:])]
    assert {row.host for row in rows} == {"lab"}
    assert [row.source for row in rows] == [f"table.csv:{n}" for n in (2, 4, 5, 6, 7)]


def test_without_a_host_it_is_the_bases(table: Make, base: Hardware) -> None:
    assert {row.host for row in read_table(table(OWN), base)} == {base.name}
    refused(table(OWN), base, "edgetpu:3", device="edgetpu:3")


def test_hosts_are_told_apart(table: Make, base: Hardware) -> None:
    head, *lines = OWN.splitlines()
    text = "\n".join([f"{head},host", *(f"{line},{host}" for host in ("pi", "nuc") for line in lines)])
    refused(table(text), base, "pi, nuc", "--device")
    assert len(read_table(table(text), base, device="nuc")) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("no rows",)),
        ("family,latency_ms\n", ("no rows",)),
        ("a,b\n1,2\n", ("'model'", "family")),
        ("family,node\nfc,2\n", ("'latency_ms'",)),
        ("Model,Latency_ms\na.tflite,2\n", ("'Model'", "small letters", "'model'")),
        ("family,node,Latency_ms\nfc,2,1\n", ("'Latency_ms'", "small letters")),
        (OWN.replace("family", "Family"), ("'Family'", "small letters")),
        (OWN.replace("node", "nodes"), ("'nodes'", "'node'")),
        (OWN.replace("layer", "node"), ("twice",)),
        (OWN.replace("0.4", "fast"), ("csv:3", "latency_ms", "'fast'", "number")),
        (OWN.replace("0.4", "-0.4"), ("csv:3", "latency_ms", "'-0.4'")),
        (OWN.replace("0.4", "0"), ("csv:3", "latency_ms", "'0'", "0.001")),
        (OWN.replace("0.4", "1e-9"), ("csv:3", "latency_ms", "milliseconds")),
        (OWN.replace("0.4", "1e9"), ("csv:3", "latency_ms", "milliseconds")),
        (OWN.replace("0.4", "nan"), ("csv:3", "latency_ms", "'nan'")),
        (OWN.replace("0.4", "inf"), ("csv:3", "latency_ms", "'inf'")),
        (OWN.replace("0.4", ""), ("csv:3", "latency_ms")),
        (OWN.replace("4,1024", "4,1024.5"), ("csv:3", "node", "whole")),
        (OWN.replace("4,1024", "4,99999999"), ("csv:3", "node", "1048576")),
        (OWN.replace("4,1024", "4,"), ("csv:3", "node")),
        (OWN.replace("fc,4,1024", "tree,4,1024"), ("csv:3", "family", "'tree'", "conv_stack")),
        (OWN.replace("fc,4,1024", "conv_stack,4,1024"), ("csv:3", "node", "conv_stack", "filter")),
        (OWN.replace("fc,4,1024", "conv_stack,4,"), ("csv:3", "filter")),
        (OWN.replace("fc,4,1024", "fc,4"), ("csv:3", "3 cells", "4")),
        (OWN.replace("fc,4,1024", '"fc,4,1024'), ("csv:",)),
        (OWN.replace("layer", "widths"), ("csv:2", "widths", "node")),
        ("family,widths,latency_ms\nfc,8y8,1\n", ("csv:2", "widths", "512x512x10")),
        ("\n".join(OWN.splitlines()[:3]), ("too few", "2", "3")),
        (OWN.replace("2048", "512").replace("1024", "512"), ("too few", "1", "3")),
    ],
)  # fmt: skip
def test_tables_that_cant_be_used(text: str, words: tuple[str, ...], table: Make, base: Hardware) -> None:
    refused(table(text), base, *words)


@pytest.mark.parametrize(("column", "cell"), [("host", "sim-edgetpu-usb3"), ("origin", "simulated")])
def test_simulated_rows_are_refused(column: str, cell: str, table: Make, base: Hardware) -> None:
    head, *lines = OWN.splitlines()
    text = "\n".join([f"{head},{column}", *(f"{line},{cell}" for line in lines)])
    refused(table(text), base, "csv:2", column, "never to simulated numbers")


def test_a_model_that_cant_be_predicted_is_named(table: Make, base: Hardware) -> None:
    """Its softmax is wider than the chip takes, so part of its latency is the host's CPU."""
    text = "family,model,output,latency_ms\n" + "".join(f"zoo,mobilenet_v1,{n},3\n" for n in (100, 1001, 100_000))
    refused(table(text), base, "csv:4", "SOFTMAX", "leave it out")
    with pytest.raises(BadInput) as caught:
        read_table(table(text), base)
    assert str(caught.value).count("table.csv") == 1


# --- a CSV of model files ---


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A table beside a folder of three models."""
    (tmp_path / "nets").mkdir()
    for node in (16, 32, 64):
        graph = models.build_graph(ModelSpec(family="fc", params=FcParams(layer=1, node=node)))
        (tmp_path / "nets" / f"{node}.tflite").write_bytes(write_model(graph))
    lines = "".join(f"nets/{node}.tflite,0.2,1.5,0\n" for node in (16, 32, 64))
    (tmp_path / "table.csv").write_text(f"\ufeffmodel,latency_ms,on_chip_mib,off_chip_mib\r\n{lines}", encoding="utf-8")
    return tmp_path / "table.csv"


def test_model_files_lie_beside_their_table(
    files: Path, base: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    rows = read_table(files, base)
    assert [row.name for row in rows] == [f"nets/{node}.tflite" for node in (16, 32, 64)]
    assert [row.graph.macs for row in rows] == [64 * n + 10 * n for n in (16, 32, 64)]
    assert {(row.latency_ms, row.on_chip_mib, row.off_chip_mib) for row in rows} == {(0.2, 1.5, 0.0)}


def test_a_compiled_file_is_refused(files: Path, base: Hardware) -> None:
    (files.parent / "nets" / "32.tflite").write_bytes(compiled_model())
    refused(files, base, "csv:3", "model", "compiled from")


@pytest.mark.parametrize("data", [b"", b"text", random.Random(3).randbytes(999)])
def test_a_model_that_is_none(data: bytes, files: Path, base: Hardware) -> None:
    (files.parent / "nets" / "32.tflite").write_bytes(data)
    refused(files, base, "csv:3", "32.tflite")


def test_a_model_that_is_not_there(files: Path, base: Hardware) -> None:
    (files.parent / "nets" / "64.tflite").unlink()
    refused(files, base, "csv:4", "64.tflite")


# --- the published tables ---


def test_the_published_tables_are_known_by_their_files(tmp_path: Path) -> None:
    assert not is_published(tmp_path)
    assert not is_published(tmp_path / "gone")
    for name in ("synthetic_sweeps.csv", "latency.csv", "compiled_models.csv"):
        with pytest.raises(BadInput, match=rf"no {name}.*models/.*docs/simulator\.md"):
            check_published(tmp_path)
        (tmp_path / name).touch()
        assert is_published(tmp_path)
    (tmp_path / "models").mkdir()
    check_published(tmp_path)
