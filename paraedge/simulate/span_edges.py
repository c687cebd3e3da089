"""What enters and leaves every span of a graph, from where each tensor is made and used."""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.simulate.shapes import known_bytes
from paraedge.simulate.traffic import output_blocks

if TYPE_CHECKING:
    from paraedge.core.spans import Times

MOST_LAYERS = 2500
"""Of a graph whose spans are all looked at: three million of them, some ten seconds and 2 GB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpanEdges:
    """Of each span [i, j), element [i, j] of arrays of shape (n + 1, n + 1), 0 where i >= j.

    input_bytes, output_bytes: of `core.cut.edges`. handed_bytes: that part of the inputs which earlier layers made.
    output_blocks: `traffic.output_blocks` of the outputs. returned_bytes, returned_blocks: the same of those outputs
    that are the graph's.
    """

    input_bytes: Times
    handed_bytes: Times
    output_bytes: Times
    output_blocks: Times
    returned_bytes: Times
    returned_blocks: Times


class _Sums:
    """A table that rectangles are added to; floats, so that no size overflows, exact up to 2^53."""

    def __init__(self, layers: int) -> None:
        self._steps = np.zeros((layers + 2, layers + 2))

    def add(self, first: int, last: int, end: int, amount: float) -> None:
        """For every span that begins at `first` to `last` and ends at `end` or later."""
        self._steps[first, end] += amount
        self._steps[last + 1, end] -= amount

    def table(self) -> Times:
        found: Times = self._steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
        return found


def span_edges(graph: LayerGraph) -> SpanEdges:
    """What crosses the edges of every span. A tensor counts once, however often it is used.

    Raises BadInput for a graph of more than MOST_LAYERS layers.
    """
    layers = len(graph.layers)
    if layers > MOST_LAYERS:
        raise BadInput(f"{graph.name} has {layers} ops; cuts can be looked for among {MOST_LAYERS} at most")
    entering, handed, leaving, blocks, returned, returned_blocks = (_Sums(layers) for _ in range(6))
    makers, users = _makers_and_users(graph)
    final = set(graph.outputs)
    for tensor_id, tensor in enumerate(graph.tensors):
        if tensor_id in graph.unpacked:
            continue
        made_by, used_by, size = makers[tensor_id], users[tensor_id], float(known_bytes(tensor))
        if tensor.weights is None:
            for first, user, is_made in _entrances(made_by, used_by):
                entering.add(first, user, user + 1, size)
                if is_made:
                    handed.add(first, user, user + 1, size)
        copies = float(output_blocks(graph.tensors, [tensor_id])) if made_by else 0.0
        for first, last, end, sign in _exits(made_by, used_by, is_final=tensor_id in final):
            leaving.add(first, last, end, sign * size)
            blocks.add(first, last, end, sign * copies)
            if tensor_id in final:
                returned.add(first, last, end, size)
                returned_blocks.add(first, last, end, copies)
    return SpanEdges(
        input_bytes=entering.table(),
        handed_bytes=handed.table(),
        output_bytes=leaving.table(),
        output_blocks=blocks.table(),
        returned_bytes=returned.table(),
        returned_blocks=returned_blocks.table(),
    )


def _makers_and_users(graph: LayerGraph) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Layers that make each tensor and that use it, each once, ascending."""
    makers: dict[int, list[int]] = defaultdict(list)
    users: dict[int, list[int]] = defaultdict(list)
    for index, layer in enumerate(graph.layers):
        for tensor_id in dict.fromkeys(layer.outputs):
            makers[tensor_id].append(index)
        for tensor_id in dict.fromkeys(layer.inputs):
            users[tensor_id].append(index)
    return makers, users


def _entrances(makers: list[int], users: list[int]) -> list[tuple[int, int, bool]]:
    """(first, user, is made): a span that begins at `first` to `user` and holds the user has the tensor enter it.

    That user is the span's first one, and what made the tensor lies before the span.
    """
    found, before = [], -1
    for user in users:
        at = bisect.bisect_left(makers, user)
        made = makers[at - 1] if at else -1
        found.append((max(made, before) + 1, user, at > 0))
        before = user
    return found


def _exits(makers: list[int], users: list[int], *, is_final: bool) -> list[tuple[int, int, int, int]]:
    """(first, last, end, sign): spans that begin at `first` to `last` and end at `end` or later have the tensor leave.

    Those that make it, less (sign -1) those that hold all its users.
    """
    found, before = [], -1
    for maker in makers:
        if is_final or users:
            found.append((before + 1, maker, maker + 1, 1))
        if users and not is_final and before < users[0]:
            found.append((before + 1, min(maker, users[0]), max(maker, users[-1]) + 1, -1))
        before = maker
    return found
