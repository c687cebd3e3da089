"""LayerGraph: a network as ops over tensors, with TFLite's own names. A DAG: values are tensor ids."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from paraedge.core.macs import layer_macs

EDGETPU_OP = "edgetpu-custom-op"
"""Custom code of what the Edge TPU's compiler puts in place of the ops that it took."""

OptionValue: TypeAlias = "int | float | bool | str | tuple[int, ...] | None"

ITEM_BYTES: Mapping[str, int] = {
    "int8": 1, "uint8": 1, "bool": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
"""Bytes of one element; a type that is not here (strings, resources, packed int4) has an unknown size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantization:
    """real = scale * (q - zero_point); one pair for a tensor, or one for each slice along `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeededWeights:
    """Values drawn uniformly from [-bound, bound] in the tensor's type, from the generator stream (seed, stream).

    step: of integers that are float32 values, quantized: these are drawn, divided by it and rounded; None for others.
    """

    seed: int
    stream: int
    bound: float
    step: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantWeights:
    """Small constants spelt out: axes, paddings, shapes."""

    values: tuple[int | float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileWeights:
    """`size_bytes` bytes at `offset` of the file that the graph was read from."""

    offset: int
    size_bytes: int


Weights: TypeAlias = "SeededWeights | ConstantWeights | FileWeights"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """A value of the graph; `weights` is None for activations, `dtype` numpy's name or, where it has none, TFLite's."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    weights: Weights | None = None

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int | None:
        """Bytes of the values, or None for a type of unknown size."""
        item = ITEM_BYTES.get(self.dtype)
        return None if item is None else item * math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One op. `op` is TFLite's builtin name; a custom op is `CUSTOM` with its `custom_code`.

    `inputs` and `outputs` are tensor ids, -1 an optional input that is absent. `options` has TFLite's own
    field names in snake case (`stride_h`, `padding`, `fused_activation_function`), enumerations by name.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, OptionValue]
    version: int = 1
    custom_code: str | None = None


@dataclass(frozen=True, kw_only=True)
class LayerGraph:
    """Layers in topological order over `tensors`; `inputs` and `outputs` are tensor ids of the whole."""

    name: str
    tensors: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def is_compiled(self) -> bool:
        """Whether part of it was compiled for the Edge TPU, and can't be seen any more."""
        return any(layer.custom_code == EDGETPU_OP for layer in self.layers)

    @functools.cached_property
    def macs_by_layer(self) -> tuple[int | None, ...]:
        """Multiply-accumulates of each layer, padding excluded; None where the op is unknown."""
        return tuple(layer_macs(self.tensors, layer) for layer in self.layers)

    @functools.cached_property
    def macs(self) -> int | None:
        """Multiply-accumulates of one invoke, or None where a layer's are unknown."""
        counts = self.macs_by_layer
        return None if None in counts else sum(count or 0 for count in counts)

    @functools.cached_property
    def parameter_tensors(self) -> tuple[int, ...]:
        """Ids of the constants that are weights or biases, each once; axes, shapes and paddings are not parameters."""
        found: dict[int, None] = {}
        for layer in self.layers:
            bias = BIAS_INPUT.get(layer.op)
            for position, tensor_id in enumerate(layer.inputs):
                if tensor_id < 0 or self.tensors[tensor_id].weights is None:
                    continue
                if position == bias or self.tensors[tensor_id].dtype not in INDEX_TYPES:
                    found[tensor_id] = None
        return tuple(found)

    @functools.cached_property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum(self.tensors[i].elements for i in self.parameter_tensors)

    @functools.cached_property
    def weight_bytes(self) -> int:
        """Bytes of weights and biases as stored; types of unknown size count nothing."""
        return sum(self.tensors[i].size_bytes or 0 for i in self.parameter_tensors)

    @functools.cached_property
    def activation_bytes(self) -> int:
        """Bytes of all tensors that are not constants, inputs and outputs of the graph included, each once.

        A constant that a DEQUANTIZE makes float32 is one still.
        """
        held = (t for i, t in enumerate(self.tensors) if t.weights is None and i not in self.unpacked)
        return sum(t.size_bytes or 0 for t in held)

    @functools.cached_property
    def unpacked(self) -> Mapping[int, int]:
        """Ids of what a DEQUANTIZE makes of a constant, with the layer's index; it goes with those that read it."""
        return {
            layer.outputs[0]: index
            for index, layer in enumerate(self.layers)
            if layer.op == "DEQUANTIZE" and len(layer.outputs) == 1 and layer.outputs[0] not in self.outputs
            if layer.inputs and 0 <= layer.inputs[0] < len(self.tensors)
            if self.tensors[layer.inputs[0]].weights is not None
        }

    @property
    def input_bytes(self) -> int:
        """Bytes of the graph's inputs."""
        return sum(self.tensors[i].size_bytes or 0 for i in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Bytes of the graph's outputs."""
        return sum(self.tensors[i].size_bytes or 0 for i in self.outputs)


BIAS_INPUT: Mapping[str, int] = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
INDEX_TYPES = frozenset({"int32", "int64"})
