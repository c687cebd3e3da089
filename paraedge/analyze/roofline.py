"""Roofline: rate against operational intensity, by level of memory (Williams, Waterman and Patterson 2009)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from paraedge.analyze.plain import plain_dict
from paraedge.analyze.plausible import explain_implausible
from paraedge.analyze.points import invokes, target_labels, whole
from paraedge.analyze.table import good, numbers, require_columns
from paraedge.core.device import Origin, Roof
from paraedge.core.errors import BadInput

LINK, ON_CHIP = "host link", "on chip"
DEVICE_LEVELS = (LINK, ON_CHIP)
"""Levels whose traffic is known from the device's own figures; all others are a cache or DRAM, their bytes inferred."""


@dataclass(frozen=True, kw_only=True)
class RooflineResult:
    """Points under the roofs of their targets.

    points: one row a point and level of memory, with its columns and `target`, `ops` (of one row's latency: 2 x MACs),
    `rate_gops_per_s`, `level`, `level_bytes` (moved through that level), `bytes_inferred`, `intensity` (operations a
    byte of that level), `attainable` (GOPS/s, the lower of compute and intensity x bandwidth), `share_of_roof`,
    `bound` (compute, bandwidth, or floor where the shortest invoke is longer than both), `binding` (the level that
    limits the point most), `implausible` (a sentence, or None).
    """

    points: pd.DataFrame
    roofs: Mapping[str, tuple[Roof, ...]]
    notes: tuple[str, ...]

    def best(self) -> pd.DataFrame:
        """One row a point: that of the level that limits it."""
        return self.points[self.points["binding"].astype(bool)]

    def as_dict(self) -> dict[str, object]:
        """For JSON; unknown is None."""
        return plain_dict(self)


def roofline(points: pd.DataFrame, roofs: Mapping[str, Sequence[Mapping[str, object] | Roof]]) -> RooflineResult:
    """Good points of a campaign under the roofs of `meta["roofs"]`, a list for each target's label.

    A simulated Edge TPU has two levels: host link (`link_bytes`) and on chip (weights and activations). A CPU
    point has one: the smallest memory that holds its weights and activations, whose bytes are inferred to move
    once an invoke. A target without roofs is named in the notes. Raises BadInput for points without latency or MACs.
    """
    require_columns(points, ("device", "latency_median_ms", "macs"), "the campaign")
    given = roofs_from_meta(roofs)
    table = whole(good(points)).copy()
    table["target"] = target_labels(table)
    table["ops"] = 2.0 * numbers(table, "macs")
    table["rate_gops_per_s"] = _rate(table["ops"], numbers(table, "latency_median_ms"))
    parts: list[pd.DataFrame] = []
    notes: list[str] = []
    pipelines = len(good(points)) - len(table)
    if pipelines:
        notes.append(f"{pipelines} points of pipelines are left out: several devices have no one roof")
    for label, group in table.groupby("target", sort=False):
        own = given.get(str(label)) or given.get(str(group["device"].iloc[0]))
        if not own:
            notes.append(f"no roofs are known of {label}: its points have no share of a roof")
            continue
        parts.append(_under_roofs(group, own))
        notes += _missing_precisions(str(label), group, own)
    failed = int((points["status"] == "failed").sum()) if "status" in points.columns else 0
    notes += [f"{failed} failed point{'s are' if failed > 1 else ' is'} left out"] if failed else []
    made = pd.concat(parts, ignore_index=True) if parts else _no_points(table)
    known = {label: own for label, own in given.items() if own}
    return RooflineResult(points=_mark_binding(made), roofs=known, notes=tuple(notes))


