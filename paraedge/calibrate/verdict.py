"""What a person must know of a calibration before anything is built on its file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from paraedge.calibrate.fit import FASTEST_MB_PER_S
from paraedge.calibrate.plan import ON_THE_LINK
from paraedge.calibrate.row import Row
from paraedge.calibrate.run import Calibration
from paraedge.core.errors import BadInput
from paraedge.simulate.constants import Hardware
from paraedge.simulate.counts import COSTS, Counts
from paraedge.simulate.placement import place
from paraedge.simulate.predict import count

OWN_FIT = "own measurements in"
"""How the source of a constant begins that was fitted to a table of one's own."""
AT_LIMIT = "at its limit"
MOST_FACTOR = 3.0
DOUBTFUL_ERROR = 0.3
FAR_FROM_BASE = 10.0
"""The fixed cost of an invoke differs by a factor of 4 between all hosts that were measured."""
UNEVEN = 2.0
WHOLE = 1 + 1e-5
"""Constants are written with 6 digits."""


def refuse_absurd(calibration: Calibration) -> None:
    """Raise BadInput where predictions of left-out rows are off by more than a factor 3, as the median."""
    score = calibration.score
    if score.median_ape > MOST_FACTOR - 1 or 1 + score.bias < 1 / MOST_FACTOR:
        raise BadInput(
            f"these measurements aren't this device's: models left out are predicted wrong by more than a factor "
            f"{MOST_FACTOR:g} (median error {100 * score.median_ape:.0f} %), so nothing was written; look at the unit, "
            "the models and --base"
        )


def at_limit(hardware: Hardware, name: str) -> bool:
    """Whether a constant is as fast as it can be: a cost of 0, or the line rate of the link."""
    rate = FASTEST_MB_PER_S if hardware.link_mbit_per_s is None else hardware.link_mbit_per_s / 8
    least_ms = {cost.count: 1e-3 / rate if cost.count in ON_THE_LINK else 0.0 for cost in COSTS}
    return any(
        hardware.costs[cost.count] <= least_ms[cost.count] * WHOLE for cost in COSTS if cost.constant == name
    )  # fmt: skip


def with_limits_told(calibration: Calibration) -> Calibration:
    """The same, with a note on constants at their limit; one that all fits leave there has no interval."""
    hardware = calibration.hardware
    sources = dict(hardware.sources)
    for name in calibration.fitted:
        constant = sources[name]
        if at_limit(hardware, name):
            low, high = (None, None) if constant.low == constant.high else (constant.low, constant.high)
            sources[name] = dataclasses.replace(constant, note=AT_LIMIT, low=low, high=high)
    return dataclasses.replace(calibration, hardware=dataclasses.replace(hardware, sources=sources))


def doubts(calibration: Calibration, base: Hardware, rows: Sequence[Row] = ()) -> list[str]:
    """Sentences that warn of the file, the gravest first; none where there is nothing to say."""
    score, found = calibration.score, []
    if score.median_ape > DOUBTFUL_ERROR:
        found.append(
            f"these measurements don't look like this device's: the median error is {100 * score.median_ape:.0f} %; "
            "nothing should be built on this file"
        )
    found += _far(calibration, base)
    found += _uneven(rows, base)
    earlier = sorted({constant.source for constant in base.sources.values() if constant.source.startswith(OWN_FIT)})
    if earlier:
        tables = ", ".join(source.removeprefix(OWN_FIT).strip() for source in earlier)
        found.append(
            f"{base.name} was itself fitted to {tables}: where these are rows of that table, it has seen them, and the "
            "error tells nothing of other models"
        )
    return found


def _far(calibration: Calibration, base: Hardware) -> Iterator[str]:
    for name in calibration.fitted:
        before, after = base.values[name], calibration.hardware.values[name]
        if before and after and not 1 / FAR_FROM_BASE <= after / before <= FAR_FROM_BASE:
            yield (
                f"{name} went from {before:.4g} to {after:.4g} {base.sources[name].unit}, further than hosts of one "
                "interface differ: look at the unit of the measurements and at --base; nothing should be built on "
                "this file otherwise"
            )


def _uneven(rows: Sequence[Row], base: Hardware) -> Iterator[str]:
    """Rows of one network that are far apart."""
    alike: dict[Counts, list[tuple[float, Row]]] = {}
    for row in rows:
        if row.latency_ms is not None:
            alike.setdefault(count(row.graph, place(row.graph, base), base), []).append((row.latency_ms, row))
    for same in alike.values():
        (least, first), (most, last) = (end(same, key=lambda pair: pair[0]) for end in (min, max))
        if most > UNEVEN * least:
            yield (
                f"{first.source} and {last.source} are the same network ({first.name}) but took {least:g} and {most:g} "
                "ms; their median was used"
            )


def how_predicted(calibration: Calibration, base: Hardware) -> str:
    """What the predictions that the score is of have seen of the models."""
    if not calibration.fitted:
        return f"as {base.name} predicts them"
    sources = calibration.hardware.sources
    if any(sources[name].source.startswith(OWN_FIT) for name in calibration.fitted):
        return "each model predicted without itself (but the choice of constants has seen all)"
    return "each model predicted without itself"


def why_nothing(calibration: Calibration) -> str:
    """Why no constant was fitted."""
    if calibration.score.median_ape <= DOUBTFUL_ERROR:
        return "the base already predicts these models as well"
    return "no change of the base's constants brings the error of left-out models down"
