"""`calibrate` and `validate` from outside: files that predict, tables that fit a terminal, and every refusal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from paraedge import models
from paraedge.calibrate import Calibration
from paraedge.calibrate.report import Bytes, Group, PipelineGroup, Prediction, Slope, Validation
from paraedge.calibrate.score import Score
from paraedge.cli import app
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models import ConvStackParams
from paraedge.simulate import Hardware, load_hardware, predict
from paraedge.simulate.constants import UNITS

FILTERS = (16, 32, 48, 64, 96, 128)
BASE = "sim-edgetpu-usb3"


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, (result.stderr, result.exception)
    return json.loads(result.stdout)


def refuses(*arguments: object, names: tuple[str, ...] = ()) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, (result.exit_code, result.stdout, result.stderr, result.exception)
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    for name in names:
        assert name in result.stderr


def latency_ms(filters: int, hardware: Hardware) -> float:
    spec = ModelSpec(family="conv_stack", params=ConvStackParams(filter=filters))
    return predict(models.build_graph(spec), hardware).latency_ms


@pytest.fixture
def other(base: Hardware) -> Hardware:
    """The base on a host whose outputs return at a third of the rate: what the measurements are made of."""
    slow = dataclasses.replace(base.sources["return_mb_per_s"], value=base.return_mb_per_s / 3, low=None, high=None)
    return dataclasses.replace(base, return_mb_per_s=slow.value, sources={**base.sources, "return_mb_per_s": slow})


@pytest.fixture
def measured(table: Callable[[str], Path], other: Hardware) -> Path:
    """A table of a host of that kind."""
    lines = "".join(f"conv_stack,{n},{latency_ms(n, other)},lab\n" for n in FILTERS)
    return table(f"family,filter,latency_ms,host\n{lines}")


# --- calibrate ---


def test_a_calibrated_device_predicts_its_host(
    measured: Path, base: Hardware, other: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = as_json("calibrate", measured, "--base", BASE, "-o", tmp_path / "my-host.toml")
    assert (found["device"], found["base"], found["rows"]) == ("sim-my-host", BASE, len(FILTERS))
    assert {line["constant"] for line in found["fitted"]} | set(found["kept"]) == set(UNITS)
    assert found["score"]["rows"] == len(FILTERS)
    monkeypatch.setenv("PARAEDGE_HARDWARE", str(tmp_path))
    made = load_hardware("sim-my-host")
    assert made == load_hardware(tmp_path / "my-host.toml")
    assert made.host == "lab"
    wanted = [latency_ms(filters, other) for filters in FILTERS]
    before, after = ([latency_ms(filters, hardware) for filters in FILTERS] for hardware in (base, made))
    assert before != pytest.approx(wanted, rel=0.2)
    assert after == pytest.approx(wanted, rel=0.03)
    registry.present.cache_clear()  # a process looks once, and this one may have looked before the file was there
    try:
        assert "sim-my-host" in [info["id"] for info in as_json("devices") if info["here"]]
    finally:
        registry.present.cache_clear()


def test_what_a_person_reads(measured: Path, tmp_path: Path) -> None:
    result = call("calibrate", measured, "--base", BASE, "-o", tmp_path / "out.toml", "--name", "sim-lab")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"sim-lab: {len(FILTERS)} models, beginning from {BASE}"
    assert lines[2].split() == ["constant", "before", "after", "low", "high", "unit"]
    assert f"kept from {BASE}: " in result.stdout
    assert "the choice of constants has seen all" in " ".join(lines)
    assert "warning" not in result.stdout
    assert lines[-2:] == [
        f"  paraedge predict MODEL.tflite --device {tmp_path / 'out.toml'}",
        f"  PARAEDGE_HARDWARE={tmp_path} paraedge devices",
    ]
    assert max(map(len, lines[:-3])) <= 80


def test_the_same_table_makes_the_same_file(measured: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        as_json("calibrate", measured, "--base", BASE, "-o", tmp_path / f"{name}.toml", "--name", "sim-lab")
    assert (tmp_path / "a.toml").read_bytes() == (tmp_path / "b.toml").read_bytes()


def test_a_campaign_of_an_edgetpu(campaign: Callable[..., Path], attempt: Callable[..., Any], tmp_path: Path) -> None:
    nodes = (256, 512, 1024, 1536)
    folder = campaign(
        *(attempt(node=n, latency_ms=0.2 + n / 1e4, device=f"edgetpu:{i}") for n in nodes for i in (0, 1))
    )
    out = tmp_path / "mine.toml"
    refuses("calibrate", folder, "--base", BASE, "-o", out, names=("edgetpu:0, edgetpu:1", "--device"))
    assert not out.exists()
    found = as_json("calibrate", folder, "--base", BASE, "-o", out, "--device", "edgetpu:1")
    assert (found["rows"], load_hardware(out).host) == (4, "edgetpu:1")


def test_a_file_that_nobody_could_read_is_not_written(
    measured: Path, base: Hardware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero = dataclasses.replace(base.sources["link_mb_per_s"], value=0.0, low=None, high=None)
    odd = dataclasses.replace(base, sources={**base.sources, "link_mb_per_s": zero})
    calibration = Calibration(hardware=odd, fitted=(), kept=(), score=score(0.1), rows=9)
    monkeypatch.setattr("paraedge.calibrate.calibrate", lambda *_, **__: calibration)
    refuses("calibrate", measured, "--base", BASE, "-o", tmp_path / "odd.toml", names=("link_mb_per_s", "above 0"))
    assert not (tmp_path / "odd.toml").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["-o", "there.toml"], ("there.toml", "already")),
        (["-o", "mine.csv"], ("mine.csv", ".toml")),
        (["-o", "gone/mine.toml"], ("gone",)),
        (["-o", f"{BASE}.toml"], (BASE, "--name")),
        (["-o", "mine.toml", "--name", "mine"], ("'mine'", "sim-")),
        (["-o", "mine.toml", "--name", "sim-a b"], ("'sim-a b'",)),
        (["-o", "mine.toml", "--name", BASE], (BASE,)),
        (["-o", "mine.toml", "--base", "sim-abacus"], ("sim-abacus", BASE)),
        (["-o", "mine.toml", "--base", "gone.toml"], ("gone.toml",)),
        (["-o", "mine.toml", "--device", "edgetpu:9"], ("edgetpu:9", "lab")),
        ([], ("--out",)),
    ],
    ids=str,
)
def test_calibrating_is_refused(
    arguments: list[str], names: tuple[str, ...], measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.toml").write_text("mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    refuses("calibrate", measured, "--base", BASE, *arguments, names=names)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert Path("there.toml").read_text() == "mine"


def test_tables_that_are_refused_leave_no_file(tmp_path: Path, table: Callable[[str], Path]) -> None:
    out = tmp_path / "mine.toml"
    refuses("calibrate", tmp_path / "gone.csv", "--base", BASE, "-o", out, names=("gone.csv",))
    refuses("calibrate", tmp_path, "--base", BASE, "-o", out, names=("runs.csv",))
    refuses("calibrate", table("family,node,latency_ms\nfc,1,0\n"), "--base", BASE, "-o", out, names=("csv:2",))
    for name in ("synthetic_sweeps.csv", "latency.csv"):
        (tmp_path / name).write_bytes(b"\xff\x00")
    refuses(
        "calibrate", tmp_path, "--base", BASE, "-o", out, names=("compiled_models.csv, models/", "google-coral/cts")
    )
    refuses("calibrate", tmp_path, "--base", BASE, "-o", out, "--device", "x", names=("published", "--device"))
    refuses("calibrate", tmp_path, "--base", BASE, "-o", out, "--name", BASE, names=("shipped",))
    assert not out.exists()


# --- validate ---


def score(median: float, rows: int = 9) -> Score:
    return Score(rows=rows, median_ape=median, p90_ape=2 * median, within_10=0.75, bias=-median / 2)


def group(name: str, **medians: float) -> Group:
    found = {key.replace("_out", ", case out"): score(median) for key, median in medians.items()}
    row = Prediction(
        name="one", source="table.csv:2", host="h", case="c", is_model=False, measured_ms=2.0, predicted_ms={"row": 2.1}
    )
    return Group(name=name, scores=found, coverage=0.9, coverage_outside=0.95, predictions=(row,))


VALIDATION = Validation(
    groups=(
        group("good", row=0.01, regime=0.05, constant=0.5, interpolation=0.02, constant_out=0.9, interpolation_out=0.8),
        group("models on sim-edgetpu-devboard", row=0.04, model=0.06, host=0.2),
    ),
    placements=(Bytes(name="FC", rows=40, agree=40, agree_left_out=39),),
    slopes=(Slope(name="pruned", rows=4, measured_ms_per_mib=2.5, predicted_ms_per_mib=2.25),),
    instructions=score(0.067, rows=17),
    pipelines=(
        PipelineGroup(name="FC", is_series=False, scores={"fitted": score(0.02), "size": score(0.04)}, contradicted=2),
        PipelineGroup(name="FC, profiled, batch 50", is_series=True, scores={"fitted": score(0.03)}, contradicted=2),
        PipelineGroup(name="CONV, compiler default, batch 100", is_series=True, scores={}, contradicted=0),
    ),
)
BEHIND = dataclasses.replace(VALIDATION, groups=(group("bad", row=0.03, interpolation=0.02), *VALIDATION.groups))


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """A Validation -> what the command prints of it."""

    def run(validation: Validation, *options: str) -> str:
        monkeypatch.setattr("paraedge.calibrate.table.check_published", lambda folder: None)
        monkeypatch.setattr("paraedge.calibrate.validate", lambda folder: validation)
        result = call("validate", "--data", tmp_path, *options)
        assert result.exit_code == 0, result.exception
        return str(result.stdout)

    return run


def test_the_tables_of_a_validation(judged: Callable[..., str]) -> None:
    text = judged(VALIDATION)
    lines = [line.split() for line in text.splitlines()]
    assert "group rows median p90 within bias held outside".split() in lines
    assert "good 9 1.0 2.0 75.0 -0.5 90.0 95.0".split() in lines
    assert "group left out median within constant interp".split() in lines
    assert "good row 1.0 75.0 50.0 2.0".split() in lines
    assert "good regime 5.0 75.0 90.0 80.0".split() in lines
    assert "models on sim-edgetpu-devboard host 20.0 75.0".split() in lines
    assert "FC 40 100.0 97.5".split() in lines
    assert "pruned 4 2.50 2.25".split() in lines
    assert "FC nothing 9 2.0 4.0 -1.0".split() in lines
    assert "FC size 9 4.0 8.0 -2.0".split() in lines
    told = "2 of the 9 rows of FC, profiled, batch 50 name another split than was timed"
    assert " ".join(text.split()).count("name another split") == " ".join(text.split()).count(told) == 1
    assert "Instruction bytes of 17 compiled models" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_closing_sentence_is_honest(judged: Callable[..., str]) -> None:
    good, behind = (" ".join(judged(found).split()) for found in (VALIDATION, BEHIND))
    without = "Interpolation has no answer in: models on sim-edgetpu-devboard. A host that was never measured is "
    without += "predicted with a median error of 20.0 % (sim-edgetpu-devboard)."
    assert good.endswith(f"below interpolation's in every group where there is one. {without}")
    assert behind.endswith(f"not below interpolation's in: bad (3.0 % against 2.0 %). {without}")


def test_figures_stand_to_the_right(judged: Callable[..., str]) -> None:
    head, good, models = judged(VALIDATION).splitlines()[6:9]
    for column in ("rows", "median", "p90", "within", "bias", "held", "outside"):
        end = head.index(column) + len(column)
        assert all(line[end - 1].isdigit() and line[end : end + 1].strip() == "" for line in (good, models))


def test_nothing_is_concluded_from_no_rows(judged: Callable[..., str]) -> None:
    text = judged(dataclasses.replace(VALIDATION, groups=(), placements=(), slopes=()))
    assert "interpolation" not in text
    assert text.splitlines()[-1] == "There are too few rows to say how far predictions are off."


def test_json_has_every_row(judged: Callable[..., str]) -> None:
    found = json.loads(judged(BEHIND, "--json"))
    assert found["not_better_than_interpolation"] == ["bad"]
    assert [entry["name"] for entry in found["groups"]] == [entry.name for entry in BEHIND.groups]
    assert found["groups"][1]["scores"]["regime"]["median_ape"] == 0.05
    assert found["groups"][0]["predictions"][0]["predicted_ms"] == {"row": 2.1}
    assert found["placements"][0]["agree_left_out"] == 39
    assert found["instructions"]["rows"] == 17
    assert found["pipelines"][0]["scores"]["size"]["median_ape"] == 0.04


def test_an_unknown_coverage_is_an_empty_cell(judged: Callable[..., str]) -> None:
    unknown = dataclasses.replace(VALIDATION.groups[0], coverage=float("nan"))
    text = judged(dataclasses.replace(VALIDATION, groups=(unknown,)))
    assert "good 9 1.0 2.0 75.0 -0.5 95.0".split() in [line.split() for line in text.splitlines()]


def test_tables_that_are_not_there(tmp_path: Path) -> None:
    refuses("validate", names=("--data",))
    refuses("validate", "--data", tmp_path / "gone", names=("gone", "published"))
    needed = ("synthetic_sweeps.csv", "latency.csv", "compiled_models.csv", "models/", "docs/simulator.md")
    refuses("validate", "--data", tmp_path, names=needed)
    (tmp_path / "models").mkdir()
    for name in ("synthetic_sweeps.csv", "latency.csv", "compiled_models.csv", "compiler_memory.csv"):
        (tmp_path / name).write_text("neither,this\nnor,that\n")
    refuses("validate", "--data", tmp_path)
