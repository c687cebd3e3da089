"""Recurrent networks, as ParaDnn's (arXiv 1907.10701, section 2.1): many to one, unrolled, hidden units = embedding.

Every layer's cell takes the layer below's states, the first one the embedded sequence; FULLY_CONNECTED of the last
layer's last state gives the output. Gates are those of Keras' SimpleRNN, LSTM (Hochreiter and Schmidhuber, 1997, with
a forget gate) and GRU (Cho et al., arXiv 1406.1078: reset before the product), one FULLY_CONNECTED each, over the input
and the state in one vector, with one bias. Layer after layer, each over all its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models.network import Value
from paraedge.models.params import check_params, choice, count
from paraedge.models.recurrent import (
    SIGMOID_MEAN_SQUARE,
    STATE_SCALE,
    TANH_MEAN_SQUARE,
    RecurrentNetwork,
    state,
)
from paraedge.models.scales import LINEAR_SCALE, After, one_scale

Cell: TypeAlias = Callable[[RecurrentNetwork, str, "list[Value]", Value], "list[Value]"]

MOST_STEPS = 10_000
"""Of all layers together. ParaDnn's largest network has 1170; every step is up to 14 ops."""

CELL_MEAN_SQUARE = SIGMOID_MEAN_SQUARE * TANH_MEAN_SQUARE / (1 - SIGMOID_MEAN_SQUARE)
"""E[c^2] where c' = f c + i g does not change it, of gates that have nothing to do with one another."""
LSTM_MEAN_SQUARE = SIGMOID_MEAN_SQUARE * 0.1261
"""E[h^2] of h = o tanh(c); 0.1261 is E[tanh(c)^2] of a normal c."""
GRU_MEAN_SQUARE = CELL_MEAN_SQUARE
"""E[h^2] where h' = z h + (1 - z) n does not change it."""

_CELL_SCALE = LINEAR_SCALE * CELL_MEAN_SQUARE**0.5
_CELL = After(_CELL_SCALE, CELL_MEAN_SQUARE, one_scale(_CELL_SCALE, 0))
_CHANGE = After(2 * STATE_SCALE, TANH_MEAN_SQUARE + GRU_MEAN_SQUARE, one_scale(2 * STATE_SCALE, 0))
"""Of the difference of two values between -1 and 1."""


@dataclass(frozen=True, kw_only=True)
class RnnParams(Params):
    """`layer` layers of `cell`s of `embed` units, on `length` vectors of `embed` values; `vocab` units at the end.

    `embedding`: none, the input is a sequence of vectors; gather, it is one of whole numbers below `vocab`, which an
    Edge TPU can't take.
    """

    cell: str = choice(default="lstm", among=("rnn", "lstm", "gru"))
    layer: int = count(most=MOST_STEPS)
    embed: int = count()
    length: int = count(most=MOST_STEPS)
    vocab: int = count()
    embedding: str = choice(default="none", among=("none", "gather"))

    def __post_init__(self) -> None:
        check_params(self)
        if self.layer * self.length > MOST_STEPS:
            raise BadInput(f"layer * length = {self.layer * self.length}: must be at most {MOST_STEPS} steps in all")


def build_rnn(spec: ModelSpec, params: RnnParams) -> LayerGraph:
    """[batch, length, embed], or int32 [batch, length] with embedding gather -> [batch, vocab]."""
    network, cell = RecurrentNetwork(spec), CELLS[params.cell]
    if params.embedding == "gather":
        sequence = network.tokens(spec.batch, params.length, params.vocab, params.embed)
    else:
        sequence = network.input((spec.batch, params.length, params.embed))
    steps = network.steps(sequence)
    zero = network.zero(steps[0])
    for layer in range(params.layer):
        steps = cell(network, f"layer_{layer}", steps, zero)
    return network.graph(network.dense(steps[-1], params.vocab, "NONE"))


def _rnn(network: RecurrentNetwork, name: str, steps: list[Value], zero: Value) -> list[Value]:
    """The state is h = tanh(W [x, h])."""
    h, states = zero, []
    gate = network.gate(f"{name}/state", h.shape[1], steps[0].mean_square + TANH_MEAN_SQUARE)
    for x in steps:
        h = network.tanh(network.sums(network.joined(x, h), gate))
        states.append(h)
    return states


def _lstm(network: RecurrentNetwork, name: str, steps: list[Value], zero: Value) -> list[Value]:
    """The cell is c = sigmoid(F [x, h]) c + sigmoid(I [x, h]) tanh(G [x, h]); h = sigmoid(O [x, h]) tanh(c)."""
    h = c = zero
    states, mean_square = [], steps[0].mean_square + LSTM_MEAN_SQUARE
    names = ("input", "forget", "candidate", "output")
    gates = [network.gate(f"{name}/{gate}", h.shape[1], mean_square) for gate in names]
    for x in steps:
        both = network.joined(x, h)
        take, forget, candidate, give = (network.sums(both, gate) for gate in gates)
        kept = network.product(network.sigmoid(forget), c, _CELL)
        taken = network.product(network.sigmoid(take), network.tanh(candidate), state(CELL_MEAN_SQUARE))
        c = network.sum(kept, taken, _CELL)
        h = network.product(network.sigmoid(give), network.tanh(c), state(LSTM_MEAN_SQUARE))
        states.append(h)
    return states


def _gru(network: RecurrentNetwork, name: str, steps: list[Value], zero: Value) -> list[Value]:
    """Gates z, r = sigmoid(Z [x, h]), sigmoid(R [x, h]); n = tanh(N [x, r h]); h = n + z (h - n), z h + (1 - z) n."""
    h, states, depth = zero, [], zero.shape[1]
    mean_square, reset_square = steps[0].mean_square, SIGMOID_MEAN_SQUARE * GRU_MEAN_SQUARE
    update = network.gate(f"{name}/update", depth, mean_square + GRU_MEAN_SQUARE)
    reset = network.gate(f"{name}/reset", depth, mean_square + GRU_MEAN_SQUARE)
    candidate = network.gate(f"{name}/candidate", depth, mean_square + reset_square)
    for x in steps:
        both = network.joined(x, h)
        z, r = network.sigmoid(network.sums(both, update)), network.sigmoid(network.sums(both, reset))
        seen = network.joined(x, network.product(r, h, state(reset_square)))
        n = network.tanh(network.sums(seen, candidate))
        change = network.product(z, network.difference(h, n, _CHANGE), _CHANGE)
        h = network.sum(n, change, state(GRU_MEAN_SQUARE))
        states.append(h)
    return states


CELLS: Mapping[str, Cell] = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}
