"""The errors left, by regime, as a hardware file carries them: what `predict` makes its interval of."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from paraedge.calibrate.report import Prediction
from paraedge.calibrate.row import Row
from paraedge.calibrate.score import score, spread
from paraedge.simulate.constants import Hardware, Residuals
from paraedge.simulate.placement import place
from paraedge.simulate.predict import count
from paraedge.simulate.regime import regime, sizes

SUITE = ("sim-edgetpu-usb3", "sim-edgetpu-devboard", "sim-edgetpu-usb2")
"""Hosts of the suite that are devices. Six models each are too few for an interval: theirs is of all three."""
BLIND = ("regime", "model", "host")
"""Predictions by fits that have seen neither the row nor its case, or nothing of its host."""


def covered_rows(predictions: Sequence[Prediction]) -> dict[str, bool]:
    """By source: whether the row lies in the 90 % interval that the other rows of its pool give."""
    return _covered(predictions, _ratio)


def covered_outside(predictions: Sequence[Prediction]) -> dict[str, bool]:
    """The same for predictions that haven't seen the row's case, or its host, and the interval of models outside."""
    return _covered(predictions, _worst)


def _covered(predictions: Sequence[Prediction], ratio: Callable[[Prediction], float]) -> dict[str, bool]:
    pools = _pools(predictions)
    inside = {}
    for prediction in predictions:
        others = [ratio(other) for other in pools[_pool(prediction)] if other is not prediction]
        factor = spread(others) if others else 1.0
        inside[prediction.source] = 1 / factor <= ratio(prediction) <= factor
    return inside


def residuals_of(
    device: str, rows: Sequence[Row], predictions: Sequence[Prediction], hosts: Mapping[str, Hardware]
) -> dict[str, Residuals]:
    """By regime: the errors of the device's own rows, or of another device's where it has none of that regime.

    Borrowed errors are no narrower, for models outside, than those of hosts that were never measured.
    """
    pools = _pools(predictions)
    members: dict[tuple[str, str], list[tuple[Row, Prediction]]] = {}
    for row, prediction in zip(rows, predictions, strict=True):
        members.setdefault((_regime(row, hosts), row.host), []).append((row, prediction))
    unseen = [_worst(prediction) for prediction in predictions if "host" in prediction.predicted_ms]
    found: dict[str, Residuals] = {}
    for owner in (device, *(other for other in (*SUITE, *dict.fromkeys(row.host for row in rows)) if other != device)):
        for (name, host), own in members.items():
            if host == owner and name not in found:
                pool = pools[_pool(own[0][1])]
                least = spread(unseen) if owner != device and unseen else 1.0
                found[name] = _residuals(name, host, [row for row, _ in own], pool, least, hosts)
    return found


def widened(residuals: Mapping[str, Residuals], base: Hardware) -> dict[str, Residuals]:
    """The residuals of a host of one's own: for models outside, none narrower than the widest of the base.

    A few rows of one's own say little of models that are unlike them; the base's were left out case by case.
    """
    widest = max((entry.spread_outside for entry in base.residuals.values()), default=1.0)
    return {
        name: dataclasses.replace(entry, spread_outside=max(widest, entry.spread_outside))
        for name, entry in residuals.items()
    }


def _residuals(
    name: str,
    host: str,
    rows: Sequence[Row],
    pool: Sequence[Prediction],
    least_outside: float,
    hosts: Mapping[str, Hardware],
) -> Residuals:
    seen = [_sizes(row, hosts) for row in rows]
    of_pool = score([_ratio(prediction) for prediction in pool])
    inside = spread([_ratio(prediction) for prediction in pool])
    return Residuals(
        regime=name,
        device=host,
        rows=of_pool.rows,
        median_ape=_rounded(of_pool.median_ape),
        p90_ape=_rounded(of_pool.p90_ape),
        within_10=_rounded(of_pool.within_10),
        bias=_rounded(of_pool.bias),
        spread=_rounded(inside),
        spread_outside=_rounded(max(inside, least_outside, spread([_worst(prediction) for prediction in pool]))),
        ops=tuple(sorted({layer.op for row in rows for layer in row.graph.layers})),
        macs=_range(seen, "macs"),
        parameter_bytes=_range(seen, "parameter_bytes"),
        input_bytes=_range(seen, "input_bytes"),
        output_bytes=_range(seen, "output_bytes"),
    )


def _pools(predictions: Sequence[Prediction]) -> dict[str, list[Prediction]]:
    pools: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        pools.setdefault(_pool(prediction), []).append(prediction)
    return pools


def _pool(prediction: Prediction) -> str:
    """The rows whose errors are taken together: the suite's devices, any other host, or a regime of a sweep."""
    if prediction.is_model:
        return "suite" if prediction.host in SUITE else prediction.host
    return prediction.case.split(":")[0]


def _ratio(prediction: Prediction) -> float:
    return prediction.predicted_ms["row"] / prediction.measured_ms


def _worst(prediction: Prediction) -> float:
    """Predicted / measured of the farthest prediction that hasn't seen the row's case or its host."""
    found = [prediction.predicted_ms[key] for key in BLIND if key in prediction.predicted_ms]
    ratios = [ms / prediction.measured_ms for ms in found] or [_ratio(prediction)]
    return max(ratios, key=lambda ratio: abs(math.log(ratio)))


def _regime(row: Row, hosts: Mapping[str, Hardware]) -> str:
    partition = place(row.graph, hosts[row.host])
    return regime(row.graph, partition.placement.on_device, bool(partition.streamed))


def _sizes(row: Row, hosts: Mapping[str, Hardware]) -> dict[str, float]:
    hardware = hosts[row.host]
    partition = place(row.graph, hardware)
    return sizes(row.graph, partition.placement, count(row.graph, partition, hardware))


def _range(seen: Sequence[Mapping[str, float]], key: str) -> tuple[float, float]:
    return min(found[key] for found in seen), max(found[key] for found in seen)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
