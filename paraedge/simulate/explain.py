"""Why a prediction is what it is: the term that rules, what each streamed layer costs, and what would mend it."""

from __future__ import annotations

from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.simulate.advice import Advice, advise
from paraedge.simulate.constants import Hardware
from paraedge.simulate.parameters import parameter_bytes
from paraedge.simulate.traffic import activation_bytes, weight_fetches


@dataclass(frozen=True, kw_only=True)
class Spill:
    """A layer whose parameters are streamed at every invoke, so many times, and the milliseconds that this takes.

    activation_bytes: its input and output together; where they outgrow the narrow memory there is a fetch a stripe.
    """

    index: int
    op: str
    parameter_bytes: int
    activation_bytes: int
    fetches: int
    cost_ms: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """rules: the largest term, of `rules_ms`. spilled: the costliest first; `setup_ms` comes on top of them, once.

    narrow_memory_bytes: of the device, for input and output of a layer. advice: see `advice.Advice`.
    """

    rules: str
    rules_ms: float
    spilled: tuple[Spill, ...]
    setup_ms: float
    narrow_memory_bytes: int
    advice: Advice


def explain(prediction: Prediction, graph: LayerGraph, hardware: Hardware) -> Explanation:
    """Take a prediction of `graph` on `hardware` apart; the changes that would mend it are predicted in turn."""
    rules, rules_ms = max(prediction.terms.items(), key=lambda term: term[1])
    spilled = [_spill(graph, index, hardware) for index in prediction.placement.off_chip or ()]
    return Explanation(
        rules=rules,
        rules_ms=rules_ms,
        spilled=tuple(sorted(spilled, key=lambda spill: (-spill.cost_ms, spill.index))),
        setup_ms=hardware.stream_setup_ms if spilled else 0.0,
        narrow_memory_bytes=int(hardware.narrow_memory_bytes),
        advice=advise(prediction, graph, hardware),
    )


def _spill(graph: LayerGraph, index: int, hardware: Hardware) -> Spill:
    layer = graph.layers[index]
    size = parameter_bytes(graph.tensors, layer)
    fetches = weight_fetches(graph.tensors, layer, hardware)
    return Spill(
        index=index,
        op=layer.op,
        parameter_bytes=size,
        activation_bytes=sum(activation_bytes(graph.tensors, layer)),
        fetches=fetches,
        cost_ms=size * fetches * hardware.costs["streamed_bytes"],
    )
