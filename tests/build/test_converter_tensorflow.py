"""TensorFlow's converter itself, in its child: what it writes, and how it ends when it is killed or starved."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from processes import gone, wait_for

from paraedge import models
from paraedge.build.converter import Converter
from paraedge.core.graph import FileWeights, SeededWeights
from paraedge.core.outcome import Artifact, Failure
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import FAMILIES
from paraedge.tflite import read_graph
from paraedge.tflite.weights import fill

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None,
        reason="needs TensorFlow: pip install 'paraedge[tensorflow]'",
    ),
]


def fc(node: int = 24, precision: Precision = "int8", layer: int = 2) -> ModelSpec:
    return ModelSpec(family="fc", params=FAMILIES["fc"].params(layer=layer, node=node), precision=precision, seed=3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Converter]:
    with Converter(tmp_path_factory.mktemp("log") / "tensorflow.log") as made:
        yield made


def built(made: Converter, spec: ModelSpec, folder: Path) -> Path:
    artifact = made.build(spec, folder)
    assert isinstance(artifact, Artifact), artifact
    return artifact.path


def test_float32_weights_are_those_of_the_direct_writer_bit_for_bit(shared: Converter, tmp_path: Path) -> None:
    path = built(shared, fc(precision="float32"), tmp_path)
    data = path.read_bytes()
    graph = read_graph(path)
    found = {
        data[weights.offset : weights.offset + weights.size_bytes]
        for weights in (tensor.weights for tensor in graph.tensors)
        if isinstance(weights, FileWeights)
    }
    wanted = set()
    for tensor in models.build_graph(fc(precision="float32")).tensors:
        if isinstance(tensor.weights, SeededWeights):
            drawn = np.empty(tensor.size_bytes or 0, np.uint8)
            fill(tensor.weights, tensor.dtype, drawn)
            wanted.add(drawn.tobytes())
    assert len(wanted) == 6
    assert wanted <= found


@pytest.mark.parametrize(
    ("precision", "weights", "activations"),
    [
        ("float32", {"float32"}, {"float32"}),
        ("float16", {"float16", "float32"}, {"float32"}),
        ("dynamic_range", {"int8", "float32"}, {"float32"}),
        ("int8", {"int8", "int32"}, {"int8"}),
    ],
)
def test_each_precision_has_its_types(
    shared: Converter, tmp_path: Path, precision: Precision, weights: set[str], activations: set[str]
) -> None:
    graph = read_graph(built(shared, fc(64, precision), tmp_path))
    constants = {tensor.dtype for tensor in graph.tensors if tensor.weights is not None}
    assert constants <= weights
    assert constants & (weights - {"float32"} or weights)
    assert {graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)} == activations


def test_dense_layers_have_one_scale_and_convolutions_one_a_channel(shared: Converter, tmp_path: Path) -> None:
    params = FAMILIES["cnn"].params(block=1, filter=4, image=32, output=5)
    graph = read_graph(built(shared, ModelSpec(family="cnn", params=params), tmp_path))
    scales = {layer.op: graph.tensors[layer.inputs[1]].quantization for layer in graph.layers if len(layer.inputs) > 2}
    dense, convolution = scales["FULLY_CONNECTED"], scales["CONV_2D"]
    assert dense is not None
    assert convolution is not None
    assert len(dense.scales) == 1
    assert len(convolution.scales) > 1


def test_outputs_are_in_the_order_of_the_graph(shared: Converter, tmp_path: Path) -> None:
    spec = ModelSpec(family="zoo", params=FAMILIES["zoo"].params(model="retinanet", image=64))
    wanted, graph = models.build_graph(spec), read_graph(built(shared, spec, tmp_path))
    assert len(wanted.outputs) > 2
    assert [graph.tensors[i].shape for i in graph.outputs] == [wanted.tensors[i].shape for i in wanted.outputs]


def test_a_child_killed_while_it_converts_costs_its_model_alone(tmp_path: Path) -> None:
    others = set(psutil.Process().children())

    def kill(spec: ModelSpec, phase: str) -> None:
        if phase == "converting" and spec == fc(512):
            for process in set(psutil.Process().children()) - others:
                process.kill()

    with Converter(tmp_path / "t.log", told=kill) as made:
        failed = made.build(fc(512), tmp_path / "out")
        path = built(made, fc(), tmp_path / "out")
    assert isinstance(failed, Failure)
    assert (failed.stage, failed.error, failed.signal) == ("build", "ChildKilled", "SIGKILL")
    assert list((tmp_path / "out").iterdir()) == [path]


def test_a_child_that_is_out_of_memory_is_a_failure_that_tells_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paraedge.build.converter.BYTES_A_PARAMETER", 0)  # it would not be asked for this one
    with Converter(tmp_path / "t.log", memory_mb=700) as made:
        failed = made.build(fc(4096, layer=4), tmp_path)
        built(made, fc(), tmp_path)
    assert isinstance(failed, Failure)
    assert failed.error in {"MemoryError", "ChildKilled"}, failed  # native code seldom says why it crashed
    assert "under a limit of 700 MiB of memory" in failed.message


def test_a_hung_child_is_killed(tmp_path: Path) -> None:
    before = psutil.Process().children()
    with Converter(tmp_path / "t.log", timeout_s=0.5) as made:
        failed = made.build(fc(), tmp_path)
        assert psutil.Process().children() == before
    assert isinstance(failed, Failure)
    assert failed.error == "TimeOut"


PARENT = """
import sys
from pathlib import Path
from paraedge.build.converter import Converter
from paraedge.core.spec import ModelSpec
from paraedge.models import FAMILIES
spec = ModelSpec(family="fc", params=FAMILIES["fc"].params(layer=4, node=2048))
with Converter(Path(sys.argv[1]), told=lambda spec, phase: print(phase, flush=True)) as made:
    made.build(spec, Path(sys.argv[1]).parent)
"""


def test_the_child_ends_with_its_parent_even_in_the_middle_of_a_model(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "t.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        while parent.stdout.readline() != "converting\n":
            assert parent.poll() is None
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        assert wait_for(lambda: gone(child.pid))
