"""What is said of a prediction, and that it is so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from graph_builder import Builder

from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction
from paraedge.simulate import Hardware, explain, predict, sentences

Chain = Callable[..., LayerGraph]


def told(graph: LayerGraph, hardware: Hardware, prediction: Prediction | None = None) -> str:
    prediction = prediction or predict(graph, hardware)
    return " ".join(sentences(explain(prediction, graph, hardware), prediction, graph))


def test_what_spilled_and_what_it_costs(dense_chain: Chain, chip: Hardware) -> None:
    graph = dense_chain(64, 1740, 1740, 1740, 1740, 10)
    prediction = predict(graph, chip)
    explanation = explain(prediction, graph, chip)
    [spill] = explanation.spilled
    assert (spill.index, spill.op, spill.fetches) == (3, "FULLY_CONNECTED", 1)
    assert spill.parameter_bytes == 1740 * 1792 + 4 * 1792
    assert spill.cost_ms == pytest.approx(spill.parameter_bytes / 2**20 * chip.stream_ms_per_mib)
    assert explanation.setup_ms == chip.stream_setup_ms
    assert (explanation.rules, explanation.rules_ms) == ("weights_ms", prediction.terms["weights_ms"])
    text = told(graph, chip)
    assert f"costs {prediction.terms['weights_ms']:.3g} ms" in text
    size = f"{spill.parameter_bytes / 2**20:.1f} MiB"
    assert f"One layer spilled, op 3 (FULLY_CONNECTED): {size}, fetched once for {spill.cost_ms:.3g} ms." in text
    assert "0.3 ms of it to set streaming up, once an invoke" in text
    assert "streaming parameters rules it" in text
    assert "narrowed from 1740 to" in text
    assert "2 devices like sim-round, cut before op 3" in text
    assert "predicted" in text


def test_the_costliest_layer_stands_first_and_stripes_are_explained(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64, 64, 128))
    y = builder.conv(builder.conv(x, 256, padding="SAME"), 640, padding="SAME")
    y = builder.op("MAX_POOL_2D", (y,), (1, 4, 4, 640), padding="SAME", stride_h=16, stride_w=16)
    graph = builder.graph([x], [builder.conv(y, 128, padding="SAME")])
    hardware = dataclasses.replace(chip, wide_memory_bytes=500_000.0)
    explanation = explain(predict(graph, hardware), graph, hardware)
    assert [(spill.index, spill.fetches > 1) for spill in explanation.spilled] == [(1, True), (3, False)]
    assert explanation.spilled[0].activation_bytes == 64 * 64 * (256 + 640)
    text = told(graph, hardware)
    size = f"{(9 * 256 * 640 + 4 * 640) / 2**20:.1f} MiB"
    assert f"2 layers spilled; the costliest is op 1 (CONV_2D): {size}, fetched" in text
    assert "outgrow the narrow memory of 3.0 MiB" in text
    assert "fetched more than once" in text


def test_all_on_chip(dense_chain: Chain, chip: Hardware) -> None:
    text = told(dense_chain(64, 64, 10), chip)
    assert "All parameters" in text
    assert "nothing to mend" in text
    assert "mend it by" not in text


def test_the_interval_and_the_caution(dense_chain: Chain, chip: Hardware) -> None:
    graph = dense_chain(64, 64, 10)
    changes = {"regime": "a kind", "outside": ("it is blue", "it is late")}
    prediction = dataclasses.replace(predict(graph, chip), low_ms=0.125, high_ms=2.5, **changes)  # type: ignore[arg-type]
    text = told(graph, chip, prediction)
    assert "between 0.125 and 2.5 ms" in text
    assert "Outside what was calibrated: it is blue; it is late." in text
    usual = dataclasses.replace(prediction, outside=())
    assert "between 0.125 and 2.5 ms, judged by left-out errors (a kind)" in told(graph, chip, usual)
    bare = dataclasses.replace(prediction, low_ms=None, high_ms=None, outside=())
    assert "nine of ten" not in told(graph, chip, bare)
    assert "Outside" not in told(graph, chip, bare)


def test_ops_on_the_cpu(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64))
    y = builder.dense(x, 64)
    graph = builder.graph([x], [builder.op("GELU", (y,), (1, 64))])
    text = told(graph, chip)
    assert "ms an invoke, without the ops on the CPU;" in text
    assert "at least" not in text
    alone = dataclasses.replace(graph, layers=graph.layers[1:])
    assert "no latency" in told(alone, chip)
