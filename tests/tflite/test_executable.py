"""What is read of compiled models, against published byte counts and against files of FlatBuffers' own builders."""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from compiled_files import PARAMETER_CACHING, STAND_ALONE, Run, compiled_model, model_of, options, package
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.errors import BadModelFile
from paraedge.tflite import Executable, parse_graph, read_packages
from paraedge.tflite.flatbuffer import Source
from paraedge.tflite.flexbuffer import map_bytes

CSV_KINDS = {"STAND_ALONE": "STAND_ALONE", "EXEC_ONLY": "EXECUTION_ONLY", "PARAM_CACHING": "PARAMETER_CACHING"}
CSV_HINTS = {
    "INSTR": "instruction", "PARAM>": "parameter", "IN>": "input", "OUT<": "output", "INT": "interrupt",
    "FENCE": "fence", "SCRATCH>": "scratch", "SCRATCH<": "scratch",
}  # fmt: skip


def compiled_models(folder: Path) -> list[Path]:
    return sorted(folder.glob("models/**/*_edgetpu.tflite"))


def published(folder: Path) -> dict[tuple[str, int], list[dict[str, str]]]:
    """Rows of compiled_models.csv by file name and size: recompiled models keep their name."""
    rows: dict[tuple[str, int], list[dict[str, str]]] = {}
    with (folder / "compiled_models.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault((Path(row["file"]).name, int(row["file_bytes"])), []).append(row)
    return rows


def hints(executable: Executable) -> dict[str, list[int]]:
    """As the table has them: [how many, bytes of the transfers]; it gives instructions no bytes."""
    found: dict[str, list[int]] = {}
    for hint in executable.dma_hints:
        entry = found.setdefault(hint.kind, [0, 0])
        entry[0] += 1
        entry[1] += 0 if hint.kind == "instruction" else hint.size_bytes or 0
    return found


def layers(cell: str) -> list[tuple[str, int, int, int, int]]:
    """Name, bytes, y, x, z. The sixth value of the table is an offset inside the file (to the layer's union)."""
    return [entry[:5] for entry in ast.literal_eval(cell)]


def check_row(executable: Executable, row: dict[str, str]) -> None:
    numbers = {
        "batch": executable.batch,
        "scratch_bytes": executable.scratch_bytes,
        "param_bytes": executable.parameter_bytes,
        "instr_chunks": executable.instruction_chunks,
        "instr_bytes": executable.instruction_bytes,
        "narrow_mem_per_tile": executable.narrow_memory_bytes_per_tile,
        "token": executable.parameter_caching_token,
        "fully_det": int(executable.fully_deterministic),
    }
    assert numbers == {column: int(row[column]) for column in numbers}
    assert executable.estimated_cycles == (int(row["est_cycles64"]) or int(row["est_cycles32"]) or None)
    assert (executable.kind, executable.name) == (CSV_KINDS[row["type"]], row["name"])
    assert executable.chip == ast.literal_eval(row["chip"]).decode()
    assert hints(executable) == {CSV_HINTS[kind]: value for kind, value in ast.literal_eval(row["hints"]).items()}
    for found, cell in ((executable.inputs, row["inputs"]), (executable.outputs, row["outputs"])):
        assert [(layer.name, layer.size_bytes, *layer.shape) for layer in found] == layers(cell)
    assert executable.input_bytes == sum(layer[1] for layer in layers(row["inputs"]))
    assert executable.output_bytes == sum(layer[1] for layer in layers(row["outputs"]))


def test_every_published_row_whose_file_is_here_agrees_to_the_byte(edgetpu_data: Path) -> None:
    table = published(edgetpu_data)
    checked = 0
    for path in compiled_models(edgetpu_data):
        rows = table[path.name, path.stat().st_size]
        packages = read_packages(path)
        assert len(rows) == sum(len(p.executables) for p in packages)
        for row in rows:
            found = packages[int(row["package"])]
            assert (found.minimum_runtime, found.compiler_version) == (int(row["min_runtime"]), row["compiler"])
            check_row(found.executables[int(row["exec_idx"])], row)
            checked += 1
    assert checked == 2 * len(compiled_models(edgetpu_data)) >= 28


def test_uncompiled_models_have_no_package(edgetpu_data: Path) -> None:
    for path in set(edgetpu_data.glob("models/**/*.tflite")) - set(compiled_models(edgetpu_data)):
        assert read_packages(path) == ()


def test_a_compiled_op_may_stand_behind_others(edgetpu_data: Path) -> None:
    path = edgetpu_data / "models" / "movenet_single_pose_lightning_ptq_edgetpu.tflite"
    (found,) = read_packages(path)
    assert parse_graph(path.read_bytes(), "movenet").layers[found.op_index].custom_code == "edgetpu-custom-op"
    assert found.op_index == 2


def test_sums_tell_what_is_sent_once_from_what_is_sent_each_time() -> None:
    data = compiled_model(
        cached_bytes=5000, streamed_bytes=300, instruction_bytes=2048, scratch_bytes=64, cycles=2**40, token=-7
    )
    (found,) = read_packages(data)
    assert (found.op_index, found.minimum_runtime, found.compiler_version) == (0, 13, "cl/343520747")
    assert (found.cached_bytes, found.streamed_bytes, found.instruction_bytes) == (5000, 300, 2048)
    assert (found.input_bytes, found.output_bytes, found.scratch_bytes) == (192, 10, 64)
    assert found.estimated_cycles == 2**40
    main, caching = found.executables
    assert (main.kind, caching.kind) == ("EXECUTION_ONLY", "PARAMETER_CACHING")
    assert main.parameter_caching_token == caching.parameter_caching_token == -7
    order = [(h.kind, h.direction, h.size_bytes, h.name) for h in main.dma_hints]
    assert order == [
        ("instruction", "to device", 2048, None),
        ("parameter", "to device", 300, None),
        ("input", "to device", 192, "t0"),
        ("output", "to host", 10, "t1"),
        ("interrupt", None, None, None),
    ]


def test_a_stand_alone_executable_streams_its_parameters() -> None:
    run = Run(kind=STAND_ALONE, parameter_bytes=700, instruction_bytes=(16, 32), fences=1, token=0)
    (found,) = read_packages(model_of([package([run])]))
    assert (found.cached_bytes, found.streamed_bytes, found.instruction_bytes) == (0, 700, 48)
    (alone,) = found.executables
    assert alone.parameter_caching_token is None
    assert [h.size_bytes for h in alone.dma_hints if h.kind == "instruction"] == [16, 32]
    assert "fence" in {h.kind for h in alone.dma_hints}
    assert found.estimated_cycles is None


def test_each_compiled_op_has_its_package() -> None:
    data = compiled_model(compiled_ops=3, cached_bytes=100, cpu_ops=["ABS", "NEG"])
    assert [p.op_index for p in read_packages(data)] == [0, 1, 2]
    assert len(parse_graph(data, "many").layers) == 5


@given(st.binary(max_size=70_000), st.sampled_from(["4", "45"]))
def test_any_bytes_come_out_of_a_flexbuffer_as_they_went_in(content: bytes, key: str) -> None:
    found = map_bytes(Source(memoryview(options(content, key))), key)
    assert found is not None
    assert bytes(found.data) == content
    assert map_bytes(Source(memoryview(options(content, key))), "7") is None


def test_large_options_lie_behind_the_flatbuffer() -> None:
    content = options(package([Run(parameter_bytes=123)]))
    model = schema.ModelT.InitFromPackedBuf(model_of([b""]))
    (op,) = model.subgraphs[0].operators
    op.customOptions, op.largeCustomOptionsOffset, op.largeCustomOptionsSize = None, 1, len(content)
    op.largeCustomOptionsOffset = len(packed(model))
    (found,) = read_packages(packed(model) + content)
    assert found.streamed_bytes == 123
    with pytest.raises(BadModelFile, match="truncated"):
        read_packages(packed(model) + content[:-1])


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def wrong(**fields: Any) -> bytes:
    return model_of([package([Run(**fields)])])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (model_of([b"x" * 50]), "no DWN1 package"),
        (model_of([package([])]), "without executables"),
        (wrong(kind=9), "kind of executable 9"),
        (wrong(scratch_bytes=-4), "a size of -4"),
        (wrong(cycles=-1), "a size of -1"),
        (wrong(inputs=(("in", -1, (1, 1, 1)),)), "a size of -1"),
        (model_of([package([Run(kind=PARAMETER_CACHING)])[:60]]), "truncated or damaged"),
    ],
)
def test_what_is_wrong_with_a_package_is_said(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong_edgetpu.tflite"
    path.write_bytes(data)
    with pytest.raises(BadModelFile, match=says) as caught:
        read_packages(path)
    assert str(path) in str(caught.value)
    assert "op 0 (edgetpu-custom-op)" in str(caught.value)


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.tflite"
    os.mkfifo(pipe)
    text = tmp_path / "text.tflite"
    text.write_text("a text, not a model")
    for path in (tmp_path, pipe, text, tmp_path / "gone.tflite"):
        with pytest.raises(BadModelFile, match="expected a TensorFlow Lite model"):
            read_packages(path)


def fuzz(folder: Path, count: int) -> dict[str, float]:
    script = Path(__file__).with_name("fuzz_executable.py")
    command = [sys.executable, str(script), str(count), "1", "450", str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    result: dict[str, float] = json.loads(child.stdout)
    assert result["inspected"] + result["refused"] == count
    return result


def test_ten_thousand_damaged_compiled_files(tmp_path: Path) -> None:
    files = {
        "plain": compiled_model(cached_bytes=200, instruction_bytes=128),
        "streamed": compiled_model(streamed_bytes=100, instruction_bytes=64, cycles=999, cpu_ops=["ABS"]),
        "several": compiled_model(compiled_ops=2, cached_bytes=64, instruction_bytes=32),
        "alone": model_of([package([Run(kind=STAND_ALONE, parameter_bytes=50, instruction_bytes=(16, 32), fences=1)])]),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    result = fuzz(tmp_path, 10_000)
    assert min(result["inspected"], result["refused"]) > 1000  # the damage is neither harmless nor always fatal
    assert result["in_package"] > 1000  # refused for what is inside the compiled op


def test_two_thousand_damaged_published_files(edgetpu_data: Path, tmp_path: Path) -> None:
    for name in ("split_concat_edgetpu.tflite", "keras_lstm_mnist_ptq_edgetpu.tflite"):
        (tmp_path / name).write_bytes((edgetpu_data / "models" / name).read_bytes())
    result = fuzz(tmp_path, 2000)
    assert min(result["inspected"], result["refused"], result["in_package"]) > 200


def test_every_truncation_of_a_package_is_refused() -> None:
    content = package([Run(parameter_bytes=10, instruction_bytes=(16,), inputs=(("in", 3, (1, 1, 3)),))])
    for size in range(len(content) - 4):
        with pytest.raises(BadModelFile):
            read_packages(model_of([content[:size]]))
