"""The field's rules for where to cut a chain of ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from paraedge.core.errors import BadInput
from paraedge.core.words import plural, quantity_bytes
from paraedge.partition.chain import Cuts, evenest, forward, smallest

if TYPE_CHECKING:
    from paraedge.core.spans import Sizes, Spans

SIZE6_BYTES = 6_000_000
"""Coral's rule of thumb: a segment for each so many bytes of the model's file (coral.ai/docs/edgetpu/pipeline)."""


def check_segments(layers: int, segments: int) -> None:
    """Raise BadInput where `layers` ops can't be cut into `segments` segments of at least one op each."""
    if segments < 1:
        raise BadInput(f"{segments} segments; a model has at least 1")
    if segments > layers:
        raise BadInput(f"{segments} segments of a model of {plural(layers, 'op')}; take {layers} at most")


def equal_cuts(layers: int, segments: int) -> Cuts:
    """As many ops in each segment, to within one; the longer ones are the later."""
    check_segments(layers, segments)
    return tuple(number * layers // segments for number in range(1, segments))


def params_cuts(sizes: Sequence[int], segments: int) -> Cuts:
    """The rule of edgetpu_compiler: cut before the op with which a segment's parameters would pass total / segments.

    sizes: parameter bytes of each op, as the device stores them. The rule alone leaves too few segments where the last
    ops have few parameters; then these are segments of their own.
    """
    check_segments(len(sizes), segments)
    total = sum(sizes)
    cuts: list[int] = []
    start = running = 0
    for index, size in enumerate(sizes):
        missing = segments - 1 - len(cuts)
        passes = (running + size) * segments > total
        if missing and index > start and (passes or len(sizes) - index == missing):
            cuts.append(index)
            start, running = index, 0
        running += size
    return tuple(cuts)


def size6_segments(model_bytes: int) -> int:
    """Coral's rule of thumb: megabytes of the model's file by 6, rounded up. Cut as `params_cuts` does."""
    return max(1, -(-model_bytes // SIZE6_BYTES))


def pipedream_cuts(layer_ms: Sequence[float], boundary_ms: Sequence[float], segments: int) -> Cuts:
    """PipeDream's contiguous stages for equal devices, at most `segments`: its training costs (weights) left out.

    Narayanan et al., SOSP 2019, section 3.1: the slowest of the stages' sums and the transfers between them is made
    smallest, the fewest stages winning a tie; a device's memory has no say. layer_ms: of each op on an average device.
    boundary_ms: element c is the transfer where op c begins a stage; shape (n + 1), first and last unused.
    """
    layers = len(layer_ms)
    check_segments(layers, segments)
    if not np.isfinite([*layer_ms, *boundary_ms[1:layers]]).all():
        raise BadInput("the strategy pipedream needs the time of each op alone; take another strategy")
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(layer_ms, dtype=float))])
    transfers = np.concatenate([[0.0], np.asarray(boundary_ms[1:layers], dtype=float), [0.0]])
    cost = forward(np.maximum(sums[None, :] - sums[:, None], transfers[:, None]))
    slowest = smallest(cost, segments, np.maximum)[0][1:, -1]
    return _found(evenest(cost, int(slowest.argmin()) + 1))


def fit(spans: Spans) -> Cuts:
    """The fewest segments that keep all parameters on chip; of these splits the one with the smallest bottleneck.

    Raises BadInput, naming the op, where one is on chip in no segment, and for a device that has no such memory.
    """
    layers = spans.layers
    if (forward(spans.off_chip_bytes.astype(float)) < 0).any():
        raise BadInput("the strategy fit needs a device that tells parameters on chip from those off chip")
    busy_ms = forward(np.where(spans.off_chip_bytes == 0, spans.busy_ms, np.inf))
    fits = np.isfinite(busy_ms)
    reached = np.arange(layers + 1) == 0
    for segments in range(1, layers + 1):
        reached = reached | (reached[:, None] & fits).any(axis=0)
        if reached[layers]:
            return _found(evenest(busy_ms, segments))
    never = [index for index in range(layers) if not fits[: index + 1, index + 1 :].any()]
    if not never:
        raise BadInput("no number of segments keeps all parameters on chip; take another strategy")
    alone_bytes = int(spans.off_chip_bytes[never[0], never[0] + 1])
    why = f"alone it streams {quantity_bytes(alone_bytes)}" if alone_bytes else "it can't run on the device alone"
    raise BadInput(f"op {never[0]} is on chip in no segment ({why}); take another strategy")


def balanced_cuts(sizes: Sequence[int], segments: int, off_chip: Sizes) -> Cuts:
    """Balance weight bytes, then move cuts until no segment uses host memory or no move helps.

    Villarrubia et al., arXiv 2503.01035. sizes: parameter bytes of each op. off_chip: bytes streamed by each span,
    shape (n + 1, n + 1), negative where unknown. First the largest segment is made as small as can be, and of such
    splits the one with the smallest sum of squares is taken. Then each segment that streams hands ops on to the next,
    from the first segment to the last, and back to the one before, from the last to the first, in the order that is
    better, as long as fewer bytes are streamed in all. Where longer runs never fit that shorter ones don't, a split
    that streams nothing is found if there is one.
    """
    check_segments(len(sizes), segments)
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(sizes, dtype=float))])
    weights = forward(sums[None, :] - sums[:, None])
    cuts, layers, streamed = _found(evenest(weights, segments)), len(sizes), np.maximum(off_chip, 0)

    def cost(cuts: Cuts) -> tuple[int, float]:
        ends = list(zip((0, *cuts), (*cuts, layers), strict=True))
        return sum(int(streamed[span]) for span in ends), max(float(weights[span]) for span in ends)

    while cost(cuts)[0] > 0:
        on_first = _handed_back(_handed_on(cuts, streamed), streamed)
        moved = min(on_first, _handed_on(_handed_back(cuts, streamed), streamed), key=cost)
        if cost(moved)[0] >= cost(cuts)[0]:
            break
        cuts = moved
    return cuts


def _handed_on(cuts: Cuts, streamed: Sizes) -> Cuts:
    """Each segment but the last keeps the longest run of its first ops that streams least."""
    moved, start = [], 0
    for end in cuts:
        start = end - int(streamed[start, end:start:-1].argmin())
        moved.append(start)
    return tuple(moved)


def _handed_back(cuts: Cuts, streamed: Sizes) -> Cuts:
    """Each segment but the first keeps the longest run of its last ops that streams least."""
    moved, end = [], streamed.shape[0] - 1
    for start in reversed(cuts):
        end = start + int(streamed[start:end, end].argmin())
        moved.append(end)
    return tuple(reversed(moved))


def _found(cuts: Cuts | None) -> Cuts:
    if cuts is None:
        raise AssertionError("a split that is known to be there was not found")
    return cuts
