"""What `calibrate` says of its file: refused, doubtful, unchanged, at a limit, of rows that differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.simulate import load_hardware

BASE = "sim-edgetpu-usb3"
NODES = (512, 1024, 1400, 2048)


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def dense(*latencies_ms: float) -> str:
    lines = "".join(f"fc,4,{node},{ms}\n" for node, ms in zip(NODES, latencies_ms, strict=True))
    return f"family,layer,node,latency_ms\n{lines}"


def warned(path: Path, out: Path, base: object = BASE) -> tuple[str, list[str]]:
    """What a person reads, on one line, and the warnings in it."""
    result = call("calibrate", path, "--base", base, "-o", out)
    assert result.exit_code == 0, result.stderr
    head, *found = " ".join(result.stdout.partition("written to")[0].split()).split("warning: ")
    return head, found


@pytest.mark.parametrize("latency_ms", [0.001, 0.01])
def test_another_devices_measurements_make_no_file(
    latency_ms: float, table: Callable[[str], Path], tmp_path: Path
) -> None:
    path = table(dense(*[latency_ms] * 4))
    result = call("calibrate", path, "--base", BASE, "-o", tmp_path / "mine.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "factor 3" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "mine.toml").exists()


def test_doubtful_measurements_are_called_so(table: Callable[[str], Path], tmp_path: Path) -> None:
    """A host can't answer faster than its link's line rate: two constants end there, and the errors remain."""
    path, out = table(dense(0.05, 0.05, 0.06, 8)), tmp_path / "mine.toml"
    head, found = warned(path, out)
    assert "don't look like this device's" in found[0]
    assert "nothing should be built on this file" in found[0]
    assert "0 ms at its limit" in head
    overhead = load_hardware(out).sources["overhead_ms"]
    assert (overhead.value, overhead.low, overhead.high, overhead.note) == (0, None, None, "at its limit")


def test_a_constant_far_from_the_base_is_named(table: Callable[[str], Path], tmp_path: Path) -> None:
    _, [warning] = warned(table(dense(1000, 1000, 1000, 1000)), tmp_path / "mine.toml")
    assert "went from" in warning
    assert "--base" in warning


def test_a_second_fit_of_the_same_rows_finds_nothing(table: Callable[[str], Path], tmp_path: Path) -> None:
    measured = table(dense(0.35, 0.43, 0.5, 19))
    _, none = warned(measured, tmp_path / "one.toml")
    head, [seen] = warned(measured, tmp_path / "two.toml", tmp_path / "one.toml")
    assert not none
    assert "nothing was fitted: the base already predicts these models as well" in head
    assert "error, as sim-one predicts them" in head
    assert "constant before" not in head
    assert "fitted to table.csv" in seen


@pytest.mark.parametrize(("again_ms", "warns"), [(0.5, False), (0.9, True)])
def test_repeats_that_differ_are_named(
    again_ms: float, warns: bool, table: Callable[[str], Path], tmp_path: Path
) -> None:
    _, found = warned(table(dense(0.35, 0.43, 0.5, 19) + f"fc,4,512,{again_ms}\n"), tmp_path / "mine.toml")
    named = [text for text in found if "table.csv:2 and table.csv:6" in text and "0.35 and 0.9 ms" in text]
    assert bool(named) == warns


def test_the_published_tables_under_ones_own_name(edgetpu_data: Path, tmp_path: Path) -> None:
    result = call("calibrate", edgetpu_data, "--base", BASE, "-o", tmp_path / "x.toml", "--name", "sim-again")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("sim-again: 6 models")
    again, shipped = load_hardware(tmp_path / "x.toml"), load_hardware(BASE)
    owners = {entry.device for entry in again.residuals.values()}
    assert owners == {entry.device for entry in shipped.residuals.values()} - {BASE} | {"sim-again"}
