"""Recurrent networks: their sizes by formula, their placement, sweeps, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lite_run import assert_well_formed
from recurrences import CELLS, NAMES, OPS, graph, small

from paraedge import simulate
from paraedge.core.errors import BadInput
from paraedge.core.spec import Precision
from paraedge.models.rnn import RnnParams
from paraedge.simulate.constants import Hardware
from paraedge.sweep import load_sweep
from paraedge.tflite import model_bytes_estimate, parse_graph, write_model

GATES = {cell: len(NAMES[cell]) for cell in CELLS}


cells = st.builds(
    RnnParams,
    cell=st.sampled_from(CELLS),
    layer=st.integers(1, 4),
    embed=st.integers(1, 9),
    length=st.integers(1, 5),
    vocab=st.integers(1, 9),
    embedding=st.sampled_from(["none", "gather"]),
)


@settings(max_examples=100, deadline=None)
@given(cells, st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_sizes_are_those_of_the_formula(params: RnnParams, precision: Precision, batch: int) -> None:
    made = graph(params, precision, batch)
    gates, e, v = GATES[params.cell], params.embed, params.vocab
    table = v * e if params.embedding == "gather" else 0
    assert made.parameters == params.layer * gates * (2 * e * e + e) + (e * v + v) + table
    assert made.macs == batch * (params.length * params.layer * gates * 2 * e * e + e * v)
    assert made.tensors[made.outputs[0]].shape == (batch, v)
    taken = made.tensors[0]
    if params.embedding == "gather":
        assert (taken.shape, taken.dtype) == ((batch, params.length), "int32")
    else:
        assert (taken.shape, taken.dtype) == ((batch, params.length, e), precision)
    assert_well_formed(made, precision)


@settings(max_examples=30, deadline=None)
@given(cells, st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_written_graphs_read_back_equal(params: RnnParams, precision: Precision, batch: int) -> None:
    made = graph(params, precision, batch)
    data = write_model(made)
    again = parse_graph(data, made.name)
    assert [(layer.op, layer.inputs, layer.outputs) for layer in again.layers] == [
        (layer.op, layer.inputs, layer.outputs) for layer in made.layers
    ]
    assert all(
        {name: b.options[name] for name in a.options} == a.options
        for a, b in zip(made.layers, again.layers, strict=True)
    )
    assert [(t.name, t.shape, t.dtype) for t in again.tensors] == [(t.name, t.shape, t.dtype) for t in made.tensors]
    assert again.parameters == made.parameters
    assert abs(model_bytes_estimate(made) - len(data)) <= max(0.01 * len(data), 512)


@pytest.mark.parametrize("cell", CELLS)
def test_every_step_has_its_gates_and_all_steps_share_their_weights(cell: str) -> None:
    params = small(cell)
    made = graph(params)
    dense = [layer.inputs[1:] for layer in made.layers if layer.op == "FULLY_CONNECTED"]
    assert len(dense) == params.layer * params.length * GATES[cell] + 1
    assert Counter(Counter(dense).values()) == {params.length: params.layer * GATES[cell], 1: 1}
    assert len(made.layers) == params.length + 1 + params.layer * params.length * OPS[cell] + 1
    # 24 x 48 weights and 24 biases a gate; the rest of the file is what describes the ops
    per_gate = 24 * 48 + 4 * 24
    described = len(write_model(made)) - params.layer * GATES[cell] * per_gate
    assert described < 250 * len(made.layers) + 2000


@pytest.mark.parametrize("cell", CELLS)
def test_quantization_is_the_specifications(cell: str) -> None:
    """TFLite's quantization specification: the scales of TANH and LOGISTIC, and ops that keep theirs."""
    made = graph(small(cell))
    for layer in made.layers:
        tensors = [made.tensors[i] for i in (*layer.inputs, *layer.outputs)]
        kept = {tensor.quantization for tensor in tensors if tensor.weights is None}
        result = tensors[-1].quantization
        assert result is not None
        if layer.op in ("CONCATENATION", "STRIDED_SLICE"):
            assert len(kept) == 1
        if layer.op in ("TANH", "LOGISTIC"):
            spec = ((1 / 128,), (0,)) if layer.op == "TANH" else ((1 / 256,), (-128,))
            assert (result.scales, result.zero_points) == spec
        if layer.op == "FULLY_CONNECTED":
            x, weights, bias = (tensor.quantization for tensor in tensors[:3])
            assert x is not None
            assert weights is not None
            assert bias is not None
            assert bias.scales == pytest.approx([x.scales[0] * weights.scales[0]])


