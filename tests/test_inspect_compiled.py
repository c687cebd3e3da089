"""`inspect` of models compiled for the Edge TPU: raw integers in the JSON, plain lines for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compiled_files import Run, compiled_model, model_of, package
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.tflite import read_packages


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "net_edgetpu.tflite"
    content = compiled_model(
        cached_bytes=3 << 20, streamed_bytes=700, instruction_bytes=2048, cycles=250_000, cpu_ops=["ABS", "ABS", "NEG"]
    )
    path.write_bytes(content)
    return path


def test_the_json_has_each_executable_and_the_sums(compiled: Path) -> None:
    found = json.loads(call(compiled, "--json").stdout)
    assert found["file_bytes"] == compiled.stat().st_size
    assert found["edgetpu"]["totals"] == {
        "cached_bytes": 3 << 20,
        "streamed_bytes": 700,
        "instruction_bytes": 2048,
        "input_bytes": 192,
        "output_bytes": 10,
        "scratch_bytes": 0,
        "estimated_cycles": 250_000,
    }
    assert [op["op"] for op in found["edgetpu"]["cpu_ops"]] == ["ABS", "ABS", "NEG"]
    (only,) = found["edgetpu"]["packages"]
    assert (only["op_index"], only["minimum_runtime"], only["compiler_version"]) == (0, 13, "cl/343520747")
    main, caching = only["executables"]
    assert (main["parameter_bytes"], caching["parameter_bytes"]) == (700, 3 << 20)
    assert main["dma_hints"][1] == {"kind": "parameter", "direction": "to device", "size_bytes": 700, "name": None}
    assert [op["op"] for op in found["ops"]] == ["CUSTOM", "ABS", "ABS", "NEG"]


def test_people_read_what_matters_first(compiled: Path) -> None:
    lines = [" ".join(line.split()) for line in call(compiled).stdout.splitlines()]
    assert lines[:2] == [
        "compiled for the Edge TPU: 1 of 4 ops in the file",
        "left on the CPU: 3 of them: ABS (2), NEG (1)",
    ]
    assert "parameters cached 3145728 bytes (3.0 MiB), sent once" in lines
    assert "parameters streamed 700 bytes, sent at every inference" in lines
    assert "compiler version cl/343520747" in lines
    assert "estimated cycles 250000, by the compiler: 0.5 ms at 500 MHz, without transfers" in lines
    assert "caching token 1, the same in models compiled together, which share the cache" in lines
    assert any(line.startswith("0 0 EXECUTION_ONLY 1 700 2048 1 192 10 0 832 250000") for line in lines)
    assert "0 1 1 parameter to device 3145728" in lines  # the second executable's second hint
    assert any(line.startswith("1 ABS 1") for line in lines)  # and the ops of the file, as ever
    assert "parameters unknown: inside the compiled op" in lines
    assert not any("unknown ops/byte" in line or line.startswith("MACs unknown for edgetpu") for line in lines)


def test_what_is_inside_a_compiled_op_is_unknown_and_not_zero(compiled: Path) -> None:
    found = json.loads(call(compiled, "--json").stdout)
    assert (found["totals"]["parameters"], found["totals"]["weight_bytes"]) == (None, None)
    assert [op["weight_bytes"] for op in found["ops"]] == [None, 0, 0, 0]
    assert found["totals"]["output_bytes"] < 1024
    assert f"output_bytes      {found['totals']['output_bytes']} bytes\n" in call(compiled).stdout


def test_a_version_without_a_number_is_not_stated(tmp_path: Path) -> None:
    path = tmp_path / "net_edgetpu.tflite"
    path.write_bytes(compiled_model(compiler="cl/"))
    assert "compiler version     not stated" in call(path).stdout


def test_several_compiled_ops_are_summed_and_listed(tmp_path: Path) -> None:
    path = tmp_path / "several_edgetpu.tflite"
    path.write_bytes(compiled_model(compiled_ops=3, cached_bytes=100, instruction_bytes=50))
    found = json.loads(call(path, "--json").stdout)["edgetpu"]
    assert [p["op_index"] for p in found["packages"]] == [0, 1, 2]
    assert found["totals"]["cached_bytes"] == 300 == 3 * found["packages"][1]["cached_bytes"]
    assert found["totals"]["estimated_cycles"] is None
    assert found["cpu_ops"] == []
    assert "compiled for the Edge TPU: 3 of 3 ops" in call(path).stdout


def test_long_lists_of_hints_and_strange_names_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "many_edgetpu.tflite"
    inputs = tuple(("\x1b[31mred" + "x" * 100, 4, (1, 1, 4)) for _ in range(50))
    path.write_bytes(model_of([package([Run(inputs=inputs, outputs=(("out", 8, (1, 1, 8)),))])]))
    text = call(path).stdout
    assert "\x1b" not in text
    assert "and 41 more hints; --json lists them all" in text
    assert len(json.loads(call(path, "--json").stdout)["edgetpu"]["packages"][0]["executables"][0]["dma_hints"]) == 53


def test_a_model_that_is_not_compiled_has_no_such_part(tmp_path: Path) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(model_of([], cpu_ops=["ABS"]))
    assert "edgetpu" not in json.loads(call(path, "--json").stdout)
    assert "Edge TPU" not in call(path).stdout


def test_a_damaged_package_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "damaged_edgetpu.tflite"
    path.write_bytes(model_of([package([Run()])[:300]]))
    result = call(path, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "op 0 (edgetpu-custom-op): truncated or damaged" in result.stderr
    assert result.stderr.count("\n") == 1


def test_published_models_are_listed_as_they_are_read(edgetpu_data: Path) -> None:
    for path in sorted(edgetpu_data.glob("models/**/*_edgetpu.tflite")):
        found = json.loads(call(path, "--json").stdout)
        packages = read_packages(path)
        left = [op["op"] for op in found["edgetpu"]["cpu_ops"]]
        assert len(left) == len(found["ops"]) - len(packages)
        for shown, package_read in zip(found["edgetpu"]["packages"], packages, strict=True):
            for listed, executable in zip(shown["executables"], package_read.executables, strict=True):
                integers = {key: value for key, value in listed.items() if isinstance(value, int)}
                assert integers == {key: getattr(executable, key) for key in integers}
                assert [hint["size_bytes"] for hint in listed["dma_hints"]] == [
                    hint.size_bytes for hint in executable.dma_hints
                ]
        assert call(path).exit_code == 0
