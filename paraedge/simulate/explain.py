"""Sentences on why a prediction is what it is."""

from __future__ import annotations

from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.simulate.mappable import EDGETPU_OP
from paraedge.simulate.shapes import MIB

TERM_NAMES = {
    "compute_ms": "computing",
    "weights_ms": "streaming parameters",
    "input_ms": "sending the input",
    "output_ms": "returning the output",
    "instructions_ms": "sending instructions",
    "overhead_ms": "the fixed cost of an invoke",
    "cpu_ms": "ops on the CPU",
}
MOST_NAMES = 8


def explain(prediction: Prediction, graph: LayerGraph) -> list[str]:
    """Sentences: the term that rules, which layers spilled and what that costs, ops on the CPU, what is untimed."""
    placement = prediction.placement
    if not placement.on_device:
        return [
            f"No op of {graph.name!r} can run on the Edge TPU, so there is no latency to give.",
            *_cpu(prediction, graph),
        ]
    if any(layer.custom_code == EDGETPU_OP for layer in graph.layers):
        return [
            f"{graph.name!r} is compiled for the Edge TPU, and what its executable does is not timed: "
            "predict the file that it was compiled from."
        ]
    sentences = [_ruling_term(prediction)]
    if placement.off_chip:
        cost_ms = prediction.terms["weights_ms"]
        sentences.append(
            f"{placement.off_chip_bytes / MIB:.2f} MiB of parameters don't fit beside the "
            f"{placement.on_chip_bytes / MIB:.2f} MiB in the cache and are streamed at every invoke, "
            f"which costs {cost_ms:.3g} ms: {_layers(placement.off_chip, graph)}."
        )
    elif placement.on_chip:
        sentences.append(f"All parameters, {placement.on_chip_bytes / MIB:.2f} MiB, stay in the device's cache.")
    if prediction.first_ms is not None:
        upload = prediction.first_ms - prediction.latency_ms
        sentences.append(f"The first invoke takes {upload:.3g} ms more, to upload the cached parameters.")
    return [*sentences, *_cpu(prediction, graph)]


def _ruling_term(prediction: Prediction) -> str:
    name, value = max(prediction.terms.items(), key=lambda term: term[1])
    share = value / prediction.latency_ms if prediction.latency_ms else 0.0
    kind = "at least" if prediction.untimed else "about"
    return (
        f"An invoke takes {kind} {prediction.latency_ms:.3g} ms on {prediction.device}; "
        f"{TERM_NAMES[name]} rules it with {value:.3g} ms ({share:.0%})."
    )


def _cpu(prediction: Prediction, graph: LayerGraph) -> list[str]:
    placement = prediction.placement
    sentences = []
    if placement.on_cpu:
        count, total = len(placement.on_cpu), len(graph.layers)
        first = placement.on_cpu[0]
        for index in placement.on_cpu:
            if "more than one subgraph" not in placement.reasons[index]:
                first = index
                break
        sentences.append(
            f"{count} of {total} ops on the CPU: {_layers(placement.on_cpu, graph)}. "
            f"Why: {first} {graph.layers[first].op}, {placement.reasons[first]}."
        )
    if prediction.untimed:
        count = len(prediction.untimed)
        named = f"op {prediction.untimed[0]}" if count == 1 else f"{count} ops, the first {prediction.untimed[0]}"
        sentences.append(f"Not timed, so that the latency is a lower bound: {named}.")
    return sentences


def _layers(indices: tuple[int, ...], graph: LayerGraph) -> str:
    shown = [f"{index} {graph.layers[index].op}" for index in indices[:MOST_NAMES]]
    more = len(indices) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
