"""What a network of keras.applications gives with the weights of one of our float32 files, found by a child process.

As a script, `keras_values.py Name MODEL.tflite INPUT.npy OUTPUT.npy`; it imports Keras, and the tests nothing of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paraedge.core.graph import FileWeights, LayerGraph
from paraedge.tflite import read_graph

Floats = npt.NDArray[np.float32]


def keras_values(name: str, model: Path, image: Floats) -> Floats:
    """Of the network `name` with the constants of `model`, each convolution's in the order in which Keras makes it."""
    given, found = model.with_suffix(".input.npy"), model.with_suffix(".output.npy")
    np.save(given, image)
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, __file__, name, str(model), str(given), str(found)]
    result = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    values: Floats = np.load(found)
    return values


def _constants(graph: LayerGraph, data: bytes) -> Iterator[tuple[Floats, Floats]]:
    """Weights and biases of each layer that has them."""
    for layer in graph.layers:
        if layer.op in ("CONV_2D", "FULLY_CONNECTED"):
            yield _constant(graph, layer.inputs[1], data), _constant(graph, layer.inputs[2], data)


def _constant(graph: LayerGraph, tensor_id: int, data: bytes) -> Floats:
    tensor = graph.tensors[tensor_id]
    assert isinstance(tensor.weights, FileWeights)
    return np.frombuffer(data, np.float32, tensor.elements, tensor.weights.offset).reshape(tensor.shape)


def _made(name: str, image: tuple[int, ...]) -> tuple[Any, list[Any]]:
    """The network without weights, and its layers with weights in the order in which they were made."""
    from keras import applications, layers

    order: list[Any] = []
    for kind in (layers.Conv2D, layers.Dense):
        _record(kind, order)
    return getattr(applications, name)(weights=None, input_shape=image), order


def _record(kind: Any, order: list[Any]) -> None:
    build = kind.build

    def recorded(self: Any, shape: Any) -> Any:
        order.append(self)
        return build(self, shape)

    kind.build = recorded


def _residual_scale(layer: Any) -> float:
    """Of the block whose last convolution this is; ours has it in its weights."""
    (reader,) = layer._outbound_nodes
    return float(getattr(reader.operation, "scale", 1.0))


def _fill(layer: Any, weights: Floats, bias: Floats) -> None:
    """Ours are [filters, height, width, depth] or [units, depth], with batch normalisation in the bias."""
    kernel = np.moveaxis(weights, 0, -1).reshape(layer.kernel.shape)
    if layer.use_bias:
        scale = _residual_scale(layer) if layer._outbound_nodes else 1.0
        layer.set_weights([kernel / scale, bias / scale])
        return
    (normalisation,) = (node.operation for node in layer._outbound_nodes)
    layer.set_weights([kernel])
    mean, variance = np.zeros_like(bias), np.full_like(bias, 1 - normalisation.epsilon)
    assert not normalisation.scale
    normalisation.set_weights([bias, mean, variance])


def _main(name: str, model: str, given: str, found: str) -> None:
    image = np.load(given)
    network, order = _made(name, image.shape[1:])
    constants = list(_constants(read_graph(Path(model)), Path(model).read_bytes()))
    for layer, (weights, bias) in zip(order, constants, strict=True):
        _fill(layer, weights, bias)
    np.save(found, network.predict(image, verbose=0))


if __name__ == "__main__":
    _main(*sys.argv[1:])
