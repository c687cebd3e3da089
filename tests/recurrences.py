"""Recurrent cells in numpy, of floats and of int8 codes, and small networks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from fixed_point import rescale, rescale_once

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import build_graph
from paraedge.models.rnn import RnnParams

Array = np.ndarray
Gates: TypeAlias = Mapping[str, tuple[Array, Array]]
"""Weights and biases of each gate."""
Step: TypeAlias = Callable[[Gates, Array, Array, Array], tuple[Array, Array]]
"""Gates, input, state, cell -> state, cell, each [batch, unit]."""

CELLS = ("rnn", "lstm", "gru")
OPS = {"rnn": 3, "lstm": 14, "gru": 12}
"""Of a step; its last op gives the state."""
NAMES = {
    "rnn": ("state",),
    "lstm": ("input", "forget", "candidate", "output"),
    "gru": ("update", "reset", "candidate"),
}


def graph(params: RnnParams, precision: Precision = "int8", batch: int = 1, seed: int = 3) -> LayerGraph:
    return build_graph(ModelSpec(family="rnn", params=params, precision=precision, batch=batch, seed=seed))


def small(cell: str, **more: Any) -> RnnParams:
    return RnnParams(cell=cell, **{"layer": 2, "embed": 24, "length": 6, "vocab": 10, **more})


def gates_of(cell: str, layer: int, known: Mapping[str, Array]) -> Gates:
    return {name: (known[f"layer_{layer}/{name}/weights"], known[f"layer_{layer}/{name}/bias"]) for name in NAMES[cell]}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def rnn_step(gates: Gates, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Elman, 1990."""
    w, b = gates["state"]
    return np.tanh(np.concatenate([x, h], 1) @ w.T + b), c


def lstm_step(gates: Gates, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000."""
    i, f, g, o = (np.concatenate([x, h], 1) @ w.T + b for w, b in (gates[name] for name in NAMES["lstm"]))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(gates: Gates, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Cho et al., arXiv 1406.1078, equations 5 to 8."""
    (wz, bz), (wr, br), (wn, bn) = (gates[name] for name in NAMES["gru"])
    z, r = sigmoid(np.concatenate([x, h], 1) @ wz.T + bz), sigmoid(np.concatenate([x, h], 1) @ wr.T + br)
    n = np.tanh(np.concatenate([x, r * h], 1) @ wn.T + bn)
    return z * h + (1 - z) * n, c


FLOAT_STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


def recurrence(step: Step, cell: str, layers: int, x: Array, known: Mapping[str, Array]) -> Array:
    found = []
    for layer in range(layers):
        h = c = np.zeros_like(x[0])
        gates, made = gates_of(cell, layer, known), []
        for value in x:
            h, c = step(gates, value, h, c)
            made.append(h)
        x = np.stack(made)
        found.append(x)
    return np.stack(found)


def lookup(codes: Array, scale: float, function: Callable[[Array], Array], out: float, zero: int) -> Array:
    """A function of codes of the given scale, rounded to codes of another."""
    real = function(np.float32(scale) * codes.astype(np.float32)) / np.float32(out)
    return np.clip(np.floor(real + 0.5) + zero, -128, 127).astype(np.int64)


class Int8:
    """The recurrences on int8 codes, each op rounded as the reference kernels do."""

    state, gate, sums = 1 / 128, 1 / 256, 4 / 128
    """Scales of states, of what a sigmoid gives, and of a gate's sums, the zero point of the second being -128."""

    def __init__(self, made: LayerGraph) -> None:
        self.weight_scales = {
            t.name: t.quantization.scales[0] for t in made.tensors if t.weights is not None and t.quantization
        }
        self.layer = 0
        adds = [made.tensors[layer.outputs[0]] for layer in made.layers if layer.op == "ADD"]
        self.cell = adds[0].quantization.scales[0] if adds and adds[0].quantization else 0.0

    def dense(self, gates: Gates, name: str, x: Array, h: Array) -> Array:
        w, b = gates[name]
        scale = float(np.float32(self.weight_scales[f"layer_{self.layer}/{name}/weights"]))
        totals = np.concatenate([x, h], 1).astype(np.int64) @ w.T.astype(np.int64) + b
        return np.clip(rescale_once(totals, self.state * scale / self.sums), -128, 127)

    def sigmoid(self, codes: Array) -> Array:
        """Less its zero point."""
        return lookup(codes, self.sums, sigmoid, self.gate, -128) + 128

    def tanh(self, codes: Array, scale: float) -> Array:
        return lookup(codes, scale, np.tanh, self.state, 0)

    def product(self, x: Array, y: Array, scales: tuple[float, float], out: float) -> Array:
        a, b, c = (float(np.float32(scale)) for scale in (*scales, out))
        return np.clip(rescale(x * y, a * b / c), -128, 127)

    def sum(self, x: Array, y: Array, scales: tuple[float, float], out: float, sign: int = 1) -> Array:
        a, b, c = (float(np.float32(scale)) for scale in (*scales, out))
        twice = 2 * max(a, b)
        left, right = rescale(x << 20, a / twice), rescale(y << 20, b / twice)
        return np.clip(rescale(left + sign * right, twice / (2**20 * c)), -128, 127)

    def rnn(self, gates: Gates, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        return self.tanh(self.dense(gates, "state", x, h), self.sums), c

    def lstm(self, gates: Gates, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        i, f, o = (self.sigmoid(self.dense(gates, name, x, h)) for name in ("input", "forget", "output"))
        g = self.tanh(self.dense(gates, "candidate", x, h), self.sums)
        kept = self.product(f, c, (self.gate, self.cell), self.cell)
        taken = self.product(i, g, (self.gate, self.state), self.state)
        c = self.sum(kept, taken, (self.cell, self.state), self.cell)
        return self.product(o, self.tanh(c, self.cell), (self.gate, self.state), self.state), c

    def gru(self, gates: Gates, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
        z, r = (self.sigmoid(self.dense(gates, name, x, h)) for name in ("update", "reset"))
        reset = self.product(r, h, (self.gate, self.state), self.state)
        n = self.tanh(self.dense(gates, "candidate", x, reset), self.sums)
        wide = 2 * self.state
        change = self.product(z, self.sum(h, n, (self.state, self.state), wide, -1), (self.gate, wide), wide)
        return self.sum(n, change, (self.state, wide), self.state), c

    def states(self, cell: str, layers: int, x: Array, known: Mapping[str, Array]) -> Array:
        found = []
        for self.layer in range(layers):
            only = {name.replace(f"layer_{self.layer}/", "layer_0/"): value for name, value in known.items()
                    if name.startswith(f"layer_{self.layer}/")}  # fmt: skip
            x = recurrence(getattr(self, cell), cell, 1, x.astype(np.int64), only)[0]
            found.append(x)
        return np.stack(found)
