"""Twelve thousand damaged files: each gives a graph or BadModelFile, within 500 MB, without a crash or a hang."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from paraedge.core.errors import BadModelFile
from paraedge.tflite import parse_graph

REAL_FILES = [
    "split_concat.tflite",
    "split_concat_edgetpu.tflite",
    "keras_lstm_mnist_ptq.tflite",
    "keras_lstm_mnist_ptq_edgetpu.tflite",
    "model_invoking_error.tflite",
    "mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet_v1_0.25_128_quant_edgetpu.tflite",
    "deeplabv3_mnv2_dm05_pascal_quant_edgetpu.tflite",
]
"""Small ones: the time goes into reading, not into copying weights."""


def fuzz(folder: Path, count: int, spare_mb: int = 450) -> dict[str, float]:
    script = Path(__file__).with_name("fuzz_reader.py")
    command = [sys.executable, str(script), str(count), "1", str(spare_mb), str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    result: dict[str, float] = json.loads(child.stdout)
    return result


def test_damaged_files_of_our_own(small_files: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in small_files.items():
        (tmp_path / name).write_bytes(data)
    result = fuzz(tmp_path, 4000)
    assert result["graphs"] + result["refused"] == 4000
    assert min(result["graphs"], result["refused"]) > 400  # the damage is neither harmless nor always fatal


def test_ten_thousand_damaged_published_files(edgetpu_data: Path, tmp_path: Path) -> None:
    for name in REAL_FILES:
        (tmp_path / name).write_bytes((edgetpu_data / "models" / name).read_bytes())
    result = fuzz(tmp_path, 10_000)
    assert result["graphs"] + result["refused"] == 10_000
    assert min(result["graphs"], result["refused"]) > 1000


def test_every_truncation_of_a_file_is_refused(small_files: dict[str, bytes]) -> None:
    data = small_files["matmul-int8"]
    for size in range(len(data) - 16):  # the last bytes are alignment and the empty buffer
        with pytest.raises(BadModelFile):
            parse_graph(data[:size], "cut")


@given(st.binary(max_size=300), st.booleans())
def test_random_bytes_are_refused(data: bytes, marked: bool) -> None:
    data = data[:4] + b"TFL3" + data[8:] if marked else data
    with pytest.raises(BadModelFile):
        parse_graph(data, "random")


def shared_tables(
    *,
    tensors: int = 1,
    layers: int = 1,
    option: int = 1,
    name: int = 1,
    rank: int = 1,
    inputs: int = 1,
    scales: int = 1,
) -> bytes:
    """A small file that claims much: all its tensors are one table, all its layers another, with shared vectors."""
    builder = flatbuffers.Builder(1 << 20)
    label = builder.CreateString("x" * name)
    shape = builder.CreateNumpyVector(np.ones(rank, np.int32))
    scale = builder.CreateNumpyVector(np.ones(scales, np.float32))
    schema.QuantizationParametersStart(builder)
    schema.QuantizationParametersAddScale(builder, scale)
    quantization = schema.QuantizationParametersEnd(builder)
    schema.TensorStart(builder)
    schema.TensorAddName(builder, label)
    schema.TensorAddShape(builder, shape)
    schema.TensorAddQuantization(builder, quantization)
    tensor = schema.TensorEnd(builder)
    new_shape = builder.CreateNumpyVector(np.ones(option, np.int32))
    schema.ReshapeOptionsStart(builder)
    schema.ReshapeOptionsAddNewShape(builder, new_shape)
    options = schema.ReshapeOptionsEnd(builder)
    sources = builder.CreateNumpyVector(np.zeros(inputs, np.int32))
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, sources)
    schema.OperatorAddBuiltinOptionsType(builder, schema.BuiltinOptions.ReshapeOptions)
    schema.OperatorAddBuiltinOptions(builder, options)
    layer = schema.OperatorEnd(builder)
    vectors = {}
    for kind, offset, count in (("tensors", tensor, tensors), ("layers", layer, layers)):
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(offset)
        vectors[kind] = builder.EndVector()
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, vectors["tensors"])
    schema.SubGraphAddOperators(builder, vectors["layers"])
    return finish(builder, schema.SubGraphEnd(builder))


def finish(builder: flatbuffers.Builder, subgraph: int) -> bytes:
    schema.OperatorCodeStart(builder)
    code = schema.OperatorCodeEnd(builder)
    vectors = []
    for offset in (code, subgraph):
        builder.StartVector(4, 1, 4)
        builder.PrependUOffsetTRelative(offset)
        vectors.append(builder.EndVector())
    schema.ModelStart(builder)
    schema.ModelAddOperatorCodes(builder, vectors[0])
    schema.ModelAddSubgraphs(builder, vectors[1])
    builder.Finish(schema.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


GREEDY = {
    "many tensors": {"tensors": 260_000},
    "as many tensors as are allowed": {"tensors": 105_000},
    "many layers": {"layers": 260_000},
    "as many layers as are allowed": {"layers": 95_000},
    "long names": {"tensors": 50_000, "name": 5_000_000},
    "long options": {"layers": 50_000, "option": 4096},
    "one longer option": {"option": 5_000_000},
    "long shapes": {"tensors": 1000, "rank": 1_000_000},
    "long lists of inputs": {"layers": 1000, "inputs": 1_000_000},
    "one list of inputs at the limit": {"inputs": 3_990_000},
    "long lists of scales": {"tensors": 1000, "scales": 1_000_000},
}

READ_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from paraedge.core.errors import BadModelFile
from paraedge.tflite import read_graph
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (450 << 20),) * 2)
try:
    graph = read_graph(sys.argv[1])
    print("graph", graph.macs, graph.parameters, graph.activation_bytes)
except BadModelFile as error:
    print("refused", error)
"""


@pytest.mark.parametrize("greed", GREEDY.values(), ids=GREEDY.keys())
def test_small_files_that_claim_much_stay_within_500_mb(greed: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "greedy.tflite"
    path.write_bytes(shared_tables(**greed))
    command = [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(path)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    assert child.stdout.startswith(("graph", "refused"))
    assert len(child.stdout) < 500
