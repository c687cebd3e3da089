"""LayerGraph -> Keras -> .tflite by TensorFlow's own converter. Only in the converter's child: it imports TensorFlow.

The whole graph is one Keras layer, whose call makes the ops in our order: a functional model of many layers would be
run in an order of Keras' own, branch by branch.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from paraedge import models
from paraedge.build.keras_ops import make
from paraedge.core.graph import ConstantWeights, LayerGraph, SeededWeights, Tensor
from paraedge.core.spec import ModelSpec
from paraedge.devices.interpreter import seeded_values
from paraedge.tflite.weights import fill

SEQUENCE_RANK = 3
"""Of an input [batch, length, depth]."""
SAMPLES = 4
"""Inputs that the quantizer sees: random ones, so more of them would tell it the same."""


def convert(spec: ModelSpec, told: Callable[[str], None]) -> bytes:
    """The file that TensorFlow's converter makes of the float32 network of `spec`, in the precision of `spec`."""
    told("building the Keras model")
    graph = models.build_graph(dataclasses.replace(spec, precision="float32"))
    try:
        told("converting")
        return _converted(keras_model(graph), graph, spec)
    except RuntimeError:
        if spec.precision != "int8":
            raise
        # it can't join a TANH, whose scale is fixed, and a state of nothing but zeros, of which it makes a scale of 0
        told("converting with the scale of zeros given")
        return _converted(keras_model(graph, zeros_have_scale=True), graph, spec)
    finally:
        keras.backend.clear_session()


def _converted(model: Any, graph: LayerGraph, spec: ModelSpec) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if spec.precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if spec.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if spec.precision == "int8":
        converter.representative_dataset = lambda: samples(graph, spec.seed)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        # one scale a tensor, as the Edge TPU compiler of 2021 wants it
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return outputs_in_order(bytearray(converter.convert()))


def outputs_in_order(data: bytearray) -> bytes:
    """The file with the outputs of its graph in the order of their names, `output_0` and so on.

    The converter takes them from a map without order, and only the signature says which is which.
    """
    model = schema.Model.GetRootAs(data)
    if model.SignatureDefsLength():
        signature = model.SignatureDefs(0)
        found = [signature.Outputs(i) for i in range(signature.OutputsLength())]
        found.sort(key=lambda output: int(output.Name().rpartition(b"_")[2]))
        model.Subgraphs(0).OutputsAsNumpy()[:] = [output.TensorIndex() for output in found]
    return bytes(data)


def keras_model(graph: LayerGraph, *, zeros_have_scale: bool = False) -> Any:
    """A Keras model of `graph`, which must be float32: fixed shapes, the same weights as the direct writer's file.

    zeros_have_scale: what is a value less itself is marked with the scale of a TANH.
    """
    inputs = [keras.Input(batch_shape=graph.tensors[i].shape, dtype=graph.tensors[i].dtype) for i in graph.inputs]
    return keras.Model(inputs, GraphLayer(graph, zeros_have_scale)(inputs))


def samples(graph: LayerGraph, seed: int) -> Iterator[list[npt.NDArray[Any]]]:
    """Inputs that the quantizer sees, the same for the same seed; the first has both ends of the range in it."""
    for number in range(SAMPLES):
        yield [_sample(graph, i, seed + number, ends=number == 0) for i in graph.inputs]


def _sample(graph: LayerGraph, tensor_id: int, seed: int, *, ends: bool) -> npt.NDArray[Any]:
    """An input as an int8 model is measured with: random codes over the whole range (`seeded_values`), 1/128 each.

    ends: with the least and the greatest code, of a sequence in each of its vectors. So all of these get one scale,
    which is also that of a hyperbolic tangent. Whole numbers, which are rows of a table, are drawn from all of them.
    """
    tensor = graph.tensors[tensor_id]
    if tensor.dtype != "float32":
        tables = [layer.inputs[0] for layer in graph.layers if layer.op == "GATHER" and tensor_id in layer.inputs]
        rows = min(graph.tensors[i].shape[0] for i in tables)
        return np.random.default_rng(seed).integers(rows, size=tensor.shape, dtype=tensor.dtype)
    (codes,) = seeded_values([(tensor.shape, np.int8)], seed)
    if ends:
        rows_of_codes = codes.reshape(-1, codes.shape[-1] if codes.ndim == SEQUENCE_RANK else codes.size)
        rows_of_codes[:, 0], rows_of_codes[:, -1] = -128, 127
    return (codes / 128).astype(np.float32)


class GraphLayer(keras.layers.Layer):  # type: ignore[misc]
    """All ops of a graph, in its order; float constants are variables, whole numbers constants."""

    def __init__(self, graph: LayerGraph, zeros_have_scale: bool) -> None:
        super().__init__(trainable=False)
        self._zeros_have_scale = zeros_have_scale
        self._layers_of_graph = graph.layers
        self._results = graph.outputs
        self._inputs = graph.inputs
        constants = {i: tensor for i, tensor in enumerate(graph.tensors) if tensor.weights is not None}
        self._whole = {str(i): values(tensor) for i, tensor in constants.items() if tensor.dtype != "float32"}
        self._learnt = {
            str(i): self.add_weight(
                name=f"constant_{i}",
                shape=tensor.shape,
                initializer=lambda shape, dtype, tensor=tensor: values(tensor),
                trainable=False,
            )
            for i, tensor in constants.items()
            if tensor.dtype == "float32"
        }

    def call(self, inputs: Any) -> Any:
        """The outputs of the graph, or its one output."""
        found: dict[int, Any] = {int(i): constant for i, constant in self._whole.items()}
        found.update({int(i): variable.value for i, variable in self._learnt.items()})
        found.update(zip(self._inputs, inputs, strict=True))
        for number, layer in enumerate(self._layers_of_graph):
            with _in_order(number):
                made = make(layer, [found[i] for i in layer.inputs if i >= 0])
                if self._zeros_have_scale and layer.op == "SUB" and len(set(layer.inputs)) == 1:
                    made = [tf.quantization.fake_quant_with_min_max_args(zeros, -1, 127 / 128) for zeros in made]
            found.update(zip(layer.outputs, made, strict=True))
        results = [found[i] for i in self._results]
        return results[0] if len(results) == 1 else results


@contextlib.contextmanager
def _in_order(number: int) -> Iterator[None]:
    """A place for the ops of layer `number`: the converter keeps those of a layer behind those of the layers before.

    It takes ops in reverse postorder of a search that begins at the constants, the names of which it sorts (MLIR's
    import of graphs). So each layer waits for a constant of its own, whose name sorts behind all that Keras gives.
    """
    with tf.name_scope(f"z{number:06d}/"), tf.control_dependencies([tf.constant(number, name="a")]):
        yield


def values(tensor: Tensor) -> npt.NDArray[Any]:
    """The values of a constant, as the direct writer writes them."""
    if isinstance(tensor.weights, ConstantWeights):
        return np.asarray(tensor.weights.values, tensor.dtype).reshape(tensor.shape)
    assert isinstance(tensor.weights, SeededWeights)  # noqa: S101  the generators make no other
    drawn = np.empty(tensor.size_bytes or 0, np.uint8)
    fill(tensor.weights, tensor.dtype, drawn)
    return drawn.view(tensor.dtype).reshape(tensor.shape)
