"""Where the time of models goes, by kind of op: from the lines of ops.csv to shares, a row a model."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from paraedge.core.device import Origin
from paraedge.core.profile import fixed_invoke_ms

MODEL_KEY = ("spec_id", "device", "threads", "kernels")
STREAMED, TRANSFERS, OVERHEAD = "parameters streamed", "transfers", "overhead"
TERM_KINDS = {
    "stream_setup": STREAMED, "input": TRANSFERS, "output": TRANSFERS, "instructions": TRANSFERS, "overhead": OVERHEAD,
}  # fmt: skip
"""What belongs to no op, by the name of its term."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Breakdown:
    """Models on targets, a row each in every table.

    models: the columns of ops.csv that say which model on which target, `macs`, `whole_ms`, `least_ms` (its fastest
    block; of a prediction the same), `added_ms` (all parts together) and `ratio`, of `added_ms` to `whole_ms`. shares:
    from 0 to 1, a column a kind, the largest first, without what each op pays for an invoke of its own; what an op is
    predicted to spend streaming parameters is a kind of its own. incomplete: models left out because an op of theirs
    can't run alone, or because their prediction leaves out ops with MACs.
    """

    models: pd.DataFrame
    shares: pd.DataFrame
    incomplete: int

    def of(self, chosen: pd.Series) -> Breakdown:
        """The models that `chosen`, true or false for each, picks, with the kinds that they have."""
        return Breakdown(models=self.models[chosen], shares=_by_size(self.shares[chosen]), incomplete=0)

    def mean(self) -> pd.Series:
        """The mean share of each kind over the models, each counting the same."""
        return self.shares.mean()


def breakdown(table: pd.DataFrame) -> Breakdown:
    """Shares from the lines of an ops.csv, as `archive.ops.read_ops` gives them; of no lines, empty tables."""
    number = table.groupby(list(MODEL_KEY), dropna=False, sort=False).ngroup()
    ends = table["part"] == "whole"
    untimed = ~ends & table["latency_ms"].isna()
    # a prediction that lacks only a last SOFTMAX or the like stands
    slight = (table["origin"] == Origin.SIMULATED.value) & (table["macs"] == 0)
    known = ~number.isin(number[untimed & ~slight].unique())
    parts = _parts(table[known & ~ends & ~untimed].assign(number=number))
    models = table[known & ends].assign(number=number).set_index("number")
    models = models[models.index.isin(parts["number"])]
    first = list(table.columns[: table.columns.get_loc("part")])
    sums = parts.groupby("number")[["ms", "macs"]].sum(min_count=1)
    whole = {"whole_ms": models["latency_ms"], "least_ms": models["latency_min_ms"].fillna(models["latency_ms"])}
    models = models[first].assign(macs=sums["macs"], added_ms=sums["ms"], **whole)
    own = parts.assign(ms=parts["ms"] - parts["count"] * parts["number"].map(_fixed_ms(parts, models)))
    shares = own.pivot_table(index="number", columns="kind", values="ms", aggfunc="sum", fill_value=0.0)
    shares = shares.div(shares.sum(axis=1), axis=0)
    return Breakdown(
        models=models.assign(ratio=models["added_ms"] / models["whole_ms"]),
        shares=_by_size(shares.reindex(index=models.index)),
        incomplete=int(number[~known].nunique()),
    )


def _by_size(shares: pd.DataFrame) -> pd.DataFrame:
    """The kinds that are there, the largest mean share first."""
    means = shares.mean().sort_values(ascending=False, kind="stable")
    return shares[means[means > 0].index]


def _parts(lines: pd.DataFrame) -> pd.DataFrame:
    """Number, kind, ms, macs and count of every part; an op whose parameters are streamed is two, counted once."""
    count = lines["op_count"].fillna(1).astype(float)
    streamed = lines["weights_ms"].fillna(0.0) * count
    kind = lines["op"].map(TERM_KINDS).where(lines["part"] == "term").fillna(lines["op"])
    macs = lines["macs"].astype(float) * count
    own = lines.assign(kind=kind, ms=lines["latency_ms"] * count - streamed, macs=macs, count=count)
    more = lines.assign(kind=STREAMED, ms=streamed, macs=float("nan"), count=0.0)[streamed > 0]
    return pd.concat([own, more])[["number", "kind", "ms", "macs", "count"]]


def _fixed_ms(parts: pd.DataFrame, models: pd.DataFrame) -> pd.Series:
    """Of each measured model's ops, what an invoke takes whatever it does; 0 for a simulated model."""
    least = (parts["ms"] / parts["count"]).groupby(parts["number"]).min().reindex(models.index)
    pieces = parts.groupby("number")["count"].sum().reindex(models.index)
    columns = (models["added_ms"], models["whole_ms"], pieces.astype(int), least)
    fixed = [fixed_invoke_ms(*values) for values in zip(*columns, strict=True)]
    return pd.Series(fixed, index=models.index, dtype=float).where(models["origin"] == Origin.MEASURED.value, 0.0)
