"""A segment's file says what the whole one said, field by field, as the schema's own object API reads both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from file_objects import buffer, objects, pack, strange_model

from paraedge.core.errors import BadInput
from paraedge.core.graph import FileWeights, LayerGraph
from paraedge.tflite import Segment, cut_model, parse_graph, write_model


def same(one: Any, other: Any) -> bool:
    """Equal in all fields; a vector that is absent equals an empty one."""
    if hasattr(one, "__dict__") and hasattr(other, "__dict__"):
        return type(one) is type(other) and all(same(value, vars(other)[name]) for name, value in vars(one).items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return _plain(one) == _plain(other)


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, np.ndarray) and not len(value)):
        return []
    return (value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value


def content(model: Any, number: int, source: bytes) -> bytes:
    """The data of a buffer, wherever it lies."""
    if not model.buffers or number == 0:
        return b""
    buffer = model.buffers[number]
    if buffer.offset > 1:
        return source[buffer.offset : buffer.offset + buffer.size]
    return b"" if buffer.data is None else bytes(buffer.data)


def check_copied(data: bytes, segments: Sequence[Segment]) -> None:
    """Check every operator and tensor of every segment. Who is who follows from the operators alone."""
    whole = objects(data)
    main = whole.subgraphs[0]
    for segment in segments:
        part = objects(segment.data)
        mine = part.subgraphs[0]
        ids: dict[int, int] = {-1: -1}
        for operator, original in zip(mine.operators, main.operators[segment.first : segment.end], strict=True):
            assert same(part.operatorCodes[operator.opcodeIndex], whole.operatorCodes[original.opcodeIndex])
            for field in ("inputs", "outputs", "intermediates"):
                pairs = [getattr(one, field) for one in (operator, original)]
                for new, old in zip(*([] if ids_ is None else ids_.tolist() for ids_ in pairs), strict=True):
                    assert ids.setdefault(new, old) == old
                setattr(operator, field, getattr(original, field))
            operator.opcodeIndex = original.opcodeIndex
            assert same(operator, original)
        for new, old in zip([*mine.inputs, *mine.outputs], [*segment.inputs, *segment.outputs], strict=True):
            assert ids.setdefault(int(new), old) == old
        assert len(set(ids.values())) == len(ids)
        for new, old in ids.items():
            if new >= 0:
                check_tensor(mine.tensors[new], main.tensors[old], part, whole, data)
        assert (part.version, part.description or b"") == (whole.version, whole.description or b"")


def check_tensor(tensor: Any, original: Any, part: Any, whole: Any, data: bytes) -> None:
    assert content(part, tensor.buffer, b"") == content(whole, original.buffer, data)
    tensor.buffer = original.buffer
    details = None if tensor.quantization is None else tensor.quantization.details
    if isinstance(details, schema.BlockwiseQuantizationT):  # it numbers other tensors
        theirs = original.quantization.details
        details.scales, details.zeroPoints = theirs.scales, theirs.zeroPoints
    assert same(tensor, original)


def test_published_files_compiled_ones_too(edgetpu_data: Path) -> None:
    cut = 0
    for path in sorted((edgetpu_data / "models").rglob("*.tflite")):
        data = path.read_bytes()
        layers = len(parse_graph(data, path.name).layers)
        if layers > 1:
            check_copied(data, cut_model(data, range(1, layers)))
            cut += 1
    assert cut >= 13


def test_our_own(small_graph: LayerGraph) -> None:
    data = bytes(write_model(small_graph))
    check_copied(data, cut_model(data, range(1, len(small_graph.layers))))
    (whole,) = cut_model(data, ())
    assert (whole.inputs, whole.outputs) == (small_graph.inputs, small_graph.outputs)


def test_a_segment_holds_its_own_weights_once_and_aligned(edgetpu_data: Path) -> None:
    data = (edgetpu_data / "models" / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    weights = 0
    segments = cut_model(data, (10, 20))
    for segment in segments:
        graph = parse_graph(segment.data, "segment")
        weights += graph.weight_bytes
        held = [tensor.weights for tensor in graph.tensors if isinstance(tensor.weights, FileWeights)]
        assert held
        assert all(one.offset % 16 == 0 for one in held)
        assert len(segment.data) < sum(one.size_bytes for one in held) + 20_000
    assert weights == parse_graph(data, "whole").weight_bytes


def test_nothing_that_a_file_can_say_of_tensors_and_operators_is_lost() -> None:
    data = pack(strange_model())
    segments = cut_model(data, (1,))
    assert [(segment.inputs, segment.outputs) for segment in segments] == [((0,), (2,)), ((2,), (8,))]
    check_copied(data, segments)


def test_scales_in_another_tensor_come_along() -> None:
    segment = cut_model(pack(strange_model()), (1,))[1]
    part = objects(segment.data)
    details = [one.quantization.details for one in part.subgraphs[0].tensors if one.quantization is not None]
    (blocks,) = [one for one in details if isinstance(one, schema.BlockwiseQuantizationT)]
    scales = part.subgraphs[0].tensors[blocks.scales]
    assert content(part, scales.buffer, b"") == b"1234"
    assert blocks.zeroPoints == -1


def test_metadata_that_holds_for_a_part_stays_and_no_other() -> None:
    for segment in cut_model(pack(strange_model()), (1,)):
        part = objects(segment.data)
        kept = {entry.name: content(part, entry.buffer, b"") for entry in part.metadata}
        assert kept == {b"min_runtime_version": b"1.2.3", b"reduced_precision_support": b"fp16"}
        assert not part.signatureDefs


def test_data_outside_the_flatbuffer_comes_inside() -> None:
    """Weights and custom options of files above 2 GiB lie after the FlatBuffer, at offsets from the file's begin."""
    model = strange_model()
    model.buffers[1] = buffer()
    model.buffers[1].offset, model.buffers[1].size = 1, 1  # so that the fields are there to be set below
    first = model.subgraphs[0].operators[0]
    first.customOptions, first.largeCustomOptionsOffset, first.largeCustomOptionsSize = None, 1, 5
    size = len(pack(model))
    model.buffers[1].offset, model.buffers[1].size = size, 4
    first.largeCustomOptionsOffset = size + 4
    data = pack(model) + b"abcdlarge"
    assert len(data) == size + 9
    part = objects(cut_model(data, (1,))[0].data)
    (copied,) = part.subgraphs[0].operators
    assert copied.customOptions.tobytes() == b"large"
    assert (copied.largeCustomOptionsOffset, copied.largeCustomOptionsSize) == (0, 0)
    weights = part.subgraphs[0].tensors[copied.inputs[1]]
    assert content(part, weights.buffer, b"") == b"abcd"
    assert part.buffers[weights.buffer].offset == 0


def test_weights_in_other_files_are_refused() -> None:
    model = strange_model()
    model.subgraphs[0].tensors[1].externalBuffer = 3
    with pytest.raises(BadInput, match="weights in other files"):
        cut_model(pack(model), (1,))


def test_equality_can_fail() -> None:
    data = pack(strange_model())
    segments = cut_model(data, (1,))
    other = strange_model()
    other.subgraphs[0].tensors[3].sparsity.dimMetadata[1].arrayIndices.values[1] = 0
    with pytest.raises(AssertionError):
        check_copied(pack(other), segments)
    check_copied(data, segments)
