"""The smallest change that would mend a prediction, found by predicting the changed networks, never guessed."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paraedge.core.cut import cut
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.core.words import op_name, quantity_bytes
from paraedge.simulate.constants import Hardware
from paraedge.simulate.parameters import parameter_bytes
from paraedge.simulate.placement import place
from paraedge.simulate.predict import predict
from paraedge.simulate.resize import Unresizable, hidden_widths, image_input, resize, why_not_followed
from paraedge.simulate.segments import fewest_segments
from paraedge.simulate.traffic import weight_fetches

BLOCK = 64
"""Outputs that the array makes at a time, and that weights are padded to."""
MOST_LEVELS = 256
MOST_SIDES = 40
LITTLE = 1 / 8
WORTH = 0.95
"""Of a network that stays on chip, layers are named that an eighth less would save 5 % of the latency."""


@dataclass(frozen=True, kw_only=True)
class NoWay:
    """Why a change of this kind doesn't mend it."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Narrower hidden layers: each width before and after, what is left of their sum, and the predicted latency."""

    changed: tuple[tuple[int, int], ...]
    share: float
    parameter_bytes: int
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """A pipeline: layers before which the graph is cut, and the predicted latency of each segment on its device."""

    segments: int
    cuts: tuple[int, ...]
    latencies_ms: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Image:
    """A smaller input, height and width in pixels, with the predicted latency. on_chip: nothing is streamed then.

    Where it is false, no image keeps everything on chip, and this is the largest at which each layer is fetched once.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    on_chip: bool
    latency_ms: float


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What would mend it, one of each kind or why there is none; None where the question doesn't arise."""

    widths: Widths | NoWay | None = None
    segments: Cuts | NoWay | None = None
    image: Image | NoWay | None = None


def advise(prediction: Prediction, graph: LayerGraph, hardware: Hardware) -> Advice:
    """Changes that keep all parameters on chip; where they stay there already, widths that waste less padding.

    Ops on the CPU are left aside: the part on the device is searched as a network of its own.
    """
    placement = prediction.placement
    if not placement.on_device or prediction.instruction_bytes is None:
        return Advice()
    part = cut(graph, placement.on_device)
    lost = why_not_followed(part)
    if not placement.off_chip:
        return Advice(widths=None if lost else _unpadded(part, hardware, prediction.latency_ms))
    if lost:
        unknown = NoWay(reason=f"can't be searched: {lost}")
        return Advice(widths=unknown, segments=_cuts(part, hardware, placement.on_device), image=unknown)
    return Advice(
        widths=_narrower(part, hardware),
        segments=_cuts(part, hardware, placement.on_device),
        image=_smaller_image(part, hardware),
    )


def _narrower(part: LayerGraph, hardware: Hardware) -> Widths | NoWay:
    """The change that cuts the fewest outputs: all widths scaled alike and then raised by what still fits, or one cut.

    The bytes fall with every width, so each step is bisected; in the end no width can be raised by itself.
    """
    before = [outputs for outputs in dict.fromkeys(hidden_widths(part)) if outputs > BLOCK]
    if not before:
        return NoWay(reason=f"no hidden layer has more than {BLOCK} outputs")

    def fits(now: Mapping[int, int]) -> bool:
        changed = resize(part, width=lambda outputs: now.get(outputs, outputs))
        return not isinstance(changed, Unresizable) and not place(changed, hardware).streamed

    scales = _scales(before)
    at = bisect.bisect_left(scales, True, key=lambda scale: fits(_scaled(before, scale)))
    now = _scaled(before, scales[min(at, len(scales) - 1)])
    changed = resize(part, width=lambda outputs: now.get(outputs, outputs))
    if isinstance(changed, Unresizable):
        return NoWay(reason=f"the hidden widths can't be scaled alike: {changed.reason}")
    if at == len(scales):
        return NoWay(reason=f"not even hidden widths of {BLOCK} keep everything on chip")
    for outputs in sorted(before, key=lambda outputs: now[outputs] / outputs):
        now[outputs] = _raised(outputs, now, fits)
    layers = Counter(hidden_widths(part))
    plans = [now, *(plan for outputs in before if (plan := _alone(outputs, fits)) is not None)]
    return _widths(part, hardware, min(plans, key=lambda plan: sum((w - new) * layers[w] for w, new in plan.items())))


