"""Every strategy over simulated devices and hosts: what it gives, where it is judged, and what it refuses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from graph_builder import Builder

from paraedge import models
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models.cnn import CnnParams
from paraedge.models.fc import FcParams
from paraedge.partition.problem import Assigned, evaluate
from paraedge.partition.profiled import Measured
from paraedge.segment import STRATEGIES, Costs, choose, costs_of
from paraedge.segment.choose import segments_for
from paraedge.simulate import load_hardware, predict
from paraedge.simulate.cluster_file import parse_cluster

PCIE, USB2 = "sim-edgetpu-pcie", "sim-edgetpu-usb2"
CUTTING = [name for name in STRATEGIES if name not in ("manual", "data")]


def fc(layer: int, node: int) -> LayerGraph:
    return models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=layer, node=node, output=10)))


@pytest.fixture(scope="module")
def large() -> LayerGraph:
    """One device streams most of it; four keep it on chip."""
    return fc(6, 2048)


@pytest.fixture(scope="module")
def four(large: LayerGraph) -> Costs:
    return costs_of(large, [PCIE] * 4)


@pytest.fixture(scope="module")
def small() -> LayerGraph:
    return models.build_graph(
        ModelSpec(family="cnn", params=CnnParams(kind="residual", block=1, filter=16, image=64, output=10))
    )


@pytest.mark.parametrize("strategy", [name for name in CUTTING if name not in ("size6", "fit")])
def test_each_strategy_makes_a_split_that_is_judged_against_all(strategy: str, small: LayerGraph) -> None:
    costs = costs_of(small, [PCIE] * 3)
    found = choose(costs.problem, small, strategy)
    assert found.strategy == strategy
    assert [stage.first for stage in found.stages] == [0, *found.cuts]
    assert found.stages[-1].end == len(small.layers)
    if strategy not in ("optimal", "pipedream"):
        assert len(found.stages) == 3
    layers = range(1, len(small.layers))
    splits = [(), *((at,) for at in layers), *itertools.combinations(layers, 2)]
    best = min(bottleneck(costs, small, cuts) for cuts in splits)
    assert found.lower_bound_ms == pytest.approx(best)
    assert found.bottleneck_ms == pytest.approx(bottleneck(costs, small, found.cuts))
    if strategy == "optimal":
        assert found.gap == pytest.approx(0)


def bottleneck(costs: Costs, graph: LayerGraph, cuts: tuple[int, ...]) -> float:
    ends = itertools.pairwise((0, *cuts, len(graph.layers)))
    return evaluate(costs.problem, [Assigned(first=first, end=end, type=0) for first, end in ends]).bottleneck_ms


def test_rules_of_thumb_find_their_number_of_segments(large: LayerGraph, four: Costs) -> None:
    with pytest.raises(
        BadInput, match=r"fit asks for 5 segments \(so that all parameters are on chip\).* and has 4 devices"
    ):
        choose(four.problem, large, "fit")
    assert segments_for(large, PCIE, "fit", None) == 5
    fitting = choose(costs_of(large, [PCIE] * 5).problem, large, "fit")
    assert len(fitting.stages) == 5
    assert all(stage.off_chip_bytes == 0 for stage in fitting.stages)
    assert segments_for(large, PCIE, "size6", None) == 4  # 20.2 MiB of parameters by 6 MB
    by_size = choose(four.problem, large, "size6")
    assert by_size.cuts == choose(four.problem, large, "params").cuts
    with pytest.raises(BadInput, match="size6 asks for 4 segments"):
        choose(four.problem, large, "size6", 3)
    with pytest.raises(BadInput, match="not cpu"):
        segments_for(large, "cpu", "fit", None)
    assert segments_for(large, PCIE, "optimal", None) == 1
    assert segments_for(large, PCIE, "manual", [1, 2]) == 3


def test_segment_k_goes_to_the_k_th_device(large: LayerGraph) -> None:
    costs = costs_of(large, [PCIE, USB2, PCIE])
    found = choose(costs.problem, large, "manual", cuts=[2, 4], order=costs.order)
    assert [stage.devices for stage in found.stages] == [(f"{PCIE}#1",), (USB2,), (f"{PCIE}#2",)]
    two = choose(costs.problem, large, "equal", 2, order=costs.order)
    assert [stage.devices for stage in two.stages] == [(f"{PCIE}#1",), (USB2,)]
    assert two.unused == ()
    in_types = choose(costs.problem, large, "equal")
    assert [stage.devices for stage in in_types.stages] == [(f"{PCIE}#1",), (f"{PCIE}#2",), (USB2,)]


def test_optimal_takes_the_best_devices_in_any_order(large: LayerGraph) -> None:
    costs = costs_of(large, [USB2, PCIE, PCIE])
    found = choose(costs.problem, large, "optimal", 2)
    assert {name for stage in found.stages for name in stage.devices} == {f"{PCIE}#1", f"{PCIE}#2"}
    assert found.unused == (USB2,)
    assert found.gap == pytest.approx(0)
    assert len(found.best_ms) == 2


def test_data_parallel_is_the_whole_model_on_each(large: LayerGraph, four: Costs) -> None:
    found = choose(four.problem, large, "data", 3)
    (stage,) = found.stages
    alone_ms = predict(large, load_hardware(PCIE)).latency_ms
    assert len(stage.devices) == 3
    assert found.bottleneck_ms == pytest.approx(alone_ms / 3)
    with pytest.raises(BadInput, match="the strategy data needs devices that are alike"):
        choose(costs_of(large, [PCIE, USB2]).problem, large, "data")


def test_replicas_take_turns_where_that_pays(small: LayerGraph) -> None:
    problem = costs_of(small, [PCIE] * 4).problem
    alone, with_ = (choose(problem, small, replicate=replicate) for replicate in (False, True))
    assert with_.bottleneck_ms <= alone.bottleneck_ms
    assert with_.gap == pytest.approx(0)


def test_profiled_takes_measured_latencies_where_it_is_given_them(large: LayerGraph, four: Costs) -> None:
    asked: list[tuple[int, int]] = []

    def latency(first: int, end: int, rounds: int) -> Measured:
        asked.append((first, end))
        value_ms = float(end - first)  # every op takes a millisecond
        return Measured(value_ms=value_ms, low_ms=value_ms, high_ms=value_ms, rounds=rounds)

    found = choose(four.problem, large, "profiled", latency=latency)
    assert asked
    assert sorted(np.diff([0, *found.cuts, len(large.layers)])) == [1, 2, 2, 2]


def test_pipedream_takes_the_average_of_the_devices() -> None:
    graph = fc(7, 512)
    text = """
    name = "two"
    [[host]]
    name = "fast"
    gmacs_per_s = 9
    memory_mib = 100
    link_mbit_per_s = 100000
    [[host]]
    name = "slow"
    gmacs_per_s = 1
    memory_mib = 100
    link_mbit_per_s = 100000
    """
    problem = costs_of(graph, parse_cluster(text, source="two")).problem
    halves, best = choose(problem, graph, "pipedream"), choose(problem, graph, "optimal")
    middle = {stage.first for stage in halves.stages[1:]}
    assert middle <= {4, 5}
    assert halves.gap > 1
    assert best.gap == pytest.approx(0)


def two_hosts(memory_mib: float, count: int = 2) -> Costs:
    graph = fc(4, 1024)
    text = f"""
    name = "boards"
    [[host]]
    name = "board"
    count = {count}
    gmacs_per_s = 1
    memory_mib = {memory_mib}
    link_mbit_per_s = 100
    """
    return costs_of(graph, parse_cluster(text, source="boards"))


def test_a_model_that_fits_from_two_hosts_on() -> None:
    costs = two_hosts(2.5)
    found = choose(costs.problem, fc(4, 1024))
    assert found.best_ms[0] == math.inf
    assert found.best_ms[1] == pytest.approx(found.bottleneck_ms)


def test_a_model_that_fits_nowhere_says_why() -> None:
    graph = fc(4, 1024)
    with pytest.raises(BadInput, match=r"fits nowhere: op 1 runs on none of the devices: .* 1.0 MiB, don't fit"):
        choose(two_hosts(0.5).problem, graph)
    with pytest.raises(BadInput, match=r"fits nowhere: no split of its 5 ops over 2 devices runs; .* take 3.1 MiB"):
        choose(two_hosts(1.1).problem, graph)
    with pytest.raises(BadInput, match=r"segment 2, ops 2 to 4, can't run on board-2: .* don't fit the memory"):
        choose(two_hosts(1.9).problem, graph, "manual", cuts=[2])


def test_a_segment_without_ops_for_its_device_and_ops_that_are_left_out() -> None:
    builder = Builder()
    first = builder.tensor((1, 64))
    x = builder.dense(builder.dense(first, 64), 64)
    x = builder.op("CUSTOM_OP", (builder.op("FLOOR_DIV", (x, x), (1, 64)), x), (1, 64))
    graph = builder.graph([first], [x])
    costs = costs_of(graph, [PCIE] * 2)
    with pytest.raises(
        BadInput, match=r"segment 2, ops 2 to 3, can't run on .*#2: it has no op for the Edge TPU \(op 2"
    ):
        choose(costs.problem, graph, "manual", cuts=[2])
    found = choose(costs.problem, graph, "manual", cuts=[1])
    assert not found.stages[0].warnings
    assert [text.split(":")[0] for text in found.stages[1].warnings] == [
        "the time leaves out op 2 (FLOOR_DIV)",
        "the time leaves out op 3 (CUSTOM_OP)",
    ]
    alone = builder.graph([x], [builder.op("FLOOR_DIV", (x, x), (1, 64))])
    nothing = LayerGraph(
        name="nothing", tensors=alone.tensors, layers=alone.layers[2:4], inputs=alone.layers[2].inputs, outputs=(x,)
    )
    with pytest.raises(BadInput, match="nothing fits nowhere: op 0 runs on none of the devices: it has no op"):
        choose(costs_of(nothing, [PCIE]).problem, nothing)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"strategy": "optmal"}, "unknown strategy 'optmal': did you mean 'optimal'?"),
        ({"strategy": "manual"}, "the strategy manual needs cuts"),
        ({"strategy": "params", "cuts": [1]}, "the strategy params finds its cuts itself"),
        ({"strategy": "params", "replicate": True}, "only optimal can be asked to replicate"),
        ({"strategy": "manual", "cuts": [7]}, "can't be cut at op 7"),
        ({"strategy": "manual", "cuts": [0]}, "can't be cut at op 0"),
        ({"strategy": "manual", "cuts": [3, 3]}, "the cut at op 3 is given twice"),
        ({"strategy": "manual", "cuts": [3, 2]}, "the cut at op 2 comes after 3"),
        ({"strategy": "manual", "cuts": [1, 2, 3, 4]}, "these cuts make 5 segments, one a device; for 4 devices"),
        ({"segments": 0}, "0 segments over 4 devices"),
        ({"segments": 5}, "5 segments over 4 devices"),
    ],
)
def test_what_can_not_be_followed_is_refused(
    arguments: dict[str, object], said: str, large: LayerGraph, four: Costs
) -> None:
    with pytest.raises(BadInput) as caught:
        choose(four.problem, large, **arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)


@pytest.mark.parametrize("strategy", [*CUTTING, "manual"])
def test_more_segments_than_ops(strategy: str) -> None:
    graph = fc(1, 8)
    problem = costs_of(graph, [PCIE] * 3).problem
    cuts = [1, 2] if strategy == "manual" else None
    with pytest.raises(BadInput, match=r"3 segments of a model of 2 ops"):
        choose(problem, graph, strategy, 3, cuts=cuts)


@pytest.mark.parametrize("strategy", [name for name in CUTTING if name != "fit"])
def test_no_strategy_cuts_behind_what_only_unpacks_a_constant(strategy: str) -> None:
    spec = ModelSpec(family="fc", params=FcParams(widths=(512, 512, 2048), input=64, output=10), precision="float16")
    graph = models.build_graph(spec)
    unpacking = len(graph.unpacked)
    found = choose(equal_hosts(graph, 3).problem, graph, strategy)
    assert all(cut > unpacking for cut in found.cuts)
    if strategy in ("params", "balanced"):  # weights count where they are read, not where they are unpacked
        assert found.cuts == (unpacking + 2, unpacking + 3)
    if strategy not in ("optimal", "size6"):  # which find their own number
        with pytest.raises(BadInput, match=r"6 segments of fc .*, which can be cut into 4 at most"):
            choose(equal_hosts(graph, 6).problem, graph, strategy)


def equal_hosts(graph: LayerGraph, count: int) -> Costs:
    text = f"""
    name = "alike"
    [[host]]
    name = "board"
    count = {count}
    gmacs_per_s = 10
    memory_mib = 512
    link_mbit_per_s = 1000
    """
    return costs_of(graph, parse_cluster(text, source="alike"))
