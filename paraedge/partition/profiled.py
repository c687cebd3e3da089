"""Coral's profiling partitioner: bisect on a target latency, each candidate segment measured or simulated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from paraedge.core.errors import BadInput
from paraedge.core.words import plural
from paraedge.partition.chain import Cuts

if TYPE_CHECKING:
    from paraedge.core.spans import Times

Span: TypeAlias = tuple[int, int]

MOST_TARGETS = 64
"""Each target halves the room between the bounds, or the lower bound: a double has no room for more."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Latency of a segment with its interval, from `rounds` visits; inf where it can't run, with the reason."""

    value_ms: float
    low_ms: float
    high_ms: float
    rounds: int
    reason: str | None = None


SpanLatency: TypeAlias = Callable[[int, int, int], Measured]
"""(first, end, rounds): latency of layers [first, end) from its first so many visits, the same whenever it is asked.

So a search that was interrupted, or is done again, takes the same way.
"""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A split chosen by profiling, and how sure that is.

    stages: its segments in order. targets: latencies tried. spans: segments measured, the chosen among them.
    stop: the bounds were within the precision asked for, or closer than the slowest segment's interval is wide.
    undecided: segments that couldn't be told from a target, so that their value decided. rivals: other splits that were
    tried and can't be told from this one.
    """

    cuts: Cuts
    stages: tuple[Measured, ...]
    targets: int
    spans: int
    stop: Literal["precision", "noise"]
    undecided: tuple[Span, ...]
    rivals: tuple[Cuts, ...]

    @property
    def bottleneck_ms(self) -> float:
        """Of the slowest segment."""
        return max(stage.value_ms for stage in self.stages)

    def text(self) -> str:
        """One sentence: what was tried, and what couldn't be told apart."""
        said = f"{plural(self.spans, 'segment')} measured for {plural(self.targets, 'target')}"
        said += "; the rest is noise" if self.stop == "noise" else ""
        if self.undecided:
            said += f"; {plural(len(self.undecided), 'segment')} could not be told from a target"
        if self.rivals:
            names = ", ".join(",".join(map(str, cuts)) for cuts in self.rivals)
            said += f"; cuts that can't be told from the chosen ones: {names}"
        return said


def from_spans(busy_ms: Times) -> SpanLatency:
    """Latencies of a table of spans, exact however often they are asked for; shape (n + 1, n + 1)."""

    def latency(first: int, end: int, rounds: int) -> Measured:
        value_ms = float(busy_ms[first, end])
        reason = None if math.isfinite(value_ms) else "it can't run on the device"
        return Measured(value_ms=value_ms, low_ms=value_ms, high_ms=value_ms, rounds=rounds, reason=reason)

    return latency


def profiled_cuts(
    latency: SpanLatency,
    layers: int,
    start: Cuts,
    *,
    every_end: bool = True,
    precision: float = 0.01,
    most_rounds: int = 9,
) -> Profile:
    """The split that the profiling partitioner of google-coral/libcoral finds, with intervals in its comparisons.

    start: the compiler's split (`params_cuts`), with as many segments as there are to be; no worse one is returned.
    For a target latency each segment but the last takes the longest run of ops that is within it. The target is
    bisected between the fastest and the slowest segment of `start` (below, where every target so far was reached)
    until the bounds are within `precision` of the upper one. every_end: try all ends of a run, the farthest first;
    else bisect on the end, which measures far fewer segments and stops short where a longer run is faster, having less
    to hand on. A segment whose interval holds the target is measured again, up to `most_rounds` visits; then its value
    decides, and it is named. So are splits that can't be told from the best. Raises BadInput where no split was found
    whose segments all run.
    """
    segments = len(start) + 1
    search = _Search(latency=latency, layers=layers, segments=segments, every_end=every_end, most_rounds=most_rounds)
    search.try_split(start)
    if not math.isfinite(search.bottleneck_ms(start)) and not search.try_target(math.inf):
        raise BadInput(search.why_none_runs())
    high_ms = search.bottleneck_ms(search.best())
    low_ms = min(high_ms, *(stage.value_ms for stage in search.stages(start)))
    targets, is_proven = 0, len(start) == 0
    while targets < MOST_TARGETS:
        stop = search.stop(high_ms - low_ms, precision * high_ms)
        if stop is not None and is_proven:
            break
        low_ms = low_ms / 2 if stop is not None else low_ms
        target_ms, targets = (low_ms + high_ms) / 2, targets + 1
        if search.try_target(target_ms):
            high_ms = target_ms
        else:
            low_ms, is_proven = target_ms, True
        high_ms = min(high_ms, search.bottleneck_ms(search.best()))
    return search.chosen(targets, stop or "precision")


