"""How the shapes of one op follow from those of its inputs, when a network is given other widths or another image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from paraedge.core.graph import BIAS_INPUT, ConstantWeights, Layer, OptionValue, Tensor

Shape: TypeAlias = "tuple[int, ...]"


class LostError(Exception):
    """The new shapes can't be followed through this op."""


@dataclass(kw_only=True)
class Op:
    """One layer on its way to new shapes. `new` and `put` are of the whole graph; `options` those that changed."""

    tensors: Sequence[Tensor]
    new: list[Shape]
    set_here: set[int]
    layer: Layer
    width: Callable[[int], int]
    options: dict[str, OptionValue] = field(default_factory=dict)

    def before(self, position: int) -> Shape:
        """Shape that an input had."""
        return self.tensors[self.layer.inputs[position]].shape

    def after(self, position: int) -> Shape:
        """Shape that an input has now."""
        return self.new[self.layer.inputs[position]]

    @property
    def was(self) -> Shape:
        """Shape that the output had."""
        return self.tensors[self.layer.outputs[0]].shape

    def put(self, tensor_id: int, shape: Sequence[int]) -> None:
        """Give a tensor its new shape."""
        if tensor_id in self.set_here and self.new[tensor_id] != tuple(shape):
            raise LostError("shares a tensor with an op that needs it in another shape")
        if min(shape, default=1) < 1:
            raise LostError("nothing would be left of the image")
        self.set_here.add(tensor_id)
        self.new[tensor_id] = tuple(shape)

    def put_output(self, *shape: int) -> None:
        """Give the output its new shape."""
        self.put(self.layer.outputs[0], shape)

    def put_weights(self, shape: Shape, outputs: int) -> None:
        """Give weights, and the bias where there is one, their new shapes."""
        self.put(self.layer.inputs[1], shape)
        bias = BIAS_INPUT[self.layer.op]
        if bias < len(self.layer.inputs) and self.layer.inputs[bias] >= 0:
            self.put(self.layer.inputs[bias], (outputs,))

    def option(self, name: str, default: int) -> int:
        """A whole number of the options; `default` where it isn't there."""
        value = self.layer.options.get(name)
        return value if type(value) is int else default

    def constants(self, position: int) -> tuple[int, ...]:
        """Values of a constant input; raises where the graph doesn't spell them out."""
        weights = self.tensors[self.layer.inputs[position]].weights
        if not isinstance(weights, ConstantWeights):
            raise LostError("depends on values that aren't known")
        return tuple(int(value) for value in weights.values)


def _places(op: Op, size: int, kernel: int, side: str) -> int:
    stride, dilation = op.option(f"stride_{side}", 1), op.option(f"dilation_{side}_factor", 1)
    if op.layer.options.get("padding", "SAME") == "SAME":
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _image(op: Op, kernel: tuple[int, int]) -> tuple[int, int]:
    _, height, width, _ = op.after(0)
    return _places(op, height, kernel[0], "h"), _places(op, width, kernel[1], "w")


def _convolution(op: Op) -> None:
    filters, height, width, depth = op.before(1)
    if op.before(0)[3] != depth:
        raise LostError("is a grouped convolution")
    outputs = op.width(filters)
    op.put_weights((outputs, height, width, op.after(0)[3]), outputs)
    op.put_output(op.after(0)[0], *_image(op, (height, width)), outputs)


