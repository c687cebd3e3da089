"""A pipeline of one's own gives what the whole model gives, cut or copied; and what can't be opened says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from paraedge import models, tflite
from paraedge.core.errors import BadInput, DeviceBusy
from paraedge.core.spec import ModelSpec
from paraedge.models.cnn import CnnParams
from paraedge.run import device_lock
from paraedge.segment import open_pipeline


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small residual network: tensors skip layers."""
    graph = models.build_graph(ModelSpec(family="cnn", params=CnnParams(kind="residual", block=1, filter=8, image=32)))
    path = tmp_path_factory.mktemp("model") / "cnn.tflite"
    path.write_bytes(tflite.write_model(graph))
    return path


def whole(model: Path, values: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.mark.parametrize(("cuts", "devices"), [((5,), 2), ((3, 9), 3), ((), 2), ((), 1)])
def test_gives_what_the_whole_model_gives(model: Path, cuts: tuple[int, ...], devices: int) -> None:
    random = np.random.default_rng(3)
    with open_pipeline(model, cuts, ["cpu"] * devices) as pipeline:
        (given,), (wanted,) = pipeline.inputs, pipeline.outputs
        kind = pipeline.types[given]
        inputs = [random.integers(-128, 128, kind.shape, np.int8) for _ in range(4)]
        found = []
        for values in inputs:
            while not pipeline.push({given: values}, timeout_s=0.05):
                found.append(pipeline.pop())
        pipeline.push(None)
        while (outputs := pipeline.pop()) is not None:
            found.append(outputs)
    assert len(found) == len(inputs)
    for values, outputs in zip(inputs, found, strict=True):
        assert outputs is not None
        np.testing.assert_array_equal(outputs[wanted], whole(model, values))


@pytest.mark.parametrize(
    ("cuts", "devices", "text"),
    [
        ((5,), ["cpu"], "2 segments on 1 device"),
        ((5,), [], "2 segments on 0 devices"),
        ((), [], "1 segment on 0 devices"),
        ((5000,), ["cpu", "cpu"], "5000"),
        ((5,), ["cpu", "sim-edgetpu-usb3"], "simulated"),
        ((5,), ["cpu", "edgetpu:9"], "not here"),
    ],
)
def test_what_does_not_go_together_is_bad_input(
    model: Path, cuts: tuple[int, ...], devices: list[str], text: str
) -> None:
    with pytest.raises(BadInput, match=text), open_pipeline(model, cuts, devices):
        pass


def test_a_device_that_another_holds_is_busy(model: Path) -> None:
    with device_lock("cpu"), pytest.raises(DeviceBusy), open_pipeline(model, (), ["cpu"]):
        pass


@pytest.mark.parametrize("name", ["nowhere.tflite", "."])
def test_a_file_that_is_none_is_bad_input(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput), open_pipeline(tmp_path / name, (), ["cpu"]):
        pass


def test_one_name_is_no_list_of_devices(model: Path) -> None:
    with pytest.raises(BadInput, match="give a list"), open_pipeline(model, (), "cpu"):
        pass
