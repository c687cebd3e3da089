"""A transformer's formulas in numpy, on constants in the order in which a graph's layers take them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from lite_run import Floats


def norm(x: Floats, rest: Iterator[Floats]) -> Floats:
    normal = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    return normal * next(rest) + next(rest)


def dense(x: Floats, rest: Iterator[Floats]) -> Floats:
    return x @ next(rest).T + next(rest)


def softmax(x: Floats) -> Floats:
    powers = np.exp(x - x.max(-1, keepdims=True))
    shares: Floats = powers / powers.sum(-1, keepdims=True)
    return shares


def attention(x: Floats, head: int, rest: Iterator[Floats]) -> Floats:
    """By heads of the depth `head`, projected; the queries are scaled by 1 / sqrt(head) already."""
    packed = dense(x, rest)
    q, k, v = (
        np.stack(np.split(part, part.shape[-1] // head, axis=-1), axis=1) for part in np.split(packed, 3, axis=-1)
    )
    seen = softmax(q @ k.transpose(0, 1, 3, 2)) @ v
    return dense(np.concatenate(list(seen.transpose(1, 0, 2, 3)), axis=-1), rest)
