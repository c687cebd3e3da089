"""What parent and child say to each other: one JSON object a line, core nouns by the name of their class.

A noun travels as `{"is": "Block", "invokes": 1, ...}`. Sequences arrive as tuples. A spec's parameters arrive under
their TOML names but without their family's class (`PlainParams`), which the room of models owns; `spec_id` stays.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from paraedge.core import device, graph, outcome, partition, pipeline, spec, window
from paraedge.core.errors import ParaedgeError

Noun = TypeVar("Noun")


@dataclass(frozen=True)
class PlainParams(spec.Params):
    """Parameters of any family: (name, value) pairs in the order of their declaration."""

    pairs: tuple[tuple[str, spec.ParamValue], ...] = ()

    def columns(self) -> dict[str, spec.ParamValue]:
        """The parameters under their TOML names."""
        return dict(self.pairs)


NOUNS: Mapping[str, type[Any]] = {
    noun.__name__: noun
    for noun in (
        *(device.DeviceInfo, device.MeasureSettings, device.Roof, device.Target),
        *(graph.ConstantWeights, graph.FileWeights, graph.Layer, graph.LayerGraph, graph.Quantization),
        *(graph.SeededWeights, graph.Tensor),
        *(outcome.Artifact, outcome.Block, outcome.Failure, outcome.Job, outcome.Measurement, outcome.Placement),
        *(outcome.Prediction, partition.Partition, partition.Stage, pipeline.PipelineRun, pipeline.StageRun),
        *(spec.ModelSpec, window.Window, PlainParams),
    )
}


class BadMessage(ParaedgeError):
    """A line that is no message of this protocol."""


def to_line(message: Mapping[str, object]) -> bytes:
    """The message as one line, newline included."""
    return json.dumps({key: _encode(value) for key, value in message.items()}, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """The message in a line; raises BadMessage."""
    try:
        message = json.loads(line)
        return {key: _decode(value) for key, value in message.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadMessage(f"not a message: {line[:80]!r}") from error


def expect(message: Mapping[str, object], key: str, kind: type[Noun]) -> Noun:
    """The message's value under `key`, which must be a `kind`; raises BadMessage."""
    value = message.get(key)
    if not isinstance(value, kind):
        raise BadMessage(f"{key} should be a {kind.__name__}, not {type(value).__name__}")
    return value


def _encode(value: object) -> object:
    if isinstance(value, spec.Params):
        return {"is": "PlainParams", "pairs": [[name, _encode(item)] for name, item in value.columns().items()]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, device.Origin):
        return {"is": "Origin", "value": value.value}
    if isinstance(value, Path):
        return {"is": "Path", "value": str(value)}
    if isinstance(value, Mapping):
        return {"is": "Mapping", "pairs": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, (tuple, list)):
        return [_encode(item) for item in value]
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    kind = value["is"]
    if kind == "Origin":
        return device.Origin(value["value"])
    if kind == "Path":
        return Path(value["value"])
    if kind == "Mapping":
        return {_decode(key): _decode(item) for key, item in value["pairs"]}
    return NOUNS[kind](**{key: _decode(item) for key, item in value.items() if key != "is"})
