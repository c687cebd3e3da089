"""Collapse the rounds of a campaign into points: one row a model and target, with the interval between rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paraedge.analyze.statistics import t_quantile
from paraedge.core.errors import BadInput

PIPELINE_KEYS = ("segments", "strategy", "inputs")
TARGET_KEYS = ("device", "threads", "kernels", *PIPELINE_KEYS)
POINT_KEYS = ("spec_id", *TARGET_KEYS)

INTEGER_OPTIONS = ("threads", "segments", "inputs")

MEDIAN_COLUMNS = (
    "latency_median_ms", "latency_p90_ms", "latency_p99_ms", "latency_mean_ms",
    "set_ms", "get_ms", "open_ms", "first_ms", "throughput_per_s", "steady_per_s", "pass_ms", "fill_ms", "drain_ms",
)  # fmt: skip
WITHIN_COLUMNS: Mapping[str, str] = {"latency_low_ms": "within_low_ms", "latency_high_ms": "within_high_ms"}
OTHER_COLUMNS: Mapping[str, str] = {"latency_min_ms": "min", "samples": "sum", "temperature_c": "max"}
TEXT_COLUMNS = ("stop_reason", "warnings")
ROUND_COLUMNS = ("run_id", "round", "attempt", "status", "error", "gops_per_s", "examples_per_s")
"""Columns that belong to one round and that a point doesn't keep as they are."""


