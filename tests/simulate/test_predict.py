"""The chain of terms: sums, directions, first invoke, odd graphs."""

from __future__ import annotations

import dataclasses
import math
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from paraedge.core.device import Origin
from paraedge.core.graph import ConstantWeights, Layer, LayerGraph, Quantization, SeededWeights, Tensor
from paraedge.core.outcome import Prediction
from paraedge.simulate import Hardware, explain, hardware_names, load_hardware, predict, roofs, sentences
from paraedge.simulate.mappable import RULES

Chain = Callable[..., LayerGraph]
TERMS = ("compute_ms", "weights_ms", "input_ms", "output_ms", "instructions_ms", "overhead_ms", "cpu_ms")


def check(prediction: Prediction, graph: LayerGraph, hardware: Hardware) -> None:
    """What holds of every prediction."""
    assert tuple(prediction.terms) == TERMS
    assert prediction.latency_ms == sum(prediction.terms.values())
    assert all(math.isfinite(value) and value >= 0 for value in prediction.terms.values())
    placement = prediction.placement
    assert sorted(placement.on_device + placement.on_cpu) == list(range(len(graph.layers)))
    assert placement.on_chip is not None
    assert placement.off_chip is not None
    assert set(placement.on_chip + placement.off_chip) <= set(placement.on_device)
    assert (prediction.low_ms is None) == (prediction.high_ms is None)
    assert set(placement.on_cpu) == set(placement.reasons)
    named = [re.match(r"op \d+ \(\S+\): |\S+ x(\d+): ", text) for text in prediction.untimed]
    named_on_cpu = sum(
        int(match[1] or 1)
        for match, text in zip(named, prediction.untimed, strict=True)
        if match and "on the CPU" in text
    )
    assert all(named)
    assert named_on_cpu == len(placement.on_cpu)
    assert prediction.first_ms is None or prediction.first_ms >= prediction.latency_ms
    explanation = explain(prediction, graph, hardware)
    streamed_ms = sum(spill.cost_ms for spill in explanation.spilled) + explanation.setup_ms
    assert streamed_ms == pytest.approx(prediction.terms["weights_ms"])
    assert {spill.index for spill in explanation.spilled} == set(placement.off_chip or ())
    told = sentences(explanation, prediction, graph)
    assert all(sentence.endswith(".") and "\n" not in sentence for sentence in told)


@pytest.mark.parametrize("device", hardware_names())
def test_terms_add_up_on_every_device(dense_chain: Chain, device: str) -> None:
    for node in (32, 500, 1800, 3000):
        graph = dense_chain(64, node, node, node, 10)
        check(predict(graph, load_hardware(device)), graph, load_hardware(device))


def test_terms_of_a_streamed_layer_by_hand(dense_chain: Chain, chip: Hardware) -> None:
    terms = predict(dense_chain(4096, 4096, bias=False), chip).terms  # 16 MiB, streamed
    assert terms["weights_ms"] == pytest.approx(16 * chip.stream_ms_per_mib + chip.stream_setup_ms)
    assert terms["input_ms"] == pytest.approx(4096 / chip.link_mb_per_s / 1e3)
    assert terms["output_ms"] == pytest.approx(4096 / chip.return_mb_per_s / 1e3)
    code = round(chip.instruction_bytes_per_op + 4096 * chip.instruction_bytes_per_unit)
    assert terms["instructions_ms"] == pytest.approx(code / chip.link_mb_per_s / 1e3)
    assert terms["compute_ms"] == pytest.approx(4096**2 / chip.on_chip_bytes_per_cycle / (chip.clock_mhz * 1e3))
    assert terms["overhead_ms"] == chip.overhead_ms
    assert terms["cpu_ms"] == 0


def test_first_invoke_uploads_the_cached_parameters(dense_chain: Chain, chip: Hardware) -> None:
    prediction = predict(dense_chain(1024, 1024, bias=False), chip)
    assert prediction.first_ms is not None
    assert prediction.first_ms - prediction.latency_ms == pytest.approx(chip.upload_ms_per_mib)


def test_latency_grows_with_width_and_jumps_where_parameters_spill(dense_chain: Chain, chip: Hardware) -> None:
    found = [predict(dense_chain(64, n, n, n, n, 10), chip) for n in range(64, 2800, 64)]
    times = [p.latency_ms for p in found]
    assert times == sorted(times)
    cliff = next(i for i, p in enumerate(found) if p.placement.off_chip)
    assert times[cliff] > 20 * times[cliff - 1]


def test_half_the_clock_doubles_compute_and_nothing_else(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 32, 32, 3))
    graph = builder.graph([x], [builder.conv(builder.conv(x, 64), 64, kernel=1)])
    fast = predict(graph, chip).terms
    slow = predict(graph, dataclasses.replace(chip, clock_mhz=chip.clock_mhz / 2)).terms
    assert slow["compute_ms"] == pytest.approx(2 * fast["compute_ms"])
    assert {k: v for k, v in slow.items() if k != "compute_ms"} == {k: v for k, v in fast.items() if k != "compute_ms"}


def test_streamed_convolutions_are_fetched_once_a_stripe(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 64, 64, 700))
    wide = builder.graph([x], [builder.conv(x, 700)])
    tiny = dataclasses.replace(chip, wide_memory_bytes=2.0**20, most_fetches=3.0)
    terms = predict(wide, tiny)
    mib = terms.placement.off_chip_bytes / 2**20
    assert terms.terms["weights_ms"] == pytest.approx(3 * mib * chip.stream_ms_per_mib + chip.stream_setup_ms)