@dataclass(kw_only=True)
class _Search:
    """What was measured so far, and the splits that came of it."""

    latency: SpanLatency
    layers: int
    segments: int
    every_end: bool
    most_rounds: int
    known: dict[Span, Measured] = field(default_factory=dict)
    undecided: dict[Span, None] = field(default_factory=dict)
    tried: dict[Cuts, None] = field(default_factory=dict)

    def measure(self, span: Span, rounds: int = 1) -> Measured:
        """What is known of a span from so many visits, or from more that were asked for before."""
        if span not in self.known or self.known[span].rounds < rounds:
            self.known[span] = self.latency(*span, rounds)
        return self.known[span]

    def is_within(self, span: Span, target_ms: float) -> bool:
        """Whether a span runs, and is within the target."""
        for rounds in range(1, self.most_rounds + 1):
            found = self.measure(span, rounds)
            if not math.isfinite(found.value_ms) or found.low_ms > target_ms:
                return False
            if found.high_ms <= target_ms:
                return True
        self.undecided[span] = None
        return found.value_ms <= target_ms

    def longest(self, first: int, last: int, target_ms: float) -> int:
        """Where the longest run from `first` ends that is within the target, `last` at most; at least one op."""
        if self.every_end:
            ends = range(last, first, -1)
            return next((end for end in ends if self.is_within((first, end), target_ms)), first + 1)
        low, high = first + 1, last
        while low < high:
            middle = (low + high + 1) // 2
            if self.is_within((first, middle), target_ms):
                low = middle
            else:
                high = middle - 1
        return low

    def try_target(self, target_ms: float) -> bool:
        """Whether there is a split whose segments are all within the target."""
        cuts: list[int] = []
        first = 0
        for left in range(self.segments - 1, 0, -1):
            end = self.longest(first, self.layers - left, target_ms)
            if not self.is_within((first, end), target_ms):
                return False
            cuts.append(end)
            first = end
        self.try_split(tuple(cuts))
        return self.is_within((first, self.layers), target_ms)

    def try_split(self, cuts: Cuts) -> None:
        """Measure a split's segments."""
        self.tried[cuts] = None
        self.stages(cuts)

    def spans(self, cuts: Cuts) -> list[Span]:
        """A split's segments in order."""
        return list(zip((0, *cuts), (*cuts, self.layers), strict=True))

    def stages(self, cuts: Cuts) -> tuple[Measured, ...]:
        """What is known of a split's segments, in order."""
        return tuple(map(self.measure, self.spans(cuts)))

    def bottleneck_ms(self, cuts: Cuts) -> float:
        """Of a split's slowest segment."""
        return max(stage.value_ms for stage in self.stages(cuts))

    def best(self) -> Cuts:
        """The split tried whose slowest segment is the fastest, the first of equals."""
        return min(self.tried, key=self.bottleneck_ms)

    def stop(self, room_ms: float, wanted_ms: float) -> Literal["precision", "noise"] | None:
        """Why bounds so far apart are close enough, if they are; looks again where only noise says so."""
        if room_ms <= wanted_ms:
            return "precision"
        best = self.best()
        slowest = max(self.spans(best), key=lambda span: self.measure(span).value_ms)
        for rounds in range(1, self.most_rounds + 1):
            found = self.measure(slowest, rounds)
            if found.high_ms - found.low_ms < room_ms:
                return None
        return "noise"

    def rivals(self, best: Cuts) -> list[Cuts]:
        """Splits tried whose bottleneck may be smaller than the best one's."""
        high_ms = max(stage.high_ms for stage in self.stages(best))
        return [cuts for cuts in self.tried if cuts != best and self.at_least_ms(cuts) < high_ms]

    def at_least_ms(self, cuts: Cuts) -> float:
        """Lower end of a split's bottleneck."""
        return max(stage.low_ms for stage in self.stages(cuts))

    def chosen(self, targets: int, stop: Literal["precision", "noise"]) -> Profile:
        """The best split tried, after its rivals were measured again as far as that tells them apart."""
        for rounds in range(1, self.most_rounds + 1):
            best = self.best()
            rivals = self.rivals(best)
            for cuts in (best, *rivals) if rivals else ():
                at_least_ms = self.at_least_ms(cuts)
                for span in self.spans(cuts):
                    if self.measure(span).high_ms >= at_least_ms:
                        self.measure(span, rounds)
        best = self.best()
        return Profile(
            cuts=best,
            stages=self.stages(best),
            targets=targets,
            spans=len(self.known),
            stop=stop,
            undecided=tuple(self.undecided),
            rivals=tuple(self.rivals(best)),
        )

    def why_none_runs(self) -> str:
        """A sentence for the first segment that failed."""
        first, end = next(span for span, found in self.known.items() if not math.isfinite(found.value_ms))
        reason = self.known[first, end].reason or "no reason was given"
        return (
            f"no split into {plural(self.segments, 'segment')} was found whose segments all run; "
            f"ops {first} to {end - 1}: {reason}"
        )
