"""TransformerNetwork: the ops of a vision transformer, on tokens [batch, tokens, depth].

Two small things are left out, so that every constant is a parameter: the 1e-6 that keeps a layer norm's variance from
0, which random values never come near, and the 1 / sqrt(head size) before an attention's softmax, which is in the
weights of queries and keys, as converters fold it.
"""

from __future__ import annotations

import math

from paraedge.core.graph import Layer
from paraedge.models import options, scales
from paraedge.models.network import Network, Value
from paraedge.models.options import Options
from paraedge.models.scales import BIAS_SHARE, LINEAR_SCALE, RELU_LIMIT, After, one_scale, weights_and_bias
from paraedge.models.versions import KEPT_DIMENSIONS_VERSION, LOWEST_VERSION

ATTENTION_VARIANCE = 4.0
"""Of the sums before an attention's softmax: a few of the tokens that one token looks at stand out."""
ATTENTION_SHARE = 0.5
"""E[x^2] of what an attention gives, in parts of its values': 0.15 where 197 tokens differ, 1 where all are alike."""
GELU_MEAN_SQUARE = 0.4252
"""E[gelu(z)^2] of a standard normal z."""
GELU_LEAST, GELU_LIMIT = -0.17, 3.0
"""Least value of a GELU, and where its codes end, in standard deviations of what it is taken of."""
SQUARES_LIMIT, VARIANCE_LIMIT, ROOT_LIMIT = 9.0, 4.0, 2.0
"""Where a layer norm's codes end, in parts of what is expected: of squares, of their mean, of 1 / its square root."""


