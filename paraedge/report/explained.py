"""Which hyperparameter says most of a figure."""

from __future__ import annotations

import math

import pandas as pd


def explained(values: pd.Series, by: pd.Series) -> float:
    """Share of the variance of the logarithm of `values` that lies between those of `by` (adjusted R2).

    Unlike a rank correlation it sees what rises and falls again, and needs no numbers. 0 where `by` has a single value
    or as many as there are points; below 0 where it says less than chance would.
    """
    count, groups = len(values), by.nunique()
    if groups < 2 or count <= groups:
        return 0.0
    logs = values.astype(float).map(math.log)
    whole = float(logs.var(ddof=1))
    within = float(((logs - logs.groupby(by).transform("mean")) ** 2).sum()) / (count - groups)
    return 1 - within / whole if whole > 0 else 0.0
