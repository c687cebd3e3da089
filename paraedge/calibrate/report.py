"""What `paraedge validate` finds: groups of rows, each scored by row, with whole cases left out, beside baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paraedge.calibrate.score import Score


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One row's predictions in ms, under the way in which what they come from was found; what doesn't apply is absent.

    `row`: by the fit of all other rows; `regime`, `model`, `host`: of all rows of other cases; `chip`: the chip's
    constants by the rows of other hosts, the host's own by its other rows. `constant`,
    `interpolation`: the baselines, by row; `constant, case out`, `interpolation, case out`: without the row's case.
    is_model: whether the case is a model of the suite, and not a regime of a sweep.
    """

    name: str
    source: str
    host: str
    case: str
    is_model: bool
    measured_ms: float
    predicted_ms: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows of one kind. scores: by the keys of `Prediction.predicted_ms`. coverage: of the 90 % interval, by row.

    coverage_outside: of the interval for models outside of what was measured, by the farthest prediction that hasn't
    seen the row's case or its host.
    """

    name: str
    scores: Mapping[str, Score]
    coverage: float
    coverage_outside: float
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """Placement of rows: how many agree with the compiler within 2 % or 0.02 MiB.

    agree: with the fit of all rows. agree_left_out: with that of all but those of its series with as many layers
    streamed.
    """

    name: str
    rows: int
    agree: int
    agree_left_out: int


@dataclass(frozen=True, kw_only=True)
class Slope:
    """A pruning series: ms a MiB of streamed parameters between its rows, and what the simulator charges."""

    name: str
    rows: int
    measured_ms_per_mib: float
    predicted_ms_per_mib: float


@dataclass(frozen=True, kw_only=True)
class PipelineGroup:
    """Rows of two devices, of a sweep or of one of its series, for the split that each names.

    scores: `fitted`, by the fit of all rows; `series`, without the row's series (sweep, segmentation, batch); `size`,
    without the fifth of its sweep's sizes that it is in. contradicted: how many name bytes of another split than was
    timed; no fit has seen them, all scores have.
    """

    name: str
    is_series: bool
    scores: Mapping[str, Score]
    contradicted: int


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Everything that `paraedge validate` tells."""

    groups: tuple[Group, ...]
    placements: tuple[Bytes, ...]
    slopes: tuple[Slope, ...]
    instructions: Score
    pipelines: tuple[PipelineGroup, ...] = ()