class TransformerNetwork(Network):
    """Network, and what a transformer needs besides."""

    def embedding(self, x: Value) -> Value:
        """Patches [batch, rows, columns, depth] to [batch, 1 + rows * columns, depth].

        A class token, learnt, goes before them, and a learnt position is added to each.
        """
        batch, rows, columns, depth = x.shape
        patches = self.reshape(x, (batch, rows * columns, depth))
        token = self.learnt("class_token", (1, 1, depth), 1.0, patches.scale)
        if batch > 1:
            token = self._for_batch(token, batch)
        shape = (batch, 1 + rows * columns, depth)
        both = (token.tensor_id, patches.tensor_id)
        name = f"concatenation_{len(self._layers)}"
        tokens = self._append_like(patches, "CONCATENATION", both, name, shape, options.TOKENS, patches.mean_square)
        return self.add(tokens, self.learnt("position", (1, *shape[1:]), 1.0))

    def token_dense(self, x: Value, units: int, activation: str = "NONE", *, variance: float = 1.0) -> Value:
        """FULLY_CONNECTED of every token, with bias: [batch, tokens, depth] to [batch, tokens, units]."""
        version = KEPT_DIMENSIONS_VERSION[self._precision]
        return self._product(x, units, (*x.shape[:-1], units), options.token_dense(activation), variance, version)

    def head(self, x: Value, units: int, *, variance: float) -> Value:
        """The class token's FULLY_CONNECTED, with bias: [batch, tokens, depth] to [batch, units]."""
        batch, _, depth = x.shape
        name, shape = f"slice_{len(self._layers)}", (batch, 1, depth)
        bounds = self.integers(f"{name}/begin", (0, 0, 0)), self.integers(f"{name}/size", shape)
        token = self._append_like(x, "SLICE", (x.tensor_id, *bounds), name, shape, {}, x.mean_square)
        return self._product(token, units, (batch, units), options.dense("NONE"), variance)

    def gelu(self, x: Value) -> Value:
        """GELU, the exact one, of sums of variance `x.mean_square`."""
        deviation = math.sqrt(x.mean_square)
        scale = (GELU_LIMIT - GELU_LEAST) * deviation / 255
        quantization = one_scale(scale, round(-128 - GELU_LEAST * deviation / scale))
        after = After(scale, GELU_MEAN_SQUARE * x.mean_square, quantization)
        return self.op("GELU", (x,), x.shape, options.GELU, after)

    def layer_norm(self, x: Value) -> Value:
        """Each token less its mean, over the root of its variance, times learnt gains, plus learnt biases."""
        row, square, depth = (*x.shape[:-1], 1), x.mean_square, x.shape[-1]
        learnt = (*(1,) * (len(x.shape) - 1), depth)
        mean = self._mean(x, _linear(square / depth))
        squares = self.op("SQUARED_DIFFERENCE", (x, mean), x.shape, {}, _positive(SQUARES_LIMIT, square))
        variance = self._mean(squares, _positive(VARIANCE_LIMIT, square))
        root = self.op("RSQRT", (variance,), row, {}, _positive(ROOT_LIMIT, 1 / math.sqrt(square)))
        centred = self.op("SUB", (x, mean), x.shape, options.SUB, _linear(square))
        normal = self.op("MUL", (centred, root), x.shape, options.MUL, _linear(1.0))
        gained = self.op("MUL", (normal, self.learnt("gain", learnt, 1.0)), x.shape, options.MUL, _linear(1.0))
        return self.add(gained, self.learnt("bias", learnt, BIAS_SHARE))

    def attention(self, x: Value, heads: int) -> Value:
        """What each token sees of all, through `heads` heads, not yet projected: [batch, tokens, depth] to the same."""
        batch, tokens, depth = x.shape
        size = depth // heads
        packed = self.token_dense(x, 3 * depth, variance=math.sqrt(ATTENTION_VARIANCE / size))
        by_head = self._swapped(self.reshape(packed, (batch, tokens, 3 * heads, size)))
        queries, keys, values = self._split(by_head, 3)
        square, after = (batch, heads, tokens, tokens), _linear(ATTENTION_VARIANCE)
        sums = self.op("BATCH_MATMUL", (queries, keys), square, options.matmul(adj_y=True), after)
        shares, after = self.softmax(sums), _linear(ATTENTION_SHARE * values.mean_square)
        seen = self.op("BATCH_MATMUL", (shares, values), values.shape, options.matmul(adj_y=False), after)
        return self.reshape(self._swapped(seen), (batch, tokens, depth))

    def _product(
        self,
        x: Value,
        units: int,
        shape: tuple[int, ...],
        layer_options: Options,
        variance: float,
        version: int | None = None,
    ) -> Value:
        depth, first, name = x.shape[-1], len(self._tensors), f"dense_{len(self._layers)}"
        rms = math.sqrt(variance / (depth * x.mean_square))
        self._tensors += weights_and_bias(name, (units, depth), rms, x.scale, self._precision, self._seed, first)
        activation = str(layer_options["fused_activation_function"])
        after = scales.after(activation, RELU_LIMIT, self._precision, variance)
        inputs = (x.tensor_id, first, first + 1)
        self._append("FULLY_CONNECTED", inputs, name, shape, layer_options, after.quantization, version)
        return Value(len(self._tensors) - 1, shape, after.scale, after.mean_square, activation == "NONE")

    def _mean(self, x: Value, after: After) -> Value:
        """MEAN over the last dimension, which stays, with one element."""
        name, shape = f"mean_{len(self._layers)}", (*x.shape[:-1], 1)
        inputs = (x.tensor_id, self.integers(f"{name}/axes", (len(shape) - 1,)))
        self._append("MEAN", inputs, name, shape, options.KEPT_MEAN, after.quantization)
        return Value(len(self._tensors) - 1, shape, after.scale, after.mean_square, linear=True)

    def _swapped(self, x: Value) -> Value:
        """TRANSPOSE of the two dimensions in the middle of four."""
        name, (batch, rows, columns, depth) = f"transpose_{len(self._layers)}", x.shape
        inputs = (x.tensor_id, self.integers(f"{name}/order", (0, 2, 1, 3)))
        return self._append_like(x, "TRANSPOSE", inputs, name, (batch, columns, rows, depth), {}, x.mean_square)

    def _split(self, x: Value, parts: int) -> list[Value]:
        """SPLIT along the second dimension."""
        name, shape = f"split_{len(self._layers)}", (x.shape[0], x.shape[1] // parts, *x.shape[2:])
        axis = self.integers(f"{name}/axis", 1)
        first, quantization = len(self._tensors), self._tensors[x.tensor_id].quantization
        names = [f"{name}/{part}" for part in range(parts)]
        self._tensors += [scales.activation(each, shape, self._precision, quantization) for each in names]
        self._layers.append(
            Layer(
                op="SPLIT",
                inputs=(axis, x.tensor_id),
                outputs=tuple(range(first, first + parts)),
                options={"num_splits": parts},
                version=LOWEST_VERSION["SPLIT"][self._precision],
            )
        )
        return [Value(first + part, shape, x.scale, x.mean_square, x.linear) for part in range(parts)]

    def _for_batch(self, x: Value, batch: int) -> Value:
        """BROADCAST_TO: the same for every input of a batch."""
        name, shape = f"broadcast_{len(self._layers)}", (batch, *x.shape[1:])
        inputs = (x.tensor_id, self.integers(f"{name}/shape", shape))
        return self._append_like(x, "BROADCAST_TO", inputs, name, shape, {}, x.mean_square)


def _linear(variance: float) -> After:
    """Of values around 0: the codes end at four standard deviations."""
    scale = LINEAR_SCALE * math.sqrt(variance)
    return After(scale, variance, one_scale(scale, 0))


def _positive(limit: float, expected: float) -> After:
    """Of values above 0: the codes end at `limit` times what is expected."""
    scale = limit * expected / 255
    return After(scale, expected * expected, one_scale(scale, -128))
