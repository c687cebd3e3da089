"""The problem that devices and a model make: types, names, order, buses, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from graph_builder import Builder

from paraedge import models, simulate
from paraedge.core.device import DeviceInfo, Origin
from paraedge.core.errors import BadInput, DeviceMissing, ParaedgeError
from paraedge.core.graph import LayerGraph, Tensor
from paraedge.core.outcome import Block, Failure, Measurement
from paraedge.core.spec import ModelSpec
from paraedge.devices import registry
from paraedge.models.fc import FcParams
from paraedge.partition.problem import Assigned, evaluate
from paraedge.segment import costs_of, cpu_costs, problem_for
from paraedge.segment.cuttable import cuttable
from paraedge.simulate.cluster import load_cluster
from paraedge.simulate.cluster_file import parse_cluster
from paraedge.tflite import write_model

USB3, PCIE = "sim-edgetpu-usb3", "sim-edgetpu-pcie"


@pytest.fixture(scope="module")
def graph() -> LayerGraph:
    return models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=5, node=1024, output=10)))


def test_devices_alike_are_one_type_and_keep_their_order(graph: LayerGraph) -> None:
    costs = costs_of(graph, [USB3, PCIE, USB3])
    assert [kind.devices for kind in costs.problem.types] == [(f"{USB3}#1", f"{USB3}#2"), (PCIE,)]
    assert costs.order == (0, 1, 0)
    assert costs.origins == (Origin.SIMULATED,)
    hardware = simulate.load_hardware(PCIE)
    expected = simulate.spans(graph, hardware)
    assert np.array_equal(costs.problem.types[1].spans.busy_ms, expected.busy_ms)
    assert costs.problem.host_ms == hardware.host_ms
    assert costs.problem.handover_ms is None


def test_constants_that_were_measured_elsewhere_are_called_so(graph: LayerGraph) -> None:
    said = "measured on the PCIe host only"
    assert said in " ".join(costs_of(graph, [USB3]).sentences)
    assert said not in " ".join(costs_of(graph, [PCIE]).sentences)


def test_a_shared_bus_carries_all_that_crosses_the_links(graph: LayerGraph) -> None:
    own, shared = (costs_of(graph, [USB3] * 2, shared_bus=shared) for shared in (False, True))
    assert own.problem.types[0].bus is None
    kind = shared.problem.types[0]
    assert kind.bus_ms is not None
    rate = simulate.load_hardware(USB3).link_mb_per_s * 1e3
    assert kind.bus_ms[0, 3] == pytest.approx(kind.spans.link_bytes[0, 3] / rate)
    assert "share one bus" in " ".join(shared.sentences)
    assert "bus of its own" in " ".join(own.sentences)


def test_an_edge_tpu_that_is_here_is_costed_as_one_of_its_link(
    graph: LayerGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = next(one for one in registry.drivers() if one.name == "edgetpu")
    links = {"edgetpu:0": ("PCIe", 4000), "edgetpu:1": ("USB 3", 5000), "edgetpu:2": ("USB 2", 480)}
    infos = {
        name: DeviceInfo(id=name, origin=Origin.MEASURED, batch_mode="looped", link=link, link_mbit_per_s=rate)
        for name, (link, rate) in links.items()
    }
    monkeypatch.setattr(registry, "find", lambda name: driver)
    monkeypatch.setattr(registry, "info", infos.__getitem__)
    costs = costs_of(graph, list(links))
    for kind, like in zip(costs.problem.types, (PCIE, USB3, "sim-edgetpu-usb2"), strict=True):
        expected = simulate.spans(graph, simulate.load_hardware(like))
        assert np.array_equal(kind.spans.busy_ms, expected.busy_ms)
        assert f"{kind.devices[0]} is costed as {like}, simulated, not measured" in costs.sentences
    assert costs.origins == (Origin.SIMULATED,)
    with pytest.raises(BadInput, match="edgetpu:1 is one device, given 2 times"):
        costs_of(graph, ["edgetpu:1", "edgetpu:1"])


def timed(*times_ms: float) -> Measurement:
    """Blocks of these times; the transfers take 1 and 2 ms."""
    return Measurement(
        device=registry.info("cpu"),
        blocks=tuple(Block(invokes=1, duration_ns=round(ms * 1e6)) for ms in times_ms),
        stop_reason="precision",
        set_ns=1_000_000,
        get_ns=2_000_000,
    )


@pytest.mark.parametrize(
    ("whole_ms", "fixed_ms", "below", "above"),
    [(18.5, 0.5, 1.09, 1.09), (22.0, 0.0, 1.09, 1.09), (42.0, 0.0, 2.0, 1.09), (5.0, 1.0, 16 / 5, 16 / 5)],
)
def test_ops_add_up_to_the_whole(
    monkeypatch: pytest.MonkeyPatch, whole_ms: float, fixed_ms: float, below: float, above: float
) -> None:
    widths = (64, 1024, 512, 768, 256, 640, 10)
    graph = models.build_graph(ModelSpec(family="fc", params=FcParams(input=widths[0], widths=widths[1:-1])))
    ops_ms = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    outcomes = [timed(whole_ms), *(timed(ms) for ms in ops_ms)]
    monkeypatch.setattr(cpu_costs.run, "visit", lambda *_: iter(outcomes))
    found = cpu_costs.measured_spans(graph, "cpu")
    spans, layers = found.spans, len(graph.layers)
    assert (found.added_ms, found.whole_ms, found.fixed_ms) == (21.0, whole_ms, pytest.approx(fixed_ms))
    for first in range(layers):
        for end in range(first + 1, layers + 1):
            compute_ms = (sum(ops_ms[first:end]) - fixed_ms * (end - first - 1)) * max(1, whole_ms / 21)
            around_ms = layers * (widths[first] / sum(widths[:-1]) + 2 * widths[end] / sum(widths[1:]))
            assert spans.compute_ms[first, end] == pytest.approx(compute_ms)
            assert spans.busy_ms[first, end] == pytest.approx(compute_ms + around_ms)
            assert spans.low_ms[first, end] == pytest.approx(compute_ms / below + around_ms)
            assert spans.high_ms[first, end] == pytest.approx(compute_ms * above + around_ms)


def test_an_op_that_fails_alone_is_named(graph: LayerGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = Failure(stage="run", error="RuntimeError", message="no")
    monkeypatch.setattr(cpu_costs.run, "visit", lambda *_: iter([timed(1), timed(1), failure, timed(1)]))
    with pytest.raises(ParaedgeError, match="op 1 alone can't be measured on cpu: run: RuntimeError: no"):
        costs_of(graph, ["cpu"])


def test_the_cpu_is_measured_here(graph: LayerGraph, tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(write_model(graph))
    told: list[str] = []
    costs = costs_of(graph, ["cpu", "cpu", PCIE], file=file, told=told.append)
    kind = costs.problem.types[0]
    assert kind.devices == ("cpu#1", "cpu#2")
    assert set(costs.origins) == {Origin.MEASURED, Origin.SIMULATED}
    assert told == ["measuring 6 ops on cpu, each alone; 3 of them are like others and not measured again"]
    above = np.triu_indices(len(graph.layers) + 1, 1)
    assert (kind.spans.busy_ms[above] > 0).all()
    assert (kind.spans.low_ms[above] <= kind.spans.busy_ms[above]).all()
    assert (kind.spans.busy_ms[above] <= kind.spans.high_ms[above]).all()
    assert (kind.spans.on_chip_bytes == -1).all()
    assert "each op was measured alone" in " ".join(costs.sentences)


def test_a_cluster_is_a_type_for_each_kind_of_host(graph: LayerGraph) -> None:
    cluster = load_cluster("mixed")
    costs = costs_of(graph, cluster)
    assert [kind.devices for kind in costs.problem.types] == [host.names for host in cluster.hosts]
    assert costs.order == (0, 1, 1, 1, 2)
    handover = costs.problem.handover_ms
    assert handover is not None
    assert handover.shape == (3, 3, len(graph.layers) + 1)
    assert np.array_equal(handover, handover.transpose(1, 0, 2))
    assert costs.problem.types[1].bus == "wifi"
    assert problem_for(graph, cluster).types[1].devices == costs.problem.types[1].devices


def test_a_cluster_says_what_its_hosts_share_and_what_stands_for_them(graph: LayerGraph) -> None:
    said = costs_of(graph, load_cluster("mixed")).sentences
    assert "the bus wifi, 30 MB/s, is shared by all that weak-1, weak-2, weak-3 move" in said
    assert f"coral is costed as {USB3} on a host of its own" in said
    assert not any("whoever feeds it" in one for one in said)
    fed = dataclasses.replace(load_cluster("four-boards"), host_ms=0.25)
    fed_said = costs_of(graph, fed).sentences
    assert "whoever feeds it spends 0.25 ms on each input, one after another" in fed_said
    assert not any("bus" in one for one in fed_said)


def test_a_host_without_overlap_is_busy_while_it_hands_over(graph: LayerGraph) -> None:
    text = """
    name = "two"
    overlap = {overlap}
    host_ms = 0.125
    [[host]]
    name = "board"
    count = 2
    gmacs_per_s = 1
    memory_mib = 100
    link_mbit_per_s = 0.8
    """
    split = [Assigned(first=0, end=2, type=0), Assigned(first=2, end=len(graph.layers), type=0)]
    with_, without = (
        problem_for(graph, parse_cluster(text.format(overlap=overlap), source="two")) for overlap in ("true", "false")
    )
    assert with_.host_ms == 0.125
    handover_ms = 1024 * 8 / 800
    busy = [float(with_.types[0].spans.busy_ms[one.first, one.end]) for one in split]
    assert evaluate(with_, split).bottleneck_ms == pytest.approx(max(*busy, handover_ms))
    assert evaluate(without, split).bottleneck_ms == pytest.approx(max(busy) + handover_ms)


def test_what_can_not_be_costed_is_refused(graph: LayerGraph, tmp_path: Path) -> None:
    spec = ModelSpec(family="fc", params=FcParams(input=8, layer=2, node=8, output=2), precision="float32")
    with pytest.raises(BadInput, match="needs an int8 model"):
        costs_of(models.build_graph(spec), [USB3])
    with pytest.raises(BadInput, match=r"host coral \(sim-edgetpu-usb3\): the Edge TPU needs an int8 model"):
        costs_of(models.build_graph(spec), load_cluster("mixed"))
    with pytest.raises(DeviceMissing, match="unknown device 'sim-edgetpu-usb4'"):
        costs_of(graph, ["sim-edgetpu-usb4"])
    with pytest.raises(BadInput, match="the cpu is on none"):
        costs_of(graph, ["cpu"], shared_bus=True)
    with pytest.raises(BadInput, match="name one or more"):
        costs_of(graph, [])
    with pytest.raises(BadInput, match="there is nothing to divide"):
        costs_of(Builder().graph([], []), [USB3])


def test_layers_that_share_a_state_stay_together() -> None:
    builder = Builder()
    x = first = builder.tensor((1, 8))
    for _ in range(5):
        x = builder.dense(x, 8)
    graph = builder.graph([first], [x])
    assert cuttable(graph) is None
    builder.tensors.append(Tensor(name="state", shape=(1, 8), dtype="int8"))
    state = len(builder.tensors) - 1
    for at in (1, 3):
        layer = builder.layers[at]
        builder.layers[at] = type(layer)(
            op=layer.op, inputs=(*layer.inputs, state), outputs=layer.outputs, options=layer.options
        )
    assert cuttable(builder.graph([first], [x])) == (1, 4)