def test_compiled_file_is_named_as_not_timed(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 224, 224, 3), "uint8")
    y = builder.op("CUSTOM", (x,), (1, 1001), "uint8", custom_code="edgetpu-custom-op")
    graph = builder.graph([x], [builder.op("SOFTMAX", (y,), (1, 1001), "uint8")])
    prediction = predict(graph, chip)
    check(prediction, graph, chip)
    assert prediction.untimed[0].startswith("op 0 (CUSTOM): compiled for the Edge TPU")
    assert prediction.untimed[1].startswith("op 1 (SOFTMAX): on the CPU")
    assert prediction.instruction_bytes is None
    assert prediction.first_ms is None
    assert prediction.terms["input_ms"] > 0


def test_lstm_is_mapped_and_not_timed(builder: Any, chip: Hardware) -> None:
    x = builder.tensor((1, 28, 28))
    inputs = [x, *[builder.tensor((20, 28), constant=True)] * 8]
    graph = builder.graph([x], [builder.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, (1, 28, 20))])
    prediction = predict(graph, chip)
    check(prediction, graph, chip)
    assert prediction.placement.on_device == (0,)
    assert "no timing model" in prediction.untimed[0]


def test_graph_without_layers(chip: Hardware) -> None:
    graph = LayerGraph(name="empty", tensors=(), layers=(), inputs=(), outputs=())
    check(predict(graph, chip), graph, chip)


OPS = (*RULES, "CUSTOM", "ARG_MAX", "SHAPE", "NO_SUCH_OP")
SIZES = (None, -1, 0, 1, 1, 2, 3, 8, 64, 1000, 2**31 - 1)
CALM_SIZES = (1, 1, 1, 1, 2, 16, 2**31 - 1)
DTYPES = ("int8", "int8", "int8", "uint8", "int32", "float32", "int16", "string", "NONSENSE")
KINDS = (
    None,
    None,
    SeededWeights(seed=0, stream=0, bound=1),
    ConstantWeights(values=(0, 1)),
    ConstantWeights(values=()),
)
OPTIONS = (
    {},
    {"fused_activation_function": "RELU"},
    {"weights_format": 7, "dilation_w_factor": None},
    {"padding": "SAME"},
)


def odd_graph(seed: int) -> LayerGraph:
    """Any ops over any tensors: absent inputs, ids out of range, cycles, shapes without sense; half of them calmer."""
    draw = random.Random(seed)
    count = draw.randint(1, 12)
    calm = seed % 2 == 0
    sizes, dtypes, ranks, least, most_id = (
        (CALM_SIZES, DTYPES[:3], (2, 4, 4), 0, count - 1)
        if calm
        else (SIZES, DTYPES, (0, 1, 2, 2, 4, 4, 5, 40), -1, count)
    )
    tensors = tuple(
        Tensor(
            name=str(i),
            shape=tuple(draw.choice(sizes) for _ in range(draw.choice(ranks))),  # type: ignore[misc]
            dtype=draw.choice(dtypes),
            quantization=draw.choice((None, Quantization(scales=(), zero_points=()))),
            weights=draw.choice(KINDS),
        )
        for i in range(count)
    )

    def some_ids(most: int) -> tuple[int, ...]:
        return tuple(draw.randint(least, most_id) for _ in range(draw.randint(calm, most)))

    layers = tuple(
        Layer(
            op=draw.choice(OPS),
            inputs=some_ids(5),
            outputs=some_ids(2),
            options=draw.choice(OPTIONS),  # type: ignore[arg-type]
            custom_code=draw.choice((None, "x", "edgetpu-custom-op")),
        )
        for _ in range(draw.randint(0, 8))
    )
    return LayerGraph(name="odd", tensors=tensors, layers=layers, inputs=some_ids(2), outputs=some_ids(2))


def test_odd_graphs_give_a_prediction(pcie: Hardware) -> None:
    small = dataclasses.replace(pcie, wide_memory_bytes=3000.0)
    mapped = spilled = 0
    for seed in range(10_000):
        graph, hardware = odd_graph(seed), small if seed % 4 < 2 else pcie
        prediction = predict(graph, hardware)
        check(prediction, graph, hardware)
        mapped += bool(prediction.placement.on_device)
        spilled += bool(prediction.placement.off_chip)
    assert mapped > 1500  # the odd graphs reach the terms, not only the checks
    assert spilled > 300  # and the search for what would mend them


def test_roofs_hold_every_prediction(dense_chain: Chain) -> None:
    for device in hardware_names():
        hardware = load_hardware(device)
        found = {roof.name: roof for roof in roofs(hardware)}
        assert {roof.origin for roof in found.values()} == {Origin.SIMULATED}
        assert all(roof.source for roof in found.values())
        assert found["peak int8"].value == pytest.approx(4096)  # 2 x 64 x 64 x 0.5 GHz
        for node in (64, 1024, 2500):
            graph = dense_chain(64, node, node, node, 10)
            prediction = predict(graph, hardware)
            assert prediction.latency_ms > found["shortest invoke"].value
            assert 2 * (graph.macs or 0) / prediction.latency_ms / 1e6 < found["peak int8"].value
            assert (prediction.link_bytes or 0) / prediction.latency_ms / 1e6 < found["host link"].value
