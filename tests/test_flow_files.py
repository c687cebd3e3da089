"""Campaigns over model files of one's own, and with a builder other than the direct writer, from sweep file to rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from compiled_files import compiled_model

from paraedge import flow
from paraedge.analyze.compare import compare
from paraedge.analyze.points import points
from paraedge.archive import read_campaign
from paraedge.build import build_artifact, converter, scratch
from paraedge.build.compiled import build_compiled
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import FcParams, build_graph
from paraedge.models.file import find_models
from paraedge.sweep import Sweep, load_sweep, parse_sweep
from paraedge.tflite import write_model

FILES = """
name = "files"
devices = ["cpu", "sim-edgetpu-usb3"]
[measure]
rounds = 2
time_budget_s = 0.01
min_blocks = 3
[[grid]]
family = "file"
path = ["models/*.tflite", "models/int8.tflite"]
"""
KINDS: dict[str, tuple[Precision, int]] = {"float32": ("float32", 3), "int8": ("int8", 4), "same": ("int8", 4)}
"""Files by name: precision and hidden layers."""

BUILT = """
name = "built"
devices = ["cpu", "sim-edgetpu-usb3"]
builder = "tensorflow"
[measure]
rounds = 2
time_budget_s = 0.01
min_blocks = 3
[[grid]]
family = "fc"
layer = 2
node = [16, 32]
input = 8
output = 4
"""


def network(precision: Precision, layer: int) -> ModelSpec:
    return ModelSpec(family="fc", params=FcParams(input=16, layer=layer, node=8, output=4), precision=precision)


@pytest.fixture
def no_roofs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the seconds that measuring the ceilings of the CPU takes."""
    monkeypatch.setattr(flow, "measure_roofs", lambda *_: ((), None))


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    for name, kind in KINDS.items():
        (tmp_path / "models" / f"{name}.tflite").write_bytes(write_model(build_graph(network(*kind))))
    path = tmp_path / "files.toml"
    path.write_text(FILES)
    return path


def runs(folder: Path) -> pd.DataFrame:
    return read_campaign(folder).runs


@pytest.mark.usefixtures("no_roofs")
def test_a_file_is_a_point_on_every_device(sweep_file: Path, tmp_path: Path) -> None:
    sweep = load_sweep(sweep_file)
    assert sweep.size() == len(list(sweep.points())) == 2  # `same` has the content of `int8`, which is named twice
    summary = flow.run_campaign(sweep, folder=tmp_path / "campaign")
    assert (summary.total, summary.ok, summary.failed) == (6, 5, 1)
    table = runs(tmp_path / "campaign")
    assert set(table["path"]) == {"models/float32.tflite", "models/int8.tflite"}
    measured, simulated = (table[table["origin"] == origin] for origin in ("measured", "simulated"))
    assert set(measured["builder"]) == {"file"}
    assert simulated["builder"].isna().all()
    for name in ("float32", "int8"):
        mine = measured[measured["path"] == f"models/{name}.tflite"]
        graph = build_graph(network(*KINDS[name]))
        assert set(mine["precision"]) == {KINDS[name][0]}
        assert set(mine["macs"]) == {graph.macs}
        assert set(mine["file_bytes"]) == {(tmp_path / "models" / f"{name}.tflite").stat().st_size}
    assert simulated.set_index("path")["status"].to_dict() == {
        "models/float32.tflite": "failed", "models/int8.tflite": "ok",
    }  # fmt: skip


def test_a_moved_file_keeps_its_rows_and_a_changed_one_gets_new_ones(sweep_file: Path, tmp_path: Path) -> None:
    one = FILES.replace('["models/*.tflite", "models/int8.tflite"]', '"models/*.tflite"')
    sweep_file.write_text(one)
    folder, own = tmp_path / "campaign", tmp_path / "models"
    flow.run_campaign(load_sweep(sweep_file), folder=folder, devices=["sim-edgetpu-usb3"])
    (own / "same.tflite").unlink()
    (own / "int8.tflite").rename(own / "moved.tflite")
    moved = flow.run_campaign(load_sweep(sweep_file), folder=folder, devices=["sim-edgetpu-usb3"])
    assert (moved.done_before, moved.ok + moved.failed) == (2, 0)
    (own / "moved.tflite").write_bytes(write_model(build_graph(network("int8", 5))))
    changed = flow.run_campaign(load_sweep(sweep_file), folder=folder, devices=["sim-edgetpu-usb3"])
    assert (changed.done_before, changed.ok) == (1, 1)
    assert len(runs(folder)) == 3


