"""An explanation in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.core.words import milliseconds, op_name, percent, plural, quantity_bytes
from paraedge.simulate.advice import Advice, Cuts, Image, NoWay, Widths
from paraedge.simulate.explain import Explanation
from paraedge.simulate.steps import UNTIMED_OPS

TERM_NAMES = {
    "compute_ms": "computing",
    "weights_ms": "streaming parameters",
    "input_ms": "sending the input",
    "output_ms": "returning the output",
    "instructions_ms": "sending instructions",
    "overhead_ms": "the fixed cost of an invoke",
    "cpu_ms": "ops on the CPU",
}
FASTER = {
    "compute_ms": "it has to compute less",
    "weights_ms": "it needs fewer parameters",
    "input_ms": "send a smaller input",
    "output_ms": "return less: fewer or smaller outputs",
    "instructions_ms": "use fewer ops: each has its instructions, sent at every invoke",
    "overhead_ms": "change the host or its link: nothing in the network does it",
    "cpu_ms": "keep the ops off the CPU",
}
"""By the term that rules."""
MOST_WIDTHS = 4


def sentences(explanation: Explanation, prediction: Prediction, graph: LayerGraph) -> list[str]:
    """What rules, how sure that is, what is streamed and why, and what would mend it.

    Ops that aren't timed are in `prediction.untimed`, and not told again.
    """
    placement = prediction.placement
    if not placement.on_device:
        return [f"No op of {graph.name!r} can run on the Edge TPU, so there is no latency to give."]
    if graph.is_compiled:
        return [
            f"{graph.name!r} is compiled for the Edge TPU, and what its executable does is not timed: "
            "predict the file that it was compiled from."
        ]
    found = [_ruling_term(explanation, prediction, graph), *_interval(prediction)]
    if explanation.spilled:
        found += [*_streamed(explanation, prediction), *_mends(explanation.advice, prediction.device)]
    else:
        found += _kept(explanation, prediction)
    if prediction.first_ms is not None and placement.on_chip_bytes:
        upload_ms = prediction.first_ms - prediction.latency_ms
        found.append(f"The first invoke takes {milliseconds(upload_ms)} ms more, to upload the cached parameters.")
    return found


def latency_text(prediction: Prediction, graph: LayerGraph) -> str:
    """`at least 3.21 ms an invoke, without the ops on the CPU`: at least, where a mapped op's compute isn't timed."""
    placement = prediction.placement
    if not placement.on_device:
        return "no latency; no op can run on the Edge TPU"
    bound = "at least " if any(graph.layers[index].op in UNTIMED_OPS for index in placement.on_device) else ""
    without = ", without the ops on the CPU" if placement.on_cpu else ""
    return f"{bound}{prediction.latency_ms:.4g} ms an invoke{without}"


def _ruling_term(explanation: Explanation, prediction: Prediction, graph: LayerGraph) -> str:
    share = explanation.rules_ms / prediction.latency_ms if prediction.latency_ms else 0.0
    return (
        f"On {prediction.device} it takes {latency_text(prediction, graph)}; "
        f"{TERM_NAMES[explanation.rules]} rules it with {explanation.rules_ms:.4g} ms ({percent(share)})."
    )


def _interval(prediction: Prediction) -> Iterator[str]:
    if prediction.outside:
        yield f"Outside what was calibrated: {'; '.join(prediction.outside)}."
    if prediction.low_ms is not None and prediction.high_ms is not None:
        ends = f"between {milliseconds(prediction.low_ms)} and {milliseconds(prediction.high_ms)} ms"
        if prediction.outside:
            yield f"So far off lie predictions of models whose kind or host the fit hadn't seen: nine in ten {ends}."
        else:
            yield f"In nine of ten cases it lies {ends}, judged by left-out errors ({prediction.regime})."


def _streamed(explanation: Explanation, prediction: Prediction) -> Iterator[str]:
    placement, spilled = prediction.placement, explanation.spilled
    most = spilled[0]
    setup = (
        f", {milliseconds(explanation.setup_ms)} ms of it to set streaming up, once an invoke"
        if explanation.setup_ms
        else ""
    )
    lead = "One layer spilled," if len(spilled) == 1 else f"{len(spilled)} layers spilled; the costliest is"
    yield (
        f"{quantity_bytes(placement.off_chip_bytes)} of parameters don't fit beside the "
        f"{quantity_bytes(placement.on_chip_bytes)} in the cache and are streamed at every invoke, "
        f"which costs {milliseconds(prediction.terms['weights_ms'])} ms{setup}."
    )
    yield (
        f"{lead} {op_name(most.index, most.op)}: {quantity_bytes(most.parameter_bytes)}, fetched "
        f"{_times(most.fetches)} for {milliseconds(most.cost_ms)} ms."
    )
    striped = [spill for spill in spilled if spill.fetches > 1]
    if striped:
        worst = max(striped, key=lambda spill: spill.fetches)
        yield (
            f"The parameters of {plural(len(striped), 'layer')} are fetched more than once, those of "
            f"{op_name(worst.index, worst.op)} {worst.fetches} times: its input and output together, "
            f"{quantity_bytes(worst.activation_bytes)}, outgrow the narrow memory of "
            f"{quantity_bytes(explanation.narrow_memory_bytes)}, so the output is made in stripes, a fetch each."
        )


def _kept(explanation: Explanation, prediction: Prediction) -> Iterator[str]:
    if prediction.placement.on_chip:
        yield f"All parameters, {quantity_bytes(prediction.placement.on_chip_bytes)}, stay in the device's cache."
    found = explanation.advice.widths
    if isinstance(found, Widths):
        yield (
            f"Outputs are charged up to the next multiple of 64: hidden layers narrowed from {_changes(found)} "
            f"outputs are predicted to take {milliseconds(found.latency_ms)} ms."
        )
    else:
        yield f"Nothing is streamed, so there is nothing to mend; to be faster, {FASTER[explanation.rules]}."


def _mends(advice: Advice, device: str) -> Iterator[str]:
    if isinstance(advice.widths, Widths):
        found = advice.widths
        size = quantity_bytes(found.parameter_bytes)
        yield (
            f"To mend it by width: hidden layers narrowed from {_changes(found)} outputs "
            f"({percent(found.share)} of all outputs, {size}) keep everything on chip; "
            f"predicted {milliseconds(found.latency_ms)} ms."
        )
    if isinstance(advice.segments, Cuts):
        cuts = advice.segments
        longest, whole = max(cuts.latencies_ms), sum(cuts.latencies_ms)
        yield (
            f"To mend it by a pipeline: {cuts.segments} devices like {device}, cut before op "
            f"{_list([str(index) for index in cuts.cuts])}, keep everything on chip; predicted "
            f"{milliseconds(longest)} ms for the slowest segment, {milliseconds(whole)} ms for all in turn "
            "(handing over left out)."
        )
    if isinstance(advice.image, Image):
        image = advice.image
        effect = "keep everything on chip" if image.on_chip else "keep no more on chip, but fetch each layer once"
        yield (
            f"To mend it by the image: {_size(image.after)} in place of {_size(image.before)} pixels {effect}; "
            f"predicted {milliseconds(image.latency_ms)} ms."
        )
    for kind, found_none in (("width", advice.widths), ("a pipeline", advice.segments), ("the image", advice.image)):
        if isinstance(found_none, NoWay):
            yield f"Not to be mended by {kind}: {found_none.reason}."


def _changes(found: Widths) -> str:
    pairs = sorted(found.changed, key=lambda pair: pair[1] - pair[0])
    shown = [f"{before} to {after}" for before, after in pairs[:MOST_WIDTHS]]
    return _list(shown, len(pairs) - MOST_WIDTHS)


def _size(image: tuple[int, int]) -> str:
    return f"{image[0]} x {image[1]}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _list(items: Sequence[str] | Iterable[str], more: int = 0) -> str:
    return ", ".join(items) + (f" and {more} more" if more > 0 else "")
