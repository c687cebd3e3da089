"""A graph run in LiteRT, its values looked at; and what every graph must satisfy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import Precision
from paraedge.models.versions import LOWEST_VERSION
from paraedge.tflite import write_model

XNNPACK, BUILTIN = OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES

Floats = npt.NDArray[np.floating[Any]]

preserving = pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_preserve_all_tensors.:UserWarning")


class Ran:
    """A graph run in LiteRT on a seeded input: every tensor, int8 ones as the numbers that they stand for."""

    def __init__(self, made: LayerGraph, kernels: OpResolverType | None = None) -> None:
        """`kernels`: as they are used, which keep few tensors; None: builtin ones that keep all."""
        self.made = made
        self._interpreter = Interpreter(
            model_content=bytes(write_model(made)),
            experimental_preserve_all_tensors=kernels is None,
            experimental_op_resolver_type=kernels or BUILTIN,
        )
        self._interpreter.allocate_tensors()
        codes = np.random.default_rng(0).integers(-128, 128, made.tensors[0].shape, np.int8)
        self.image = (codes / 74).astype(np.float32)
        self._interpreter.set_tensor(0, codes if made.tensors[0].dtype == "int8" else self.image)
        self._interpreter.invoke()

    def codes(self, tensor_id: int) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._interpreter.get_tensor(tensor_id)
        return values

    def values(self, tensor_id: int) -> Floats:
        codes, quantization = self.codes(tensor_id), self.made.tensors[tensor_id].quantization
        if quantization is None:
            return codes
        shape = [1] * codes.ndim
        shape[quantization.axis or 0] = len(quantization.scales)
        return (codes.astype(float) - quantization.zero_points[0]) * np.reshape(
            quantization.scales, shape if codes.ndim else ()
        )

    def constants(self) -> Iterator[Floats]:
        """Parameters in the order in which the layers take them."""
        for tensor_id in self.made.parameter_tensors:
            yield self.values(tensor_id)


def assert_well_formed(made: LayerGraph, precision: Precision) -> None:
    """Topological, whole, of the versions that the frozen compiler takes, each constant from a stream of its own."""
    known = {*made.inputs, *(i for i, tensor in enumerate(made.tensors) if tensor.weights is not None)}
    for layer in made.layers:
        assert known.issuperset(layer.inputs)
        known.update(layer.outputs)
        assert layer.version == (5 if layer.options.get("keep_num_dims") else LOWEST_VERSION[layer.op][precision])
    assert known == set(range(len(made.tensors)))
    assert len({tensor.name for tensor in made.tensors}) == len(made.tensors)
    assert all(len(tensor.shape) <= 4 and all(tensor.shape) for tensor in made.tensors)
    streams = [tensor.weights.stream for tensor in made.tensors if hasattr(tensor.weights, "stream")]
    assert len(set(streams)) == len(streams)
    assert None not in made.macs_by_layer


def assert_specified(made: LayerGraph) -> None:
    """TFLite's quantization specification: which ops keep their scale, and how weights and biases are stored."""
    kept = {
        "MAX_POOL_2D", "AVERAGE_POOL_2D", "CONCATENATION", "RESHAPE", "MEAN", "PAD", "RESIZE_NEAREST_NEIGHBOR",
    }  # fmt: skip
    for layer in made.layers:
        tensors = [made.tensors[i] for i in (*layer.inputs, *layer.outputs)]
        x, result = tensors[0].quantization, tensors[-1].quantization
        assert x is not None
        assert result is not None
        if layer.op in kept:
            same = [tensor.quantization for tensor in tensors if tensor.dtype == "int8"]
            assert same == [result] * len(same), layer
        elif layer.op in ("SOFTMAX", "LOGISTIC"):
            assert (result.scales, result.zero_points) == ((1 / 256,), (-128,))
        elif layer.op in ("CONV_2D", "FULLY_CONNECTED"):
            weights, bias = tensors[1].quantization, tensors[2].quantization
            assert weights is not None
            assert bias is not None
            assert len(weights.scales) == (tensors[1].shape[0] if layer.op == "CONV_2D" else 1)
            assert bias.scales == pytest.approx([x.scales[0] * scale for scale in weights.scales])
        else:
            assert layer.op in ("ADD", "RELU"), layer.op


def assert_spread(ran: Ran) -> None:
    """int8 codes neither die nor saturate at any depth; of many probabilities most are below 1/256, others differ."""
    for layer in ran.made.layers:
        codes = ran.codes(layer.outputs[0])
        assert len(np.unique(codes)) >= min(8, codes.size / 4), layer
        if layer.op != "SOFTMAX":
            assert codes.std() > 8, layer
            assert np.mean(codes == 127) < 0.2, layer