def roofline_table(
    table: pd.DataFrame,
    *,
    latency_ms: str,
    moved_bytes: str,
    peak_gops_per_s: float,
    bandwidth_gb_per_s: float,
    macs: str | None = None,
    ops: str | None = None,
    level: str = "memory",
    origin: Origin = Origin.MEASURED,
    source: str = "the table",
) -> RooflineResult:
    """Any table under two given roofs. `latency_ms`, `moved_bytes` and one of `macs` and `ops` name its columns.

    peak_gops_per_s: 1e9 operations (2 a MAC) a second. bandwidth_gb_per_s: 1e9 bytes a second.
    Raises BadInput for a missing column, one that holds text, a roof that is not above zero, or macs and ops together.
    """
    work = macs or ops
    if work is None or (macs and ops):
        raise BadInput("name one column of work: MACs (multiply-accumulates) or operations (2 a MAC), not both")
    require_columns(table, (work, moved_bytes, latency_ms), source, numeric=True)
    for name, value in (("peak", peak_gops_per_s), ("bandwidth", bandwidth_gb_per_s)):
        if not (math.isfinite(value) and value > 0):
            raise BadInput(f"the roof {name} is {value:g}; it must be a number above zero")
    made = good(table).copy().reset_index(drop=True)
    made["target"] = source
    made["ops"] = numbers(made, work) * (2.0 if macs else 1.0)
    made["rate_gops_per_s"] = _rate(made["ops"], numbers(made, latency_ms))
    peak = Roof(name="compute", kind="compute", level="given", value=peak_gops_per_s, unit="gops_per_s", origin=origin)
    slope = Roof(name=level, kind="bandwidth", level=level, value=bandwidth_gb_per_s, unit="gb_per_s", origin=origin)
    levels, compute, bandwidth = (pd.Series(v, index=made.index) for v in (level, peak_gops_per_s, bandwidth_gb_per_s))
    made = _at_level(made, levels, numbers(made, moved_bytes), compute, bandwidth, math.nan)
    made["bytes_inferred"] = False
    over = made["share_of_roof"] > 1.05
    made["implausible"] = pd.Series(None, index=made.index, dtype=object)
    made.loc[over, "implausible"] = "above its roof: these operations, bytes and time can't all be right"
    unknown = int(made["share_of_roof"].isna().sum())
    notes = (f"{unknown} rows without work, bytes or time have no share of a roof",) if unknown else ()
    return RooflineResult(points=_mark_binding(made), roofs={source: (peak, slope)}, notes=notes)


def roofs_from_meta(roofs: Mapping[str, Sequence[Mapping[str, object] | Roof]]) -> dict[str, tuple[Roof, ...]]:
    """Roofs as `meta.json` holds them, as nouns; raises BadInput for one that lacks a field."""
    return {str(label): tuple(_roof(item) for item in items) for label, items in roofs.items()}


def _roof(item: Mapping[str, object] | Roof) -> Roof:
    if isinstance(item, Roof):
        return item
    known = {field.name for field in fields(Roof)}
    values = {name: value for name, value in item.items() if name in known}
    try:
        values["origin"] = Origin(values["origin"])
        return Roof(**values)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"a roof in meta.json can't be read: {error}") from None


def _rate(ops: pd.Series[float], latency_ms: pd.Series[float]) -> pd.Series[float]:
    return ops / latency_ms.where(latency_ms > 0) * 1e-6


def _under_roofs(group: pd.DataFrame, roofs: Sequence[Roof]) -> pd.DataFrame:
    """The points of one target, a row for each of its levels."""
    compute = compute_roof(group, roofs)
    floor_ms = min((roof.value for roof in roofs if roof.kind == "floor"), default=math.nan)
    slopes = [roof for roof in roofs if roof.kind == "bandwidth"]
    levels: list[pd.DataFrame] = []
    for roof in (roof for roof in slopes if roof.level in DEVICE_LEVELS):
        moved, inferred = _device_bytes(group, roof.level)
        level, bandwidth = pd.Series(roof.level, index=group.index), pd.Series(roof.value, index=group.index)
        levels.append(_at_level(group, level, moved, compute, bandwidth, floor_ms).assign(bytes_inferred=inferred))
    caches = sorted((roof for roof in slopes if roof.level not in DEVICE_LEVELS), key=_capacity)
    if caches:
        count = invokes(group)
        held = _weight_bytes(group) + numbers(group, "activation_bytes") / count
        chosen = np.searchsorted([_capacity(roof) for roof in caches], held.fillna(math.inf).to_numpy(), side="left")
        chosen = np.minimum(chosen, len(caches) - 1)
        level = pd.Series([caches[i].level for i in chosen], index=group.index)
        bandwidth = pd.Series([caches[i].value for i in chosen], index=group.index)
        moved = held * count
        levels.append(_at_level(group, level, moved, compute, bandwidth, floor_ms).assign(bytes_inferred=True))
    if not levels:
        none = pd.Series(np.nan, index=group.index)
        level = pd.Series("none", index=group.index)
        levels.append(_at_level(group, level, none, compute, none, floor_ms).assign(bytes_inferred=False))
    sentences = explain_implausible(group, compute, roofs)
    return pd.concat([part.assign(implausible=sentences) for part in levels])


