"""Hypothesis strategies for graphs that LiteRT can run: any shape of DAG, over few kinds of ops."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from paraedge.core.graph import ConstantWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor

SIDE = 4
SCALE, WEIGHT_SCALE = 0.05, 0.01
CHANNELS = st.integers(1, 4).map(lambda n: 2 * n)
ONE_STEP = {"stride_w": 1, "stride_h": 1, "padding": "SAME"}


@dataclass
class Drawn:
    """A graph as it grows. values: ids of the activations that are there, all of them 1 x SIDE x SIDE x channels."""

    dtype: str
    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    constants: list[int] = field(default_factory=list)

    def add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def activation(self, channels: int) -> int:
        quantization = Quantization(scales=(SCALE,), zero_points=(3,)) if self.dtype == "int8" else None
        shape = (1, SIDE, SIDE, channels)
        name = f"value {len(self.tensors)}"
        self.values.append(self.add(Tensor(name=name, shape=shape, dtype=self.dtype, quantization=quantization)))
        return self.values[-1]

    def weights(self, shape: tuple[int, ...], dtype: str, scale: float, bound: float, *, scales: int = 1) -> int:
        axis = 0 if scales > 1 else None
        quantization = Quantization(scales=(scale,) * scales, zero_points=(0,) * scales, axis=axis)
        is_quantized = self.dtype == "int8"
        weights = SeededWeights(seed=3, stream=len(self.tensors), bound=bound if is_quantized else 1.0)
        tensor = Tensor(
            name=f"weights {len(self.tensors)}",
            shape=shape,
            dtype=dtype if is_quantized else "float32",
            quantization=quantization if is_quantized else None,
            weights=weights,
        )
        self.constants.append(self.add(tensor))
        return self.constants[-1]

    def channels(self, value: int) -> int:
        return self.tensors[value].shape[-1]

    def op(
        self, name: str, version: int, inputs: tuple[int, ...], channels: tuple[int, ...], **options: object
    ) -> None:
        outputs = tuple(self.activation(count) for count in channels)
        self.layers.append(Layer(op=name, version=version, inputs=inputs, outputs=outputs, options=options))  # type: ignore[arg-type]


def convolution(draw: st.DrawFn, graph: Drawn) -> None:
    x, filters, kernel = draw(st.sampled_from(graph.values)), draw(CHANNELS), draw(st.sampled_from([1, 3]))
    weights = graph.weights((filters, kernel, kernel, graph.channels(x)), "int8", WEIGHT_SCALE, 127, scales=filters)
    bias = graph.weights((filters,), "int32", SCALE * WEIGHT_SCALE, 900, scales=filters)
    activation = draw(st.sampled_from(["NONE", "RELU6"]))
    graph.op("CONV_2D", 3, (x, weights, bias), (filters,), **ONE_STEP, fused_activation_function=activation)


def dense(draw: st.DrawFn, graph: Drawn) -> None:
    """Over the channels; with -1 for a bias that is not there."""
    x, units = draw(st.sampled_from(graph.values)), draw(CHANNELS)
    weights = graph.weights((units, graph.channels(x)), "int8", WEIGHT_SCALE, 127)
    bias = graph.weights((units,), "int32", SCALE * WEIGHT_SCALE, 900) if draw(st.booleans()) else -1
    graph.op("FULLY_CONNECTED", 4, (x, weights, bias), (units,), keep_num_dims=True)


def elementwise(draw: st.DrawFn, graph: Drawn) -> None:
    x = draw(st.sampled_from(graph.values))
    y = draw(st.sampled_from([value for value in graph.values if graph.channels(value) == graph.channels(x)]))
    graph.op(draw(st.sampled_from(["ADD", "MUL"])), 2, (x, y), (graph.channels(x),))


def concatenation(draw: st.DrawFn, graph: Drawn) -> None:
    parts = tuple(draw(st.lists(st.sampled_from(graph.values), min_size=2, max_size=3)))
    graph.op("CONCATENATION", 2, parts, (sum(map(graph.channels, parts)),), axis=3)


def split(draw: st.DrawFn, graph: Drawn) -> None:
    x = draw(st.sampled_from(graph.values))
    axis = graph.add(Tensor(name="axis", shape=(), dtype="int32", weights=ConstantWeights(values=(3,))))
    half = graph.channels(x) // 2
    if half % 2 == 0:  # all have an even number of channels
        graph.op("SPLIT", 2, (axis, x), (half, half), num_splits=2)


def pooling(draw: st.DrawFn, graph: Drawn) -> None:
    x = draw(st.sampled_from(graph.values))
    graph.op("MAX_POOL_2D", 2, (x,), (graph.channels(x),), **ONE_STEP, filter_width=3, filter_height=3)


def reshape(draw: st.DrawFn, graph: Drawn) -> None:
    """An op that LiteRT may do in place."""
    x = draw(st.sampled_from(graph.values))
    shape = (1, SIDE, SIDE, graph.channels(x))
    size = graph.add(Tensor(name="shape", shape=(4,), dtype="int32", weights=ConstantWeights(values=shape)))
    graph.op("RESHAPE", 1, (x, size), (graph.channels(x),), new_shape=shape)


def of_constants(draw: st.DrawFn, graph: Drawn) -> None:
    """An op that needs nothing from outside, so that a segment may have no inputs."""
    channels = draw(CHANNELS)
    x, y = (graph.weights((1, SIDE, SIDE, channels), "int8", SCALE, 127) for _ in range(2))
    graph.op("ADD", 2, (x, y), (channels,))


OPS = (convolution, dense, elementwise, concatenation, split, pooling, reshape, of_constants)


@st.composite
def runnable_graphs(draw: st.DrawFn, *, least_ops: int = 2, most_ops: int = 12) -> LayerGraph:
    """A graph of several inputs, some of them unused; its outputs are any tensors: inputs and constants among them."""
    graph = Drawn(dtype=draw(st.sampled_from(["int8", "float32"])))
    inputs = tuple(graph.activation(draw(CHANNELS)) for _ in range(draw(st.integers(1, 3))))
    count = draw(st.integers(least_ops, most_ops))
    while len(graph.layers) < count:
        draw(st.sampled_from(OPS))(draw, graph)
    last = graph.layers[-1].outputs[0]
    also = draw(st.lists(st.sampled_from([*graph.values, *graph.constants]), max_size=3, unique=True))
    outputs = tuple(draw(st.permutations(list(dict.fromkeys([last, *also])))))
    return LayerGraph(
        name="drawn", tensors=tuple(graph.tensors), layers=tuple(graph.layers), inputs=inputs, outputs=outputs
    )


@st.composite
def cuts_of(draw: st.DrawFn, layers: int) -> tuple[int, ...]:
    """Any cuts of a graph of so many layers; at least one."""
    return tuple(sorted(draw(st.sets(st.integers(1, layers - 1), min_size=1))))