@pytest.mark.usefixtures("no_roofs")
def test_a_file_that_changes_while_the_campaign_runs_is_a_row(sweep_file: Path, tmp_path: Path) -> None:
    sweep = load_sweep(sweep_file)
    for name in ("int8", "same"):
        (tmp_path / "models" / f"{name}.tflite").write_bytes(write_model(build_graph(network("int8", 5))))
    flow.run_campaign(sweep, folder=tmp_path / "campaign")
    failed = runs(tmp_path / "campaign").query("path == 'models/int8.tflite'")
    assert set(failed["status"]) == {"failed"}
    assert failed["error"].str.startswith("build: BadInput: ").all()
    assert failed["error"].str.contains("has changed since the sweep was read").all()


def test_the_artifact_is_the_file_to_the_byte(sweep_file: Path, tmp_path: Path) -> None:
    sweep = load_sweep(sweep_file)
    for spec, made in flow.build_models(sweep, tmp_path / "built"):
        assert isinstance(made, Artifact)
        source = tmp_path / str(spec.params.columns()["path"])
        assert made.path == tmp_path / "built" / f"{spec.spec_id}.tflite"
        assert made.path.read_bytes() == source.read_bytes()
        assert (made.recipe, made.sha256) == ("file", hashlib.sha256(source.read_bytes()).hexdigest())
    rows = {row["path"]: row for row in flow.expand(sweep)}
    assert rows["models/int8.tflite"]["file_bytes"] == (tmp_path / "models" / "int8.tflite").stat().st_size


def test_pipelines_cut_the_file_itself(sweep_file: Path, tmp_path: Path) -> None:
    text = FILES.replace('"cpu", "sim-edgetpu-usb3"', '"cpu", "sim-edgetpu-pcie"').replace("rounds = 2", "rounds = 1")
    sweep_file.write_text(text + '[pipeline]\nsegments = 2\nstrategy = "equal"\ninputs = 3\n')
    summary = flow.run_campaign(load_sweep(sweep_file), folder=tmp_path / "campaign")
    assert (summary.ok, summary.failed) == (3, 1)  # the float model on the Edge TPUs
    campaign = read_campaign(tmp_path / "campaign")
    ends = campaign.stages().groupby("run_id")["end"].max()
    cpu = campaign.runs.query("device == 'cpu'").set_index("path")["run_id"].map(ends)
    assert cpu.to_dict() == {"models/float32.tflite": 4, "models/int8.tflite": 5}  # ops of the files


@pytest.mark.usefixtures("no_roofs")
def test_a_compiled_file_is_only_for_edge_tpus(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(compiled_model(cached_bytes=640, cpu_ops=["SOFTMAX"]))
    text = FILES.replace('["models/*.tflite", "models/int8.tflite"]', '"m.tflite"')
    sweep = parse_sweep(text, source="t.toml", folder=tmp_path)
    flow.run_campaign(sweep, folder=tmp_path / "campaign")
    table = runs(tmp_path / "campaign")
    assert table[["macs", "parameters", "weight_bytes"]].isna().all(axis=None)
    errors = table.groupby("device")["error"].first()
    assert errors["cpu"] == "load: Unsupported: the model is compiled for the Edge TPU"
    assert errors["sim-edgetpu-usb3"].endswith("what can be simulated is the file that it was compiled from")

    (row,) = flow.expand(sweep)
    assert (row["parameters"], row["weight_bytes"], row["macs"]) == (None, None, None)  # inside the compiled op

    (spec,) = find_models("m.tflite", tmp_path)
    made = build_compiled(spec, build_graph(spec), tmp_path / "work")
    assert isinstance(made, Artifact)
    assert made.path.read_bytes() == (tmp_path / "m.tflite").read_bytes()
    assert made.placement is not None
    assert (made.placement.on_device, made.placement.on_cpu, made.placement.on_chip_bytes) == ((0,), (1,), 640)


# --- builders ---


class StandIn:
    """In place of TensorFlow's converter: writes files of a layer more than the direct writer does, and says so."""

    def __init__(self, log: Path, *, told: Callable[[ModelSpec, str], None] | None = None) -> None:
        self.log, self.told = log, told
        self.specs: list[ModelSpec] = []

    def __enter__(self) -> StandIn:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("chatter\n")
        made.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.log.write_text("closed\n")

    def build(self, spec: ModelSpec, folder: Path) -> Artifact | Failure:
        self.specs.append(spec)
        if self.told is not None:
            self.told(spec, "convert")
        assert isinstance(spec.params, FcParams)
        if spec.params.node == 32:
            return Failure(stage="build", error="Killed", message="the converter was killed", signal="SIGKILL")
        return build_artifact(network(spec.precision, 3), build_graph(network(spec.precision, 3)), folder)


made: list[StandIn] = []


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "Converter", StandIn)
    monkeypatch.setattr(converter, "check_installed", lambda: None)
    made.clear()


