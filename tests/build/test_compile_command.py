"""`paraedge compile` from outside, with a stand-in for the compiler and without one."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from compiler_stand_in import VERSION, Attempt, Bench, compiled_twin, report_text
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.tflite import write_model


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["compile", *map(str, arguments)])


def as_json(result: Any) -> Any:
    return json.loads(result.stdout)


def test_a_model_is_compiled_and_described(bench: Bench) -> None:
    twin = compiled_twin(bench.graph, on_cpu=(19,), cached_bytes=2048, streamed_bytes=1024)
    table = [("CONV_2D", 13, "Mapped to Edge TPU"), ("FULLY_CONNECTED", 1, "Operation version not supported")]
    bench.plan(Attempt(text=report_text(operators=table), files={"model_edgetpu.tflite": twin}))
    result = call(bench.model, "-o", bench.out)
    assert result.exit_code == 0, result.stderr
    for text in (
        f"compiled by edgetpu_compiler {VERSION}, 1 attempt",
        str(bench.out / "my net_edgetpu.tflite"),
        "placement: compiler",
        "19 ops on the Edge TPU, 1 on the CPU",
        "on chip 2.0 KiB, streamed at every inference 1.0 KiB",
        "on the CPU: op 19 (FULLY_CONNECTED): operation version not supported",
        "room left on chip for parameters: 5.50MiB",
    ):
        assert text in result.stdout
    assert (bench.out / "my net_edgetpu.tflite").read_bytes() == twin
    assert "taken from the cache" in call(bench.model, "-o", bench.out).stdout
    assert bench.attempts == 1
    assert call(bench.model, "-o", bench.out, "--no-cache").exit_code == 0
    assert bench.attempts == 2


def test_json_has_everything_and_nothing_else(bench: Bench) -> None:
    bench.plan(bench.good(streamed_bytes=7))
    (found,) = as_json(call(bench.model, "-o", bench.out, "--json"))
    assert (found["status"], found["compiler"], found["attempts"], found["failure"]) == ("compiled", VERSION, 1, None)
    (file,) = found["files"]
    assert file["file_bytes"] == os.path.getsize(file["file"])
    assert (file["on_chip_bytes"], file["off_chip_bytes"]) == (1000, 7)
    assert found["placement"]["source"] == "compiler"
    assert found["placement"]["on_chip"] is None
    assert found["placement"]["on_device"] == list(range(20))
    assert found["printed"]["models"][0]["remaining"]["text"] == "5.50MiB"


def test_without_a_compiler_an_estimate_and_exit_code_1(bench: Bench) -> None:
    result = call(bench.model, "-o", bench.out)
    assert result.exit_code == 1
    assert "placement: estimated" in result.stdout
    assert "20 ops on the Edge TPU" in result.stdout
    assert "14 of 14 layers with parameters on chip" in result.stdout
    assert len(result.stderr.splitlines()) == 1
    assert "no compiled file was written" in result.stderr
    assert "to mend it" in result.stderr
    assert list(bench.out.iterdir()) == []
    again = call(bench.model, "-o", bench.out, "--json")
    assert again.exit_code == 1
    (found,) = as_json(again)
    assert (found["status"], found["failure"]["error"]) == ("failed", "NoCompiler")
    assert found["placement"]["source"] == "estimated"
    assert found["files"] == []


def test_an_estimate_that_was_asked_for_is_work_done(bench: Bench) -> None:
    bench.plan(bench.good())
    result = call(bench.model, "-o", bench.out, "--estimate")
    assert result.exit_code == 0
    assert "placement: estimated" in result.stdout
    assert bench.attempts == 0
    assert not bench.out.exists()


def test_an_estimate_of_segments_is_refused(bench: Bench) -> None:
    result = call(bench.model, "--estimate", "-n", 4)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "leave out --segments" in result.stderr


def test_an_estimate_names_ops_that_stay_on_the_cpu_and_versions_that_are_too_new(bench: Bench) -> None:
    layers = [dataclasses.replace(layer, version=5) if layer.op == "ADD" else layer for layer in bench.graph.layers]
    layers[19] = dataclasses.replace(layers[19], version=9)
    bench.model.write_bytes(write_model(dataclasses.replace(bench.graph, layers=tuple(layers))))
    result = call(bench.model, "--estimate")
    assert (
        "version: op 5 (ADD) would be refused: it has version 5, and edgetpu_compiler 16.0 knows it up to version 4"
        in result.stdout
    )
    assert "version: op 19 (FULLY_CONNECTED) may be left on the CPU: it has version 9, and" in result.stdout
    refused = call(bench.model, "-o", bench.out)
    assert refused.exit_code == 1
    assert "OpVersion" in refused.stderr
    assert "op 5 (ADD) would be refused" in refused.stderr


@pytest.mark.parametrize(
    ("attempt", "error"),
    [
        (Attempt(text="Compilation failed due to large activation tensors in model.", exit=1), "LargeActivations"),
        (Attempt(signal="SIGSEGV"), "Crashed"),
        (Attempt(text=report_text()), "NoOutput"),
    ],
)
def test_a_failure_is_one_line_and_exit_code_1(bench: Bench, attempt: Attempt, error: str) -> None:
    bench.plan(attempt)
    result = call(bench.model, "-o", bench.out)
    assert result.exit_code == 1
    assert error in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert error in result.stdout


def test_segments(bench: Bench) -> None:
    names = [f"model_segment_{i}_of_2" for i in range(2)]
    files = {f"{name}_edgetpu.tflite": compiled_twin(bench.graph, cached_bytes=100) for name in names}
    bench.plan(Attempt(text=report_text(models=names), files=files))
    (found,) = as_json(call(bench.model, "-o", bench.out, "-n", 2, "--json"))
    assert [Path(file["file"]).name for file in found["files"]] == [
        "my net_segment_0_of_2_edgetpu.tflite",
        "my net_segment_1_of_2_edgetpu.tflite",
    ]


def test_one_failure_leaves_the_others_alone(bench: Bench) -> None:
    other = bench.root / "other.tflite"
    other.write_bytes(bytes(write_model(bench.graph)) + bytes(16))
    bench.plan(Attempt(text="Model not quantized", exit=1), bench.good())
    result = call(bench.model, other, "-o", bench.out)
    assert result.exit_code == 1
    assert "for 1 of 2 models" in result.stderr
    assert [path.name for path in bench.out.iterdir()] == ["other_edgetpu.tflite"]


@pytest.mark.parametrize("kind", ["absent", "folder", "garbage", "twice", "compiled", "out is a file"])
def test_bad_input_is_exit_code_2(bench: Bench, kind: str) -> None:
    bench.plan(bench.good())
    models, out = [bench.model], bench.out
    if kind == "twice":
        models *= 2
    elif kind == "out is a file":
        out.write_text("")
    else:
        models = [bench.root / "m.tflite"]
        if kind == "folder":
            models[0].mkdir()
        elif kind == "garbage":
            models[0].write_bytes(b"garbage" * 9)
        elif kind == "compiled":
            models[0].write_bytes(compiled_twin(bench.graph))
    result = call(*models, "-o", out)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert bench.attempts == 0