def _at_level(
    group: pd.DataFrame,
    level: pd.Series[str],
    moved: pd.Series[float],
    compute: pd.Series[float],
    bandwidth: pd.Series[float],
    floor_ms: float,
) -> pd.DataFrame:
    """`group` with the columns of one level: moved bytes, compute in GOPS/s, bandwidth in GB/s, floor of an invoke."""
    moved = moved.where(moved > 0)
    intensity = group["ops"] / moved
    attainable = np.fmin(compute, intensity * bandwidth)  # fmin: where one is unknown, the other
    times = pd.DataFrame(
        {
            "compute": group["ops"] / compute * 1e-6,
            "bandwidth": moved / bandwidth * 1e-6,
            "floor": floor_ms * invokes(group),
        }
    )
    known = times[["compute", "bandwidth"]].notna().any(axis=1)
    bound = times.fillna(-1.0).idxmax(axis=1).where(known)
    return group.assign(
        level=level,
        level_bytes=moved,
        intensity=intensity,
        attainable=attainable,
        share_of_roof=group["rate_gops_per_s"] / pd.Series(attainable, index=group.index).where(lambda a: a > 0),
        bound=bound,
    )


def compute_roof(group: pd.DataFrame, roofs: Sequence[Roof]) -> pd.Series[float]:
    """GOPS/s of the compute roof of each point's own precision; NaN where that is not known."""
    peaks: dict[str, float] = {}
    for roof in roofs:
        if roof.kind == "compute":
            peaks[roof.level] = max(roof.value, peaks.get(roof.level, 0.0))
    if "precision" not in group.columns:
        return pd.Series(max(peaks.values(), default=math.nan), index=group.index)
    highest = {
        name: max((peaks[level] for level in computed_in(name, peaks)), default=math.nan)
        for name in group["precision"].astype(str).unique()
    }
    return group["precision"].astype(str).map(highest).astype(float)


def computed_in(precision: str, known: Collection[str]) -> tuple[str, ...]:
    """Those of the `known` compute roofs that points of this precision lie under: its own, else those of ARITHMETIC."""
    own = (precision,) if precision in known else ARITHMETIC.get(precision, ())
    return tuple(level for level in own if level in known)


ARITHMETIC: Mapping[str, tuple[str, ...]] = {"float16": ("float32",), "dynamic_range": ("int8", "float32")}
"""What the CPU computes in where that is not what the weights are stored in.

float16 weights are made float32 when the model is loaded. Of dynamic range, XNNPACK and LiteRT's own kernels multiply
int8 in convolutions and FULLY_CONNECTED; all other ops, and those whose weights are small, stay float32.
"""

UNPACKED: Mapping[str, float] = {"float16": 2.0}
"""Bytes that the CPU reads for each byte of weights as stored."""


def _weight_bytes(group: pd.DataFrame) -> pd.Series[float]:
    """Bytes of weights as they are read at each invoke."""
    stored = numbers(group, "weight_bytes")
    return stored * group["precision"].map(UNPACKED).fillna(1.0) if "precision" in group.columns else stored


def _missing_precisions(label: str, group: pd.DataFrame, roofs: Sequence[Roof]) -> list[str]:
    if "precision" not in group.columns:
        return []
    missing = sorted(set(group.loc[compute_roof(group, roofs).isna(), "precision"].astype(str)))
    return [f"{label} has no compute roof of {name}: those points lie under its bandwidth only" for name in missing]


def _capacity(roof: Roof) -> float:
    return math.inf if roof.capacity_bytes is None else float(roof.capacity_bytes)


def _device_bytes(group: pd.DataFrame, level: str) -> tuple[pd.Series[float], pd.Series[bool]]:
    """Bytes through a device's own level in a row's latency, and whether they are inferred.

    As the archive has them: weights and streamed parameters of one invoke, everything else of the whole batch.
    """
    count = invokes(group)
    if level == ON_CHIP:
        moved = numbers(group, "weight_bytes") * count + numbers(group, "activation_bytes")
        return moved, pd.Series(True, index=group.index)
    known = numbers(group, "link_bytes")
    ends = numbers(group, "input_bytes") + numbers(group, "output_bytes")
    sent = numbers(group, "off_chip_bytes").fillna(0) * count + numbers(group, "instruction_bytes").fillna(0)
    return known.fillna(ends + sent), known.isna()


def _mark_binding(made: pd.DataFrame) -> pd.DataFrame:
    """Set `binding` on the one level of each point whose roof is the lowest."""
    keys = [name for name in ("spec_id", "target") if name in made.columns]
    if "spec_id" not in keys or made.empty:
        return made.assign(binding=True)
    order = made["attainable"].fillna(math.inf).argsort(kind="stable")
    lowest = made.iloc[order].drop_duplicates(keys).index
    return made.assign(binding=made.index.isin(lowest))


def _no_points(table: pd.DataFrame) -> pd.DataFrame:
    empty = table.iloc[:0].copy()
    for name in (
        "level", "level_bytes", "bytes_inferred", "intensity", "attainable", "share_of_roof", "bound", "implausible",
    ):  # fmt: skip
        empty[name] = pd.Series(dtype=object)
    return empty
