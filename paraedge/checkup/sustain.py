"""A device under load for minutes: latency and temperature over time, and whether it held its speed."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from paraedge.analyze.statistics import median_interval
from paraedge.checkup.selftest import NOISE_FLOOR
from paraedge.core.device import DeviceInfo
from paraedge.core.errors import BadInput
from paraedge.core.estimate import Estimate
from paraedge.core.window import Window

Change: TypeAlias = Literal["steady", "slower", "faster", "undecided"]

COLUMNS = ("device", "origin", "end_s", "invokes", "latency_median_ms", "latency_p99_ms", "temperature_c")
PART_S = 60.0
"""The first and the last minute are compared; of a run below three minutes, its first and last third."""

WARMED_C = 5.0
"""A rise below this explains nothing."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The last part of a sustained run against its first.

    ratio: of the medians over windows, with the interval that both medians' own intervals allow; windows follow one
    another, so it is narrower than it should be, which the noise floor is there for.
    """

    change: Change
    first_ms: float
    last_ms: float
    ratio: Estimate
    first_c: float | None
    last_c: float | None
    part_s: float


def record(path: Path, info: DeviceInfo, windows: Iterator[Window]) -> Iterator[Window]:
    """Write each window as a line of a new CSV file, at once, and pass it on; raises BadInput where the file is."""
    try:
        file = path.open("x", newline="", encoding="utf-8")
    except FileExistsError:
        raise BadInput(f"{path} is there already; name another file with --out") from None
    with file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(COLUMNS)
        file.flush()
        for window in windows:
            seen = (f"{window.end_s:.3f}", window.invokes, window.latency_median_ms, window.latency_p99_ms)
            lines.writerow((info.id, info.origin.value, *seen, window.temperature_c))
            file.flush()
            yield window


def drift(windows: Sequence[Window], *, noise_floor: float = NOISE_FLOOR) -> Drift | None:
    """Whether the device held its speed, or None for fewer than two windows."""
    if len(windows) < 2:
        return None
    part_s = min(PART_S, windows[-1].end_s / 3)
    first = [one for one in windows if one.end_s <= part_s] or [windows[0]]
    last = [one for one in windows if one.end_s > windows[-1].end_s - part_s]
    before, after = (median_interval([one.latency_median_ms for one in part], "ms") for part in (first, last))
    ratio = Estimate(
        value=after.value / before.value,
        low=after.low / before.high if after.low is not None and before.high is not None else None,
        high=after.high / before.low if after.high is not None and before.low is not None else None,
        unit="",
    )
    return Drift(
        change=_change(ratio, 1 + noise_floor),
        first_ms=before.value,
        last_ms=after.value,
        ratio=ratio,
        first_c=_temperature(first),
        last_c=_temperature(last),
        part_s=part_s,
    )


def conclusion(found: Drift, trip_c: float | None = None) -> str:
    """What the drift says, in a sentence. trip_c: from which temperature the device lowers its clock, if it says."""
    change = f"from {found.first_ms:.4g} to {found.last_ms:.4g} ms ({100 * (found.ratio.value - 1):+.0f} %)"
    span = f"the last {found.part_s:.0f} s against the first"
    if found.change == "undecided":
        return f"Undecided whether it held its speed, {change} in {span}: run longer."
    if found.change == "steady":
        return f"It held its speed: {change} in {span}."
    sentence = f"It became {found.change}: {change} in {span}."
    if found.change == "faster" or found.first_c is None or found.last_c is None:
        return sentence
    warmed = f"The chip warmed from {found.first_c:.0f} to {found.last_c:.0f} degrees Celsius"
    if trip_c is not None and found.last_c >= trip_c:
        return f"{sentence} {warmed}, and lowers its clock from {trip_c:.0f} on: cool it."
    return f"{sentence} {warmed}." if found.last_c - found.first_c >= WARMED_C else sentence


def _change(ratio: Estimate, limit: float) -> Change:
    if ratio.low is None or ratio.high is None:
        return "undecided"
    if ratio.low > limit:
        return "slower"
    if ratio.high < 1 / limit:
        return "faster"
    return "steady" if 1 / limit <= ratio.low and ratio.high <= limit else "undecided"


def _temperature(part: Sequence[Window]) -> float | None:
    known = [one.temperature_c for one in part if one.temperature_c is not None]
    return statistics.median(known) if known else None
