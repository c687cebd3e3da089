"""Segments run in sequence give bit for bit what the whole gives, at every tensor that crosses a cut."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runnable_graphs import cuts_of, runnable_graphs
from segment_runs import KINDS, check_equal

from paraedge.core.cut import edges
from paraedge.core.graph import LayerGraph
from paraedge.tflite import Segment, cut_model, parse_graph, write_model

RUNS_ON_CPU = [
    "deeplabv3_mnv2_dm05_pascal_quant",
    "keras_lstm_mnist_ptq",
    "mobilenet_v1_0.25_128_quant",
    "mobilenet_v1_0.5_160_quant",
    "mobilenet_v1_0.75_192_quant",
    "mobilenet_v1_1.0_224_quant_embedding_extractor",
    "mobilenet_v2_1.0_224_quant",
    "movenet_single_pose_lightning_ptq",
    "split_concat",
]
"""Published models that are not compiled, of more than one op, whose ops LiteRT has."""

KIND = pytest.mark.parametrize("kind", sorted(KINDS))


@KIND
def test_our_models_cut_at_every_op(small_graph: LayerGraph, kind: str) -> None:
    cuts = range(1, len(small_graph.layers))
    segments = check_equal(write_model(small_graph), cuts, kind)
    assert len(segments) == len(small_graph.layers)


@KIND
@pytest.mark.parametrize("name", RUNS_ON_CPU)
def test_published_models(name: str, kind: str, edgetpu_data: Path) -> None:
    data = (edgetpu_data / "models" / f"{name}.tflite").read_bytes()
    layers = len(parse_graph(data, name).layers)
    check_equal(data, range(1, layers), kind, runs=1 if kind == "reference" else 2)  # whose kernels are slow


def test_a_single_wrong_weight_is_seen(small_files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_badly(data: bytes, cuts: Sequence[int]) -> list[Segment]:
        first, *others = cut_model(data, cuts)
        weights = next(one.weights for one in parse_graph(first.data, "first").tensors if one.weights is not None)
        damaged = bytearray(first.data)
        damaged[weights.offset] ^= 0x40  # of the first layer
        return [dataclasses.replace(first, data=memoryview(bytes(damaged))), *others]

    data = small_files["fc-int8"]
    check_equal(data, (1,), "builtin")
    monkeypatch.setattr("segment_runs.cut_model", cut_badly)
    with pytest.raises(AssertionError):
        check_equal(data, (1,), "builtin")


@KIND
def test_what_follows_a_compiled_op(kind: str, edgetpu_data: Path) -> None:
    """The compiled op runs on its device only; the ops after it, a custom one with options among them, anywhere."""
    path = edgetpu_data / "models" / "ssd_mobilenet_v1_coco_quant_postprocess_segment_1_of_2_edgetpu.tflite"
    compiled, rest = cut_model(path.read_bytes(), (1,))
    assert [layer.custom_code for layer in parse_graph(compiled.data, "compiled").layers] == ["edgetpu-custom-op"]
    graph = parse_graph(rest.data, "rest")
    assert graph.layers[-1].custom_code == "TFLite_Detection_PostProcess"
    check_equal(rest.data, range(1, len(graph.layers)), kind)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_graph_at_any_cuts(data: st.DataObject) -> None:
    graph = data.draw(runnable_graphs())
    cuts = data.draw(cuts_of(len(graph.layers)))
    check_equal(write_model(graph), cuts, data.draw(st.sampled_from(sorted(KINDS))))


@given(st.data())
def test_what_crosses_is_what_core_says(data: st.DataObject) -> None:
    """`core.cut.edges` finds the same from the layers of one part alone."""
    graph = data.draw(runnable_graphs(most_ops=20))
    made = {i for layer in graph.layers for i in layer.outputs}
    for segment in cut_model(write_model(graph), data.draw(cuts_of(len(graph.layers)))):
        entering, leaving = edges(graph, range(segment.first, segment.end))
        handed = set(segment.outputs) - made
        assert set(segment.outputs) - handed == set(leaving)
        assert set(segment.inputs) - handed == set(entering) - handed
        assert handed <= set(graph.outputs)
