"""The stream of a sweep with pipelines, from its text to rows of runs.csv and stages.csv."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from pathlib import Path

import pytest

from paraedge import flow
from paraedge.analyze.points import points, target_labels
from paraedge.archive import Campaign, read_campaign
from paraedge.core.errors import BadInput, DeviceBusy
from paraedge.run import device_lock
from paraedge.segment import execute
from paraedge.sweep import parse_sweep

TEXT = """
name = "pipelines"
devices = ["cpu", "sim-edgetpu-pcie", "cluster:four-boards"]
[measure]
rounds = 2
time_budget_s = 0.02
[pipeline]
segments = [1, 2]
strategy = ["params", "data"]
inputs = [1, 6]
[[grid]]
family = "fc"
layer = 2
node = [16, 32]
input = 8
output = 4
"""
SWEEP = parse_sweep(TEXT, source="pipelines.toml")
SIMULATED = ["sim-edgetpu-pcie"]
WAYS = [(1, None), (2, "params"), (2, "data")]


def run(text: str, folder: Path, devices: list[str] | None = None) -> tuple[flow.RunSummary, Campaign]:
    summary = flow.run_campaign(parse_sweep(text, source="t.toml"), folder=folder, devices=devices)
    return summary, read_campaign(folder)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    summary, campaign = run(TEXT, tmp_path_factory.mktemp("flow") / "campaign")
    assert (summary.total, summary.ok, summary.failed) == (48, 48, 0)
    return campaign


def test_a_row_for_every_way_on_every_device_and_measured_ones_for_every_round(campaign: Campaign) -> None:
    columns = ["device", "segments", "strategy", "inputs", "round"]
    found = Counter(
        campaign.runs[columns]
        .astype(object)
        .where(campaign.runs[columns].notna(), None)
        .itertuples(index=False, name=None)
    )
    rounds = {"cpu": 2, "sim-edgetpu-pcie": 1, "cluster:four-boards": 1}
    assert found == {
        (device, segments, strategy, inputs, number): 2  # models
        for device, last in rounds.items()
        for (segments, strategy), inputs, number in itertools.product(WAYS, (1, 6), range(1, last + 1))
    }
    assert set(zip(campaign.runs["device"], campaign.runs["origin"], strict=True)) == {
        ("cpu", "measured"), ("sim-edgetpu-pcie", "simulated"), ("cluster:four-boards", "simulated"),
    }  # fmt: skip


def test_cuts_are_the_same_in_every_round_and_for_every_number_of_inputs(campaign: Campaign) -> None:
    cut = campaign.runs[campaign.runs["strategy"] == "params"]
    assert (cut.groupby(["spec_id", "device"])["cuts"].nunique() == 1).all()
    assert campaign.runs[campaign.runs["strategy"] != "params"]["cuts"].isna().all()


def test_the_time_of_an_input_is_that_of_the_whole_run_by_their_number(campaign: Campaign) -> None:
    runs = campaign.runs.set_index("run_id")
    samples = campaign.samples().set_index("run_id")
    assert (samples["invokes"] == runs["inputs"][samples.index]).all()
    each_ms = samples["block_ns"] / samples["invokes"] / 1e6
    expected = each_ms.groupby(level=0).median()[runs.index]
    assert runs["latency_median_ms"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-6)
    few = {1: 20, 6: 4}  # a measured run of so few inputs is made so often
    often = runs["inputs"].map(few).where(runs["origin"] == "measured", 1)
    assert samples.groupby(level=0).size()[runs.index].tolist() == often.tolist() == runs["samples"].tolist()
    assert (1e3 / runs["throughput_per_s"]).to_numpy() == pytest.approx(runs["latency_median_ms"].to_numpy(), rel=1e-5)
    assert runs["steady_per_s"].isna().tolist() == (runs["inputs"] == 1).tolist()


def test_stages_cover_the_model_and_every_input(campaign: Campaign) -> None:
    stages = campaign.stages()
    for _, row in campaign.runs.iterrows():
        own = stages[stages["run_id"] == row["run_id"]]
        assert len(own) == row["devices_used"]
        taken = own.groupby("stage")["inputs"].sum()
        assert set(taken) == {row["inputs"]}
        spans = own.drop_duplicates("stage")[["first", "end"]].to_numpy().tolist()
        assert [span[0] for span in spans] == [0, *[span[1] for span in spans][:-1]]
        assert spans[-1][1] == 3


def test_the_order_of_measured_points_changes_with_the_round_and_models_stay_together(campaign: Campaign) -> None:
    cpu = campaign.runs[campaign.runs["device"] == "cpu"]
    label = target_labels(cpu) + cpu["spec_id"]
    first, second = (label[cpu["round"] == number].tolist() for number in (1, 2))
    assert sorted(first) == sorted(second)
    assert first != second
    for number in (1, 2):
        assert len(list(itertools.groupby(cpu[cpu["round"] == number]["spec_id"]))) == 2


def test_each_way_is_a_point_of_its_own(campaign: Campaign) -> None:
    made = points(campaign.runs)
    assert len(made) == 36
    assert sorted(set(made["n_rounds"])) == [1, 2]
    assert target_labels(made).nunique() == 18


def test_meta_has_devices_once_and_no_roofs(campaign: Campaign) -> None:
    assert set(campaign.meta["devices"]) == {
        "cpu threads=1 kernels=xnnpack", "sim-edgetpu-pcie", "cluster:four-boards",
    }  # fmt: skip
    assert campaign.meta["roofs"] == {}
    assert [column["name"] for column in campaign.meta["stages_columns"]] == list(campaign.stages().columns)


def test_it_is_resumed_where_it_stopped(campaign: Campaign, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    stop = parse_sweep(TEXT, source="t.toml")

    class StopError(Exception):
        pass

    def listen(step: flow.Progress) -> None:
        if step.done == 7:
            raise StopError

    with pytest.raises(StopError):
        flow.run_campaign(stop, folder=folder, devices=SIMULATED, progress=listen)
    assert len(read_campaign(folder).runs) == 7
    summary, resumed = run(TEXT, folder, SIMULATED)
    assert (summary.done_before, summary.ok) == (7, 5)
    kept = [*resumed.runs.columns[1:]]
    whole = campaign.runs[campaign.runs["device"] == SIMULATED[0]].reset_index(drop=True)
    assert resumed.runs[kept].equals(whole[kept])
    assert len(resumed.stages()) == resumed.runs["devices_used"].sum()


def test_a_stage_that_dies_is_a_row_and_the_sweep_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_model = execute.tflite.cut_model

    def damaged(*args, **options):  # type: ignore[no-untyped-def]
        *others, last = cut_model(*args, **options)
        return [*others, dataclasses.replace(last, data=memoryview(bytes(last.data[:100])))] if others else [last]

    monkeypatch.setattr(execute.tflite, "cut_model", damaged)
    text = TEXT.replace("rounds = 2", "rounds = 1").replace("node = [16, 32]", "node = 16")
    summary, campaign = run(text, tmp_path / "campaign", ["cpu"])
    assert (summary.ok, summary.failed) == (4, 2)
    failed = campaign.runs[campaign.runs["status"] == "failed"]
    assert set(failed["strategy"]) == {"params"}
    assert failed["error"].str.contains("stage 2 of 2 on cpu").all()
    assert not set(failed["run_id"]) & set(campaign.stages()["run_id"])


def test_the_devices_lock_is_held(tmp_path: Path) -> None:
    with device_lock("cpu"), pytest.raises(DeviceBusy, match="device cpu is in use"):
        run(TEXT, tmp_path / "campaign", ["cpu"])


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("cluster:four-boards", r"4 hosts, and the sweep asks for segments = 5"),
        ("cluster:three-boards", r"no cluster file three-boards"),
    ],
)
def test_devices_that_are_too_few(tmp_path: Path, device: str, why: str) -> None:
    text = TEXT.replace("segments = [1, 2]", "segments = [1, 5]")
    with pytest.raises(BadInput, match=why):
        run(text, tmp_path / "campaign", [device])
    assert not (tmp_path / "campaign").exists()


def test_a_cluster_runs_no_whole_models(tmp_path: Path) -> None:
    text = "\n".join(line for line in TEXT.splitlines() if not line.startswith(("segments", "strategy", "inputs")))
    with pytest.raises(BadInput, match=r"cluster:four-boards is several hosts: give the sweep a \[pipeline\] table"):
        run(text.replace("[pipeline]", ""), tmp_path / "campaign", ["cluster:four-boards"])
