"""A .tflite file that was checked: what its subgraphs say, and the tables that they were read from."""

from __future__ import annotations

from collections.abc import Iterable

from paraedge.core.errors import BadModelFile
from paraedge.core.graph import Layer, LayerGraph
from paraedge.tflite.flatbuffer import Source, Table
from paraedge.tflite.read import ModelTables, check_kind, damage_named, parse_subgraph


class ModelFile:
    """The first subgraph, those called from there, and where their tables lie."""

    def __init__(self, data: memoryview, name: str) -> None:
        check_kind(data, name)
        self.data = data
        self.name = name
        with damage_named(name):
            self.model = ModelTables(Source(data))
            self._graphs = {0: parse_subgraph(self.model, 0, name)}
            self._subgraphs = Source(data).root().tables(2)  # once more, so that a file that can be read can be cut
        self._tables: dict[int, tuple[list[Table], list[Table]]] = {}
        self._calls: dict[int, tuple[int, ...]] = {}

    def tables(self, subgraph: int) -> tuple[list[Table], list[Table]]:
        """Tables of the tensors and of the operators of a subgraph."""
        if subgraph not in self._tables:
            table = self._subgraphs[subgraph]
            with damage_named(self.name):
                self._tables[subgraph] = table.tables(0), table.tables(3)
        return self._tables[subgraph]

    def graph(self, subgraph: int) -> LayerGraph:
        """A subgraph; raises BadModelFile where it is not there or damaged."""
        if subgraph not in self._graphs:
            with damage_named(self.name):
                if subgraph >= len(self.model.subgraphs):
                    raise BadModelFile(f"an operator calls subgraph {subgraph} of {len(self.model.subgraphs)}")
                self._graphs[subgraph] = parse_subgraph(self.model, subgraph, self.name)
        return self._graphs[subgraph]

    def called(self, layers: Iterable[Layer]) -> list[int]:
        """Numbers of the subgraphs that these layers of the main one call, and of those that they call in turn."""
        found: dict[int, None] = {}
        waiting = [*_calls(layers)]
        while waiting:
            number = waiting.pop()
            if number == 0:
                raise BadModelFile(f"{self.name}: an operator calls the main subgraph")
            if number not in found:
                found[number] = None
                if number not in self._calls:
                    self._calls[number] = _calls(self.graph(number).layers)
                waiting += self._calls[number]
        return list(found)


def _calls(layers: Iterable[Layer]) -> tuple[int, ...]:
    """Numbers of the subgraphs that layers call, each once, by what their options are named (`then_subgraph_index`)."""
    found: dict[int, None] = {}
    for layer in layers:
        for field, value in layer.options.items():
            numbers = value if isinstance(value, tuple) else (value,)
            if names_subgraphs(field):
                found.update((i, None) for i in numbers if isinstance(i, int) and i >= 0)
    return tuple(found)


def names_subgraphs(field: str) -> bool:
    """Whether a field of options holds numbers of subgraphs; in snake case or as the generated API spells it."""
    return "subgraph" in field.lower() or field.lower().replace("_", "") == "calledcomputations"