def built_sweep(text: str = BUILT) -> Sweep:
    return parse_sweep(text, source="built.toml")


@pytest.mark.usefixtures("stand_in")
def test_the_builder_makes_the_files_of_measured_devices(tmp_path: Path) -> None:
    steps: list[flow.Progress] = []
    flow.run_campaign(built_sweep(), folder=tmp_path / "t", progress=steps.append)
    table = runs(tmp_path / "t")
    measured = table[table["device"] == "cpu"]
    assert set(measured["builder"]) == {"tensorflow"}
    assert table[table["device"] != "cpu"]["builder"].isna().all()
    assert measured.groupby("node")["status"].unique().map(list).to_dict() == {16: ["ok"], 32: ["failed"]}
    assert set(measured["error"].dropna()) == {"build: Killed: SIGKILL: the converter was killed"}
    assert (tmp_path / "t" / "tensorflow.log").read_text() == "closed\n"
    graphs = {node: build_graph(ModelSpec(family="fc", params=FcParams(**{**FC, "node": node}))) for node in (16, 32)}
    assert measured.set_index("node")["macs"].to_dict() == {node: graph.macs for node, graph in graphs.items()}
    building = [step for step in steps if step.round is None]
    assert {(step.device, step.status) for step in building} == {("tensorflow", "convert")}
    assert len(building) == 2  # each model once for both rounds, and no probe of a roof
    again = flow.run_campaign(built_sweep(), folder=tmp_path / "t")
    assert again.done_before == again.total == 6
    assert [len(one.specs) for one in made] == [2, 0]  # a campaign that has all its rows makes nothing


FC = {"input": 8, "layer": 2, "output": 4}


@pytest.mark.usefixtures("stand_in", "no_roofs")
def test_campaigns_of_two_builders_are_compared_point_by_point(tmp_path: Path) -> None:
    for name in ("direct", "tensorflow"):
        text = BUILT.replace('"tensorflow"', f'"{name}"').replace("[16, 32]", "16")
        flow.run_campaign(built_sweep(text), folder=tmp_path / name)
    direct, tensorflow = (points(runs(tmp_path / name)) for name in ("direct", "tensorflow"))
    result = compare(direct, tensorflow)
    assert sum(result.counts.values()) == 2
    assert (result.only_base, result.only_new) == ((), ())


@pytest.mark.usefixtures("stand_in", "no_roofs")
def test_simulated_devices_and_files_start_no_converter(sweep_file: Path, tmp_path: Path) -> None:
    flow.run_campaign(built_sweep(), folder=tmp_path / "t", devices=["sim-edgetpu-usb3"])
    assert not made
    sweep_file.write_text('builder = "tensorflow"\n' + FILES)
    flow.run_campaign(load_sweep(sweep_file), folder=tmp_path / "files")
    assert set(runs(tmp_path / "files").query("device == 'cpu'")["builder"]) == {"file"}
    assert all(one.specs == [] for one in made)


@pytest.mark.usefixtures("stand_in")
def test_a_pipeline_cuts_what_the_builder_made(tmp_path: Path) -> None:
    text = BUILT.replace("rounds = 2", "rounds = 1").replace("[16, 32]", "16").replace(', "sim-edgetpu-usb3"', "")
    text += '[pipeline]\nsegments = 4\nstrategy = "equal"\ninputs = 3\n'
    flow.run_campaign(built_sweep(text), folder=tmp_path / "t")
    (row,) = runs(tmp_path / "t").to_dict("records")
    assert (row["status"], row["cuts"]) == ("ok", "1,2,3")  # the direct file has three layers


def test_tensorflow_that_is_missing_is_said_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converter.importlib.util, "find_spec", lambda name: None)
    for begin in (
        lambda: flow.run_campaign(built_sweep(), folder=tmp_path / "t"),
        lambda: list(flow.build_models(built_sweep(), tmp_path / "t")),
    ):
        with pytest.raises(BadInput, match=r"pip install 'paraedge\[tensorflow\]'"):
            begin()
    assert not (tmp_path / "t").exists()
    flow.run_campaign(built_sweep(), folder=tmp_path / "simulated", devices=["sim-edgetpu-usb3"])


def test_the_default_builder_is_the_direct_writer(tmp_path: Path) -> None:
    assert scratch.Work(folder=tmp_path).maker.name == "direct"
    assert built_sweep(BUILT.replace('builder = "tensorflow"\n', "")).builder == "direct"
