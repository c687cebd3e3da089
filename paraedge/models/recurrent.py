"""RecurrentNetwork: what an unrolled recurrent network needs besides Network, on vectors [batch, units].

Inputs and states have one scale, 1/128, so that one vector can hold both: a CONCATENATION demands equal scales, and a
TANH gives this one. The weights of a gate are one tensor that all its steps share.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from paraedge.core.graph import Tensor
from paraedge.models import options, scales
from paraedge.models.network import Network, Value
from paraedge.models.scales import After, one_scale, weights_and_bias

STATE_SCALE = 1 / 128
"""Of inputs, states, and the output of a TANH, as TFLite's quantization specification has it."""
INPUT_MEAN_SQUARE = 1 / 3
"""Of an input uniform in [-1, 1), as uniform int8 codes of that scale are."""
SIGMOID_MEAN_SQUARE, TANH_MEAN_SQUARE = 0.2934, 0.3943
"""E[f(z)^2] of a standard normal z, as a gate's sums are."""

SIGMOID = After(1 / 256, SIGMOID_MEAN_SQUARE, one_scale(1 / 256, -128))
TANH = After(STATE_SCALE, TANH_MEAN_SQUARE, one_scale(STATE_SCALE, 0))


class Gate(NamedTuple):
    """Tensor ids of a gate's weights [units, 2 * units] and biases [units]."""

    weights: int
    bias: int
    units: int


class RecurrentNetwork(Network):
    """Network, and the ops of recurrent cells."""

    def input(self, shape: tuple[int, ...]) -> Value:
        """The graph's one input, [batch, length, units]: a sequence that was embedded already."""
        self._tensors.append(scales.activation("input", shape, self._precision, one_scale(STATE_SCALE, 0)))
        return Value(0, shape, STATE_SCALE, INPUT_MEAN_SQUARE, linear=True)

    def tokens(self, batch: int, length: int, vocab: int, units: int) -> Value:
        """The graph's one input, int32 [batch, length], and GATHER of its rows of a learnt table [vocab, units]."""
        self._tensors.append(Tensor(name="input", shape=(batch, length), dtype="int32"))
        tokens = Value(0, (batch, length), 1.0, 0.0, linear=True)
        table = self.learnt("embedding", (vocab, units), math.sqrt(INPUT_MEAN_SQUARE), STATE_SCALE)
        return self.op("GATHER", (table, tokens), (batch, length, units), options.GATHER, state(INPUT_MEAN_SQUARE))

    def steps(self, x: Value) -> list[Value]:
        """STRIDED_SLICE of every step of a sequence [batch, length, units], each [batch, units]."""
        batch, length, units = x.shape
        borders = [self.integers(f"step_{step}", (0, step, 0)) for step in range(length + 1)]
        strides, found = self.integers("strides", (1, 1, 1)), []
        for begin, end in itertools.pairwise(borders):
            inputs, name = (x.tensor_id, begin, end, strides), f"strided_slice_{len(self._layers)}"
            step = self._append_like(x, "STRIDED_SLICE", inputs, name, (batch, units), options.STEP, x.mean_square)
            found.append(step)
        return found

    def zero(self, x: Value) -> Value:
        """The state before the first step: SUB of a vector from itself, as a constant would count as a parameter."""
        return self.op("SUB", (x, x), x.shape, options.SUB, state(0.0))

    def gate(self, name: str, units: int, mean_square: float) -> Gate:
        """Weights that give sums of variance 1 over an input and a state whose mean squares add to `mean_square`."""
        first, rms = len(self._tensors), 1 / math.sqrt(units * mean_square)
        shape = (units, 2 * units)
        self._tensors += weights_and_bias(name, shape, rms, STATE_SCALE, self._precision, self._seed, first)
        return Gate(first, first + 1, units)

    def joined(self, x: Value, previous: Value) -> Value:
        """CONCATENATION of an input and a state."""
        inputs, name = (x.tensor_id, previous.tensor_id), f"concatenation_{len(self._layers)}"
        shape, mean_square = (x.shape[0], x.shape[1] + previous.shape[1]), (x.mean_square + previous.mean_square) / 2
        return self._append_like(x, "CONCATENATION", inputs, name, shape, options.VECTORS, mean_square)

    def sums(self, x: Value, gate: Gate) -> Value:
        """FULLY_CONNECTED with a gate's weights."""
        name, shape = f"dense_{len(self._layers)}", (x.shape[0], gate.units)
        after = scales.after("NONE", 0.0, self._precision)
        inputs = (x.tensor_id, gate.weights, gate.bias)
        self._append("FULLY_CONNECTED", inputs, name, shape, options.dense("NONE"), after.quantization)
        return Value(len(self._tensors) - 1, shape, after.scale, after.mean_square, linear=True)

    def sigmoid(self, x: Value) -> Value:
        """LOGISTIC, between 0 and 1."""
        return self.op("LOGISTIC", (x,), x.shape, {}, SIGMOID)

    def tanh(self, x: Value) -> Value:
        """TANH, between -1 and 1."""
        return self.op("TANH", (x,), x.shape, {}, TANH)

    def product(self, x: Value, y: Value, after: After) -> Value:
        """MUL of two vectors."""
        return self.op("MUL", (x, y), x.shape, options.MUL, after)

    def difference(self, x: Value, y: Value, after: After) -> Value:
        """SUB of two vectors."""
        return self.op("SUB", (x, y), x.shape, options.SUB, after)

    def sum(self, x: Value, y: Value, after: After) -> Value:
        """ADD of two vectors."""
        return self.op("ADD", (x, y), x.shape, options.add("NONE"), after)


def state(mean_square: float) -> After:
    """Of what a cell takes or gives: values from -1 to 1 of that E[x^2]."""
    return After(STATE_SCALE, mean_square, one_scale(STATE_SCALE, 0))