@pytest.fixture(scope="module")
def pcie() -> Hardware:
    return simulate.load_hardware("sim-edgetpu-pcie")


@pytest.mark.parametrize("cell", CELLS)
def test_the_whole_network_is_mapped_unless_it_gathers(cell: str, pcie: Hardware) -> None:
    made = graph(small(cell))
    found = simulate.predict(made, pcie)
    assert found.placement.on_cpu == ()
    assert found.untimed == ()
    gathers = simulate.predict(graph(small(cell, embedding="gather")), pcie)
    assert gathers.placement.on_cpu == (0,)
    assert gathers.untimed == ("op 0 (GATHER): on the CPU, operation not supported",)


def test_shared_weights_are_kept_once(pcie: Hardware) -> None:
    """100 units: weights of 200 inputs and 100 outputs, these to 128, and 4 bytes of bias for each."""
    params = RnnParams(cell="lstm", layer=2, embed=100, length=10, vocab=64)
    placement = simulate.predict(graph(params), pcie).placement
    assert placement.on_chip_bytes == 2 * 4 * 128 * (200 + 4) + 64 * (100 + 4)
    assert placement.off_chip_bytes == 0
    longer = simulate.predict(graph(RnnParams(cell="lstm", layer=2, embed=100, length=20, vocab=64)), pcie)
    assert longer.placement.on_chip_bytes == placement.on_chip_bytes


def test_the_largest_of_paradnn(pcie: Hardware) -> None:
    """16,472 ops, which are written, read and predicted whole."""
    made = graph(RnnParams(cell="lstm", layer=13, embed=100, length=90, vocab=512))
    assert len(made.layers) == 90 + 1 + 13 * 90 * 14 + 1 == 16_472
    again = parse_graph(write_model(made), made.name)
    assert again.parameters == made.parameters
    assert simulate.predict(again, pcie).placement.on_device == tuple(range(16_472))
    with pytest.raises(BadInput, match="has 16472 ops; cuts can be looked for among 2500 at most"):
        simulate.spans(made, pcie)


def test_the_sweep_is_paradnns() -> None:
    sweep = load_sweep("paradnn-rnn")
    points = list(sweep.points())
    assert len(points) == 540
    axes = {
        name: {getattr(spec.params, name) for spec in points} for name in ("cell", "layer", "embed", "length", "vocab")
    }
    assert axes == {
        "cell": {"rnn", "lstm", "gru"},
        "layer": {1, 5, 9, 13},
        "embed": {100, 500, 900},
        "length": {10, 50, 90},
        "vocab": {2, 8, 32, 128, 512},
    }


def test_the_ladder_is_the_papers() -> None:
    found = [(spec.params.widths, spec.params.output) for spec in load_sweep("fc-ladder").points()]  # type: ignore[attr-defined]
    assert found == [(tuple(int(2 ** (s * v)) for v in (1.5, 1.3, 1.1, 1)), 2 * s) for s in range(1, 8)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "elman"}, "cell = 'elman': must be one of 'rnn', 'lstm', 'gru'"),
        ({"embedding": "table"}, "embedding = 'table': must be one of 'none', 'gather'"),
        ({"layer": 0}, "layer = 0: must be a whole number from 1 to 10000"),
        ({"layer": 101, "length": 100}, "layer \\* length = 10100: must be at most 10000"),
    ],
)
def test_impossible_parameters_are_refused(change: Mapping[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        RnnParams(**{"layer": 1, "embed": 8, "length": 4, "vocab": 2, **change})
