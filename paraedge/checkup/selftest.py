"""Several devices on one model, and whether one is slower than its brothers."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from paraedge import run
from paraedge.analyze.statistics import CONFIDENCE, log_t_interval
from paraedge.checkup.place import Place, hold
from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput
from paraedge.core.estimate import Estimate
from paraedge.core.outcome import Job, Measurement

Verdict: TypeAlias = Literal["slower", "not slower", "undecided"]

NOISE_FLOOR = 0.03
"""Medians of one model in fresh processes of one device lay so far apart (docs/measuring.md); less is no difference."""

FEWEST_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Visited:
    """One device in one round: its median latency, or why there is none."""

    device: str
    round: int
    latency_median_ms: float | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A device among its brothers. ratio: its latency by the median of theirs, over rounds."""

    device: str
    latency_median_ms: float
    ratio: Estimate
    verdict: Verdict


def visit_all(
    places: Sequence[Place], jobs: Mapping[str, Job], settings: MeasureSettings, rounds: int
) -> Iterator[Visited]:
    """Sample each device's job once a round, in an order that changes; all devices are held from first to last."""
    if rounds < FEWEST_ROUNDS:
        raise BadInput(f"{rounds} rounds tell nothing of their spread; take {FEWEST_ROUNDS} or more")
    with hold(places):
        for number in range(1, rounds + 1):
            order = list(places)
            random.Random(f"{settings.seed}/{number}").shuffle(order)
            for place in order:
                name = place.info.id
                (outcome,) = run.visit(place.driver, place.target, iter([jobs[name]]), settings)
                if isinstance(outcome, Measurement):
                    median_ms = statistics.median(block.invoke_ns for block in outcome.blocks) / 1e6
                    yield Visited(device=name, round=number, latency_median_ms=median_ms, error=None)
                else:
                    yield Visited(device=name, round=number, latency_median_ms=None, error=outcome.text())


def compare(medians_ms: Mapping[str, Sequence[float]], *, noise_floor: float = NOISE_FLOOR) -> tuple[Standing, ...]:
    """Each device against the median of the others, round by round, in the order given.

    medians_ms: a device's medians, one a round, the rounds in the same order; at least two devices of as many rounds.
    The interval is Student's t on the logs of the ratios, at 95 % for all devices together (Bonferroni). `slower`: all
    of it lies above 1 + `noise_floor`; `not slower`: all below; else `undecided`.
    """
    rounds = {len(values) for values in medians_ms.values()}
    if len(medians_ms) < 2 or len(rounds) != 1 or min(rounds) < FEWEST_ROUNDS:
        raise BadInput(f"a comparison needs two devices or more, each with the same {FEWEST_ROUNDS} rounds or more")
    confidence = 1 - (1 - CONFIDENCE) / len(medians_ms)
    found = []
    for device, own in medians_ms.items():
        others = [values for name, values in medians_ms.items() if name != device]
        ratios = [value / statistics.median(them) for value, *them in zip(own, *others, strict=True)]
        ratio = log_t_interval(ratios, "", confidence)
        found.append(
            Standing(
                device=device,
                latency_median_ms=statistics.median(own),
                ratio=ratio,
                verdict=_verdict(ratio, 1 + noise_floor),
            )
        )
    return tuple(found)


def conclusion(standings: Sequence[Standing], *, noise_floor: float = NOISE_FLOOR) -> str:
    """What the standings say, in one or two sentences."""
    slower = [one for one in standings if one.verdict == "slower"]
    undecided = [one.device for one in standings if one.verdict == "undecided"]
    open_end = f" Undecided for {', '.join(undecided)}: take more rounds." if undecided else ""
    if not slower:
        if undecided:
            return open_end.strip()
        return f"No device is slower than the others by more than {100 * noise_floor:.0f} %."
    named = "; ".join(f"{one.device} takes {_times(one.ratio)} as long as {_others(one, standings)}" for one in slower)
    if len(standings) == 2:
        return f"{named}. Two devices can't tell which of them is at fault: compare with a third one.{open_end}"
    return f"{named}.{open_end}"


def _verdict(ratio: Estimate, limit: float) -> Verdict:
    if ratio.low is None or ratio.high is None:
        return "undecided"
    return "slower" if ratio.low > limit else "not slower" if ratio.high <= limit else "undecided"


def _times(ratio: Estimate) -> str:
    return f"{ratio.value:.2f} times ({ratio.low:.2f} to {ratio.high:.2f})"


def _others(one: Standing, standings: Sequence[Standing]) -> str:
    others = [other.device for other in standings if other.device != one.device]
    return others[0] if len(others) == 1 else f"the median of {', '.join(others)}"