def _depthwise(op: Op) -> None:
    one, height, width, channels = op.before(1)
    outputs = op.after(0)[3] * (channels // op.before(0)[3])
    op.put_weights((one, height, width, outputs), outputs)
    op.put_output(op.after(0)[0], *_image(op, (height, width)), outputs)


def _transpose_convolution(op: Op) -> None:
    filters, height, width, _ = op.before(1)
    outputs = op.width(filters)
    sides = []
    for axis, side in ((1, "h"), (2, "w")):
        stride = op.option(f"stride_{side}", 1)
        sides.append(op.after(2)[axis] * stride + op.was[axis] - op.before(2)[axis] * stride)
    op.put_weights((outputs, height, width, op.after(2)[3]), outputs)
    op.put_output(op.after(2)[0], *sides, outputs)


def _fully_connected(op: Op) -> None:
    units, depth = op.before(1)
    taken, given, outputs = op.before(0), op.after(0), op.width(units)
    rows = math.prod(taken) // depth
    if taken[-1] == depth:
        new_depth, rows = given[-1], math.prod(given[:-1])
    else:
        new_depth = math.prod(given) // rows
    op.put_weights((outputs, new_depth), outputs)
    same_rank = len(op.was) == len(taken) and taken[-1] == depth
    op.put_output(*(given[:-1] if same_rank else (rows,)), outputs)


def _elementwise(op: Op) -> None:
    values = [i for i in op.layer.inputs if i >= 0 and op.tensors[i].weights is None]
    shapes = [op.new[i] for i in values]
    shape = []
    for axis in range(-len(op.was), 0):
        sizes = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(sizes) > 1:
            raise LostError("its inputs would no longer have the same shape")
        shape.append(sizes.pop() if sizes else 1)
    for tensor_id in op.layer.inputs:
        if tensor_id >= 0 and op.tensors[tensor_id].weights is not None:
            old = op.tensors[tensor_id].shape
            op.put(tensor_id, [size if size == 1 else shape[axis - len(old)] for axis, size in enumerate(old)])
    op.put_output(*shape)


def _concatenation(op: Op) -> None:
    axis = op.option("axis", 0) % len(op.was)
    shapes = [op.new[i] for i in op.layer.inputs]
    if len({(*s[:axis], *s[axis + 1 :]) for s in shapes}) > 1:
        raise LostError("its inputs would no longer fit together")
    first = shapes[0]
    op.put_output(*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def _split(op: Op) -> None:
    shape, parts = list(op.after(1)), len(op.layer.outputs)
    axis = op.constants(0)[0] % len(shape)
    if shape[axis] % parts:
        raise LostError("its input would no longer divide evenly")
    shape[axis] //= parts
    for tensor_id in op.layer.outputs:
        op.put(tensor_id, shape)


def _pool(op: Op) -> None:
    """A mean over the whole image stays one; the maximum of a few pixels may span a small image by chance."""
    is_mean = op.layer.op == "AVERAGE_POOL_2D" and op.layer.options.get("padding") == "VALID"
    sides = []
    for axis, side, name in ((1, "h", "filter_height"), (2, "w", "filter_width")):
        window = op.option(name, 1)
        if is_mean and window == op.before(0)[axis]:
            window = op.options[name] = op.after(0)[axis]
        sides.append(_places(op, op.after(0)[axis], window, side))
    op.put_output(op.after(0)[0], *sides, op.after(0)[3])


def _reduce(op: Op) -> None:
    shape = op.after(0)
    axes = {axis % len(shape) for axis in op.constants(1)}
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    keep_dims = bool(op.layer.options.get("keep_dims"))
    op.put_output(*(kept if keep_dims else [size for axis, size in enumerate(kept) if axis not in axes]))


def _pad(op: Op) -> None:
    op.put_output(*(new + was - old for new, was, old in zip(op.after(0), op.was, op.before(0), strict=True)))


def _resize_image(op: Op) -> None:
    """A resize to the size of another value goes to that value's new size, else by the same whole factor."""
    batch, *image, channels = op.after(0)
    sizes: dict[Shape, Shape] = {
        tensor.shape[1:3]: op.new[i][1:3]
        for i, tensor in enumerate(op.tensors)
        if tensor.weights is None and len(tensor.shape) == 4 and (i in op.set_here or op.new[i] != tensor.shape)
    }
    target: Sequence[int] | None = sizes.get(op.was[1:3])
    if target is None:
        factors = [divmod(was, old) for was, old in zip(op.was[1:3], op.before(0)[1:3], strict=True)]
        if any(rest for _, rest in factors):
            raise LostError("resizes by a factor that isn't whole")
        target = [size * factor for size, (factor, _) in zip(image, factors, strict=True)]
    op.put_output(batch, *target, channels)


def _space_to_depth(op: Op) -> None:
    batch, height, width, depth = op.after(0)
    block = op.option("block_size", 1)
    if height % block or width % block:
        raise LostError("its input would no longer divide into blocks")
    op.put_output(batch, height // block, width // block, depth * block * block)


def _transpose(op: Op) -> None:
    op.put_output(*(op.after(0)[axis] for axis in op.constants(1)))


def _reshape(op: Op) -> None:
    """Dimensions that are joined become the product of the new ones; one that is split must not change."""
    shape: list[int] = []
    for old, new, was in _runs(op.before(0), op.after(0), op.was):
        above_1 = [axis for axis, size in enumerate(was) if size != 1]
        if old == new:
            shape += was
        elif len(above_1) == 1:
            shape += [math.prod(new) if axis == above_1[0] else 1 for axis in range(len(was))]
        else:
            raise LostError("splits a dimension that changes")
    op.put_output(*shape)


def _runs(old: Shape, new: Shape, was: Shape) -> Iterator[tuple[Shape, Shape, Shape]]:
    """The shortest runs of input and output dimensions that hold equally many elements: old, new, output's."""
    i = j = 0
    while i < len(old) or j < len(was):
        first, start = i, j
        taken, made = math.prod(old[i : i + 1]), math.prod(was[j : j + 1])
        i, j = i + 1, j + 1
        while taken != made:
            if taken < made:
                taken, i = taken * old[i], i + 1
            else:
                made, j = made * was[j], j + 1
        yield old[first:i], new[first:i], was[start:j]


def _unchanged(op: Op) -> None:
    for position, tensor_id in enumerate(op.layer.inputs):
        if tensor_id >= 0 and op.after(position) != op.before(position):
            raise LostError("has shapes that can't be followed")


_ELEMENTWISE = """ADD L2_NORMALIZATION LOGISTIC MAXIMUM MINIMUM MUL PRELU QUANTIZE RELU RELU6 RELU_N1_TO_1 RSQRT SOFTMAX
    SQUARED_DIFFERENCE SUB TANH""".split()

_RULES: Mapping[str, Callable[[Op], None]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _pool),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _reduce),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _reshape),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize_image),
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "PAD": _pad,
    "SPACE_TO_DEPTH": _space_to_depth,
    "SPLIT": _split,
    "TRANSPOSE": _transpose,
    "TRANSPOSE_CONV": _transpose_convolution,
}
"""Ops whose shapes can be followed; any other's must not change."""


def follow(op: Op) -> None:
    """Give the outputs and constants of a layer their new shapes; raises LostError where that can't be told."""
    try:
        _RULES.get(op.layer.op, _unchanged)(op)
    except (ArithmeticError, IndexError, TypeError, ValueError):  # a malformed op: too few inputs, other ranks
        raise LostError("has shapes that don't belong to it") from None