def _alone(outputs: int, fits: Callable[[Mapping[int, int]], bool]) -> dict[int, int] | None:
    """The largest multiple of 64 that layers of this width alone would have to be cut to, or None if none is enough."""
    fewer = range(outputs // BLOCK * BLOCK, 0, -BLOCK)
    at = bisect.bisect_left(fewer, True, key=lambda new: fits({outputs: new}))
    return {outputs: fewer[at]} if at < len(fewer) else None


def _raised(outputs: int, now: Mapping[int, int], fits: Callable[[Mapping[int, int]], bool]) -> int:
    more = range(now[outputs] + BLOCK, outputs + 1, BLOCK)
    return now[outputs] + BLOCK * bisect.bisect_left(more, True, key=lambda raised: not fits({**now, outputs: raised}))


def _scaled(widths: Iterable[int], scale: float) -> dict[int, int]:
    """For each width above 64 the multiple of 64 nearest to the scaled one, never more than the width itself."""
    return {width: min(width // BLOCK, max(1, round(width * scale / BLOCK))) * BLOCK for width in widths}


def _scales(widths: Iterable[int]) -> list[float]:
    """Falling scales from 1, one between each two at which a width goes from one multiple of 64 to the next."""
    steps = {1.0}
    for width in widths:
        blocks = width // BLOCK
        for level in range(1, blocks + 1, -(-blocks // MOST_LEVELS)):
            steps.add(min(1.0, (level + 0.5) * BLOCK / width))
    falling = sorted(steps, reverse=True)
    return [1.0, *((a + b) / 2 for a, b in zip(falling, [*falling[1:], 0.0], strict=True))]


def _widths(part: LayerGraph, hardware: Hardware, now: Mapping[int, int]) -> Widths | NoWay:
    changed = resize(part, width=lambda outputs: now.get(outputs, outputs))
    if isinstance(changed, Unresizable):
        return NoWay(reason=changed.reason)
    after = predict(changed, hardware)
    return Widths(
        changed=tuple((outputs, new) for outputs, new in now.items() if new != outputs),
        share=sum(hidden_widths(changed)) / sum(hidden_widths(part)),
        parameter_bytes=after.placement.on_chip_bytes + after.placement.off_chip_bytes,
        latency_ms=after.latency_ms,
    )


def _unpadded(part: LayerGraph, hardware: Hardware, latency_ms: float) -> Widths | None:
    """Widths just above a multiple of 64 cut back to it, where that pays: 65 outputs are charged for 128."""
    now = _scaled((outputs for outputs in dict.fromkeys(hidden_widths(part)) if outputs > BLOCK), 1.0)
    near = {outputs: new for outputs, new in now.items() if 0 < outputs - new <= outputs * LITTLE}
    found = _widths(part, hardware, near) if near else None
    return found if isinstance(found, Widths) and found.latency_ms <= WORTH * latency_ms else None


def _cuts(part: LayerGraph, hardware: Hardware, layers: Sequence[int]) -> Cuts | NoWay:
    starts, stop = fewest_segments(part, hardware)
    if stop < len(part.layers):
        size = quantity_bytes(parameter_bytes(part.tensors, part.layers[stop]))
        name = op_name(layers[stop], part.layers[stop].op)
        return NoWay(reason=f"{name} alone, {size}, doesn't fit a device's cache, and no cut divides a layer")
    ends = [*starts[1:], stop]
    found = [predict(cut(part, range(low, high)), hardware) for low, high in zip(starts, ends, strict=True)]
    return Cuts(
        segments=len(starts),
        cuts=tuple(layers[start] for start in starts[1:]),
        latencies_ms=tuple(segment.latency_ms for segment in found),
    )


def _smaller_image(part: LayerGraph, hardware: Hardware) -> Image | NoWay | None:
    """The largest image at which everything stays on chip, else at which each layer is fetched once."""
    source = image_input(part)
    if source is None:
        return None
    _, height, width, _ = part.tensors[source].shape
    is_once = _fetched_once(part, place(part, hardware).streamed, hardware)
    once: Image | None = None
    for after in _images(height, width):
        changed = resize(part, image=after)
        if isinstance(changed, Unresizable):
            break
        streamed = place(changed, hardware).streamed
        if streamed and (is_once or once or not _fetched_once(changed, streamed, hardware)):
            continue
        latency_ms = predict(changed, hardware).latency_ms
        found = Image(before=(height, width), after=after, on_chip=not streamed, latency_ms=latency_ms)
        if found.on_chip:
            return found
        once = found
    return once or NoWay(reason="convolutions' parameters don't shrink with the image")


def _fetched_once(graph: LayerGraph, streamed: tuple[int, ...], hardware: Hardware) -> bool:
    return all(weight_fetches(graph.tensors, graph.layers[index], hardware) == 1 for index in streamed)


def _images(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Smaller images of the same shape: the longer side in multiples of 8, at most forty of them, falling."""
    longer = max(height, width)
    step = 8 * max(1, -(-longer // (8 * MOST_SIDES)))
    for side in range((longer - 1) // step * step, 0, -step):
        yield max(1, height * side // longer), max(1, width * side // longer)