def points(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a spec_id and target (TARGET_KEYS) of a campaign's runs, in order of first appearance.

    `latency_median_ms` is the median of the rounds' medians; `latency_low_ms` and `latency_high_ms` its 95 % interval
    from the spread between rounds (Student's t on the logs, widened where it would not hold the median), empty for one
    round or a simulated device. `within_low_ms`, `within_high_ms` are the medians of the rounds' own intervals.
    Other latencies are medians over rounds, `latency_min_ms` the minimum, `samples` the sum. `gops_per_s` and
    `examples_per_s` follow from the median. New: `n_rounds` (good ones), `n_failed`,
    `round_medians_ms` (a tuple in order of the rounds), `log_mean` and `log_sd` (of these medians, natural logs) and
    `between_spread` (their relative spread, exp(log_sd) - 1).
    `status` is ok if a round is ok, else failed with the last `error`. Raises BadInput for a table without the columns.
    """
    for name in ("spec_id", "device", "status", "latency_median_ms"):
        if name not in runs.columns:
            raise BadInput(f"these rows are not a campaign's runs: there is no column {name!r}")
    runs = last_attempts(runs)
    keys = [name for name in POINT_KEYS if name in runs.columns]
    group = runs.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    made = _fixed_columns(runs, group)
    is_ok = (runs["status"] == "ok").to_numpy()
    ok, ok_group = runs[is_ok], group[is_ok]
    made = made.assign(**_round_statistics(ok, ok_group, made))
    made["n_rounds"] = np.bincount(ok_group, minlength=len(made))
    made["round_medians_ms"] = _round_medians(ok, ok_group, len(made))
    made["n_failed"] = np.bincount(group[~is_ok], minlength=len(made))
    made["status"] = np.where(made["n_rounds"] > 0, "ok", "failed")
    errors = runs.loc[~is_ok, "error"] if "error" in runs.columns else pd.Series(dtype=object)
    last_error = errors.groupby(group[~is_ok]).last() if len(errors) else errors
    made["error"] = last_error.reindex(made.index).where(made["n_rounds"] == 0).astype(object)
    for name in TEXT_COLUMNS:
        if name in runs.columns:
            made[name] = _joined(runs[name], group).reindex(made.index)
    return _ordered(_rates(made), list(runs.columns))


def last_attempts(runs: pd.DataFrame) -> pd.DataFrame:
    """Only the last attempt of each point and round; later lines win where there is no `attempt`."""
    keys = [name for name in (*POINT_KEYS, "round") if name in runs.columns]
    if "round" not in keys:
        return runs
    if "attempt" in runs.columns:
        order = runs["attempt"].fillna(0).argsort(kind="stable")
        kept = runs.iloc[order].drop_duplicates(keys, keep="last").sort_index()
    else:
        kept = runs.drop_duplicates(keys, keep="last")
    return kept.reset_index(drop=True)


def parameter_columns(table: pd.DataFrame) -> list[str]:
    """Hyperparameters: the columns between `family` and `precision`, and `batch`; those that hold something."""
    columns = [str(name) for name in table.columns]
    if "family" not in columns or "precision" not in columns:
        return []
    between = columns[columns.index("family") + 1 : columns.index("precision")]
    return [name for name in [*between, "batch"] if name in columns and bool(table[name].notna().any())]


def target_labels(table: pd.DataFrame) -> pd.Series[str]:
    """For each row the label of its target, as `Target.label` writes it: `cpu threads=1 kernels=xnnpack`."""
    found = table["device"].astype(str)
    for name in TARGET_KEYS[1:]:
        if name in table.columns:
            column = pd.to_numeric(table[name], errors="coerce") if name in INTEGER_OPTIONS else table[name]
            found = found + column.map(partial(_option, name)).astype(str)
    return found


def whole(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of models that ran on one device, which rows of pipelines can't be put beside; all where there are none."""
    return table[table["segments"].isna()] if "segments" in table.columns else table


def invokes(table: pd.DataFrame) -> pd.Series[float]:
    """How many invokes a row's latency holds: the batch where the device loops over it, else 1."""
    if "batch_mode" not in table.columns or "batch" not in table.columns:
        return pd.Series(1.0, index=table.index)
    batch = pd.to_numeric(table["batch"], errors="coerce").astype(float).fillna(1.0)
    return batch.where(table["batch_mode"] == "looped", 1.0)


def _option(name: str, value: Any) -> str:
    if pd.isna(value):
        return ""
    return f" {name}={int(value) if name in INTEGER_OPTIONS else value}"


def _fixed_columns(runs: pd.DataFrame, group: npt.NDArray[np.integer[Any]]) -> pd.DataFrame:
    """What doesn't change from round to round: the first value that is known."""
    varying = {*ROUND_COLUMNS, *MEDIAN_COLUMNS, *WITHIN_COLUMNS, *OTHER_COLUMNS, *TEXT_COLUMNS}
    fixed = [name for name in runs.columns if name not in varying]
    return runs[fixed].groupby(group, sort=True).first()


def _round_statistics(
    ok: pd.DataFrame, group: npt.NDArray[np.integer[Any]], made: pd.DataFrame
) -> dict[str, pd.Series[float]]:
    """Latencies of the good rounds and their spread, by point; NaN for a point without any."""
    found: dict[str, pd.Series[float]] = {}
    plans = {name: (name, "median") for name in MEDIAN_COLUMNS}
    plans |= {new: (old, "median") for old, new in WITHIN_COLUMNS.items()}
    plans |= {name: (name, how) for name, how in OTHER_COLUMNS.items()}
    for new, (old, how) in plans.items():
        if old in ok.columns:
            column = pd.to_numeric(ok[old], errors="coerce").astype(float)
            aggregate = column.groupby(group).sum(min_count=1) if how == "sum" else column.groupby(group).agg(how)
            found[new] = aggregate.reindex(made.index)
    latency = pd.to_numeric(ok["latency_median_ms"], errors="coerce").astype(float)
    logs = pd.Series(np.log(latency.where(latency > 0).to_numpy())).groupby(group)
    counts = np.bincount(group, minlength=len(made))
    found["log_mean"] = logs.mean().reindex(made.index)
    found["log_sd"] = logs.std(ddof=1).reindex(made.index)
    found["between_spread"] = found["log_sd"].map(math.expm1)
    factor = pd.Series(t_quantile(counts - 1) / np.sqrt(np.maximum(counts, 1)), index=made.index)
    half, centre, middle = found["log_sd"] * factor, found["log_mean"], found["latency_median_ms"]
    # mask keeps a missing bound missing
    low, high = (centre - half).map(math.exp), (centre + half).map(math.exp)
    found["latency_low_ms"] = low.mask(low > middle, middle)
    found["latency_high_ms"] = high.mask(high < middle, middle)
    return found


def _round_medians(ok: pd.DataFrame, group: npt.NDArray[np.integer[Any]], count: int) -> pd.Series[Any]:
    """For each of `count` points the medians of its good rounds, in order of the rounds; None for a failed one."""
    latency = pd.to_numeric(ok["latency_median_ms"], errors="coerce").to_numpy(dtype=float)
    rounds = ok["round"].to_numpy() if "round" in ok.columns else np.zeros(len(ok))
    order = np.lexsort((rounds, group))
    ends = np.cumsum(np.bincount(group, minlength=count))
    parts = np.split(latency[order], ends[:-1])
    return pd.Series([tuple(part.tolist()) or None for part in parts], dtype=object)


def _joined(column: pd.Series[str], group: npt.NDArray[np.integer[Any]]) -> pd.Series[str]:
    """The different texts of each group, in order, joined by `; `."""
    table = pd.DataFrame({"group": group, "text": column.to_numpy()}).dropna().drop_duplicates()
    return table.groupby("group")["text"].agg(lambda texts: "; ".join(map(str, texts))).astype(object)


def _rates(made: pd.DataFrame) -> pd.DataFrame:
    """Rates from the median latency: operations are 2 x MACs, of the whole batch."""
    latency_ms = made["latency_median_ms"].where(made["latency_median_ms"] > 0)
    if "macs" in made.columns:
        made["gops_per_s"] = 2e-6 * pd.to_numeric(made["macs"], errors="coerce") / latency_ms
    if "batch" in made.columns:
        made["examples_per_s"] = 1e3 * pd.to_numeric(made["batch"], errors="coerce") / latency_ms
    return made


def _ordered(made: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns in the order of the runs, new ones behind."""
    known = [name for name in columns if name in made.columns]
    return made[[*known, *(name for name in made.columns if name not in known)]].reset_index(drop=True)
