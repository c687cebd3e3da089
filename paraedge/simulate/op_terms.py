"""A prediction op by op: which op which part of its terms comes from, and what belongs to no op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paraedge.core.graph import LayerGraph
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import Counts, terms_ms
from paraedge.simulate.placement import place
from paraedge.simulate.predict import count
from paraedge.simulate.steps import UNTIMED_OPS, layer_steps
from paraedge.simulate.traffic import weight_fetches

OF_OPS = ("compute_ms", "weights_ms")
"""Terms that divide among the ops."""


@dataclass(frozen=True, kw_only=True)
class OpTerms:
    """by_op: of each op on the device, by its index, `compute_ms` and, where its parameters are streamed, `weights_ms`.

    An op whose compute has no timing model has no `compute_ms`.

    other_ms: of the invoke as a whole: `stream_setup_ms` and the terms of transfers, instructions and overhead. All of
    them together are the predicted latency.
    """

    by_op: Mapping[int, Mapping[str, float]]
    other_ms: Mapping[str, float]


def op_terms(graph: LayerGraph, hardware: Hardware) -> OpTerms:
    """Take the latency that `predict` gives for `graph`, which is not compiled, apart by its ops."""
    partition = place(graph, hardware)
    streamed = set(partition.streamed)
    by_op: dict[int, Mapping[str, float]] = {}
    for index in partition.placement.on_device:
        layer = graph.layers[index]
        kind, amount = layer_steps(graph.tensors, layer)
        fetches = weight_fetches(graph.tensors, layer, hardware) if index in streamed else 0
        counts = Counts(**{kind: amount}, streamed_bytes=fetches * partition.layer_bytes.get(index, 0))
        terms = terms_ms(counts, hardware.costs)
        known = {"compute_ms": layer.op not in UNTIMED_OPS, "weights_ms": index in streamed}
        by_op[index] = {name: terms[name] for name in OF_OPS if known[name]}
    whole = count(graph, partition, hardware)
    rest = terms_ms(whole, hardware.costs)
    setup = {"stream_setup_ms": whole.streams * hardware.costs["streams"]} if whole.streams else {}
    others = {name: value for name, value in rest.items() if name not in OF_OPS and (value or name != "cpu_ms")}
    return OpTerms(by_op=by_op, other_ms={**setup, **others})
