"""`paraedge profile`: of a model and of a sweep, what is printed and written, and how bad input ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from compiled_files import compiled_model
from graph_builder import Builder
from typer.testing import CliRunner

from paraedge import models, profile
from paraedge.archive import read_campaign
from paraedge.archive.ops import read_ops
from paraedge.cli import app
from paraedge.cli.profile import FILLS, bar
from paraedge.core.spec import ModelSpec
from paraedge.models.fc import FcParams
from paraedge.segment import ops
from paraedge.sweep import parse_sweep
from paraedge.tflite import write_model

USB3 = "sim-edgetpu-usb3"
SWEEP = """
name = "tiny"
devices = ["cpu", "sim-edgetpu-usb3"]
[[grid]]
family = "fc"
layer = [1, 2]
node = 64
"""


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["profile", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["profile", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert not result.stdout
    line = result.stderr.strip()
    assert "\n" not in line
    return line


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "net.tflite"
    params = FcParams(input=64, layer=3, node=256, output=10)
    path.write_bytes(write_model(models.build_graph(ModelSpec(family="fc", params=params))))
    return path


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(SWEEP)
    return path


def test_a_model_on_two_devices(model: Path) -> None:
    found = json.loads(call(model, "-d", "cpu", "-d", USB3, "--json"))
    cpu, simulated = found["profiles"]
    assert [one["origin"] for one in (cpu, simulated)] == ["measured", "simulated"]
    assert (cpu["threads"], cpu["kernels"], simulated["threads"]) == (1, "xnnpack", None)
    for one in (cpu, simulated):
        assert [op["indices"] for op in one["ops"]] == [[0], [1, 2], [3]]
        parts = [*(op["total_ms"] for op in one["ops"]), *one["other_ms"].values()]
        assert one["added_ms"] == pytest.approx(sum(parts))
        assert one["by_kind"][0]["count"] == 4
    assert simulated["added_ms"] == pytest.approx(simulated["whole_ms"])
    assert set(simulated["other_ms"]) == {"input_ms", "output_ms", "instructions_ms", "overhead_ms"}


def test_people_get_tables_a_bar_and_sentences_for_each_option(model: Path) -> None:
    text = call(model, "--threads", 1, "--kernels", "builtin", "--kernels", "xnnpack")
    for kernels in ("builtin", "xnnpack"):
        assert f"on cpu threads=1 kernels={kernels} (measured)" in text
    assert text.count("FULLY_CONNECTED, as op 1") == 2
    assert text.count("# FULLY_CONNECTED 100 %") == 2
    assert text.count("4 ops, 3 of them timed") == 2
    assert text.count("ops alone add up to") == 2


def test_a_sweep_becomes_a_table_beside_its_campaign(sweep_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    first = json.loads(call(sweep_file, "-o", folder, "--json"))
    assert (first["total"], first["ok"], first["failed"]) == (4, 4, 0)
    assert [(row["device"], row["models"]) for row in first["families"]] == [("cpu", 2), (USB3, 2)]
    lines = read_ops(folder)
    assert lines.groupby(["device", "layer"])["op_count"].sum().to_dict() == {
        ("cpu", 1): 2, ("cpu", 2): 3, (USB3, 1): 6, (USB3, 2): 7,
    }  # fmt: skip
    campaign = read_campaign(folder)
    assert campaign.runs.empty
    assert [column["name"] for column in campaign.meta["ops_columns"]] == list(lines.columns)
    before = (folder / "ops.csv").read_bytes()
    assert "0 points taken apart, 0 failed" in call(sweep_file, "-o", folder)
    assert (folder / "ops.csv").read_bytes() == before


def test_a_campaign_goes_on_in_the_same_folder(sweep_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    call(sweep_file, "-o", folder, "-d", USB3)
    result = CliRunner().invoke(app, ["run", str(sweep_file), "-o", str(folder), "-d", USB3])
    assert result.exit_code == 0, result.output
    assert len(read_campaign(folder).runs) == 2
    assert len(read_ops(folder)) > 0


def test_a_point_that_fails_leaves_a_line_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any) -> Iterator[Any]:
        raise MemoryError

    sweep = parse_sweep(SWEEP, source="tiny")
    with monkeypatch.context() as patch:
        patch.setattr(ops, "op_terms", no_memory)
        made = profile.profile_sweep(sweep, folder=tmp_path, devices=[USB3])
    assert (made.ok, made.failed) == (0, 2)
    assert read_ops(tmp_path)["error"].unique().tolist() == ["run: MemoryError: no memory left"]
    again = profile.profile_sweep(sweep, folder=tmp_path, devices=[USB3])
    assert (again.ok, again.failed, again.done_before) == (2, 0, 0)
    assert read_ops(tmp_path)["error"].isna().all()


def test_a_float_model_has_no_profile_on_the_edge_tpu(tmp_path: Path) -> None:
    sweep = parse_sweep(SWEEP + 'precision = "float32"\n', source="tiny")
    made = profile.profile_sweep(sweep, folder=tmp_path, devices=[USB3])
    assert (made.ok, made.failed) == (0, 2)
    assert read_ops(tmp_path)["latency_ms"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch.tflite"], "No such file"),
        (["nosuch"], "no sweep file nosuch"),
        (["{model}", "-d", "nope"], "unknown device 'nope'"),
        (["{model}", "--kernels", "fast"], "take xnnpack or builtin"),
        (["{model}", "--threads", "0"], "take 1 or more"),
        (["{model}", "-o", "here"], "--out is for a sweep"),
        (["{cut}"], "truncated or damaged"),
        (["{folder}"], "is not a file"),
        (["{pipe}"], "no regular file"),
        (["{compiled}"], "its ops are gone"),
        (["{empty}"], "it has no ops"),
    ],
)
def test_bad_input_is_one_line(model: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "cut.tflite").write_bytes(model.read_bytes()[:2000])
    (tmp_path / "compiled.tflite").write_bytes(compiled_model())
    builder = Builder()
    x = builder.tensor((1, 4))
    (tmp_path / "empty.tflite").write_bytes(write_model(builder.graph([x], [x])))
    os.mkfifo(tmp_path / "pipe.tflite")
    places = {"model": model, "folder": tmp_path}
    places |= {name: tmp_path / f"{name}.tflite" for name in ("cut", "pipe", "compiled", "empty")}
    assert said in refused(*(text.format(**places) for text in arguments))


def test_a_model_that_the_runtime_refuses_is_one_line(tmp_path: Path) -> None:
    builder = Builder()
    x = builder.tensor((1, 4))
    y = builder.op("CUSTOM", (x,), (1, 4), custom_code="of-mine")
    path = tmp_path / "odd.tflite"
    path.write_bytes(write_model(builder.graph([x], [y])))
    assert "can't run on cpu threads=1" in refused(path)


def test_the_bar_is_as_long_as_its_parts() -> None:
    drawn, key = bar([("a", 3.0), ("b", 1.0), ("none", 0.0)])
    assert drawn == "[" + "#" * 54 + "=" * 18 + "]"
    assert key == "# a 75 %  = b 25 %"
    drawn, *keys = bar([(str(number), 1.0) for number in range(12)])
    assert len(drawn) == 74
    assert "5 others 41.7 %" in " ".join(keys)
    assert set(drawn) == {*FILLS, "[", "]"}
    assert list(bar([])) == []
