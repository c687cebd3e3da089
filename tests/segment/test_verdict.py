"""Sentences on a partition: knee, gap, bound, speed-up; each with its figures."""

from __future__ import annotations

import dataclasses
import math

import pytest

from paraedge import models
from paraedge.core.spec import ModelSpec
from paraedge.models.fc import FcParams
from paraedge.segment import choose, costs_of, verdict

INF = math.inf


@pytest.mark.parametrize(
    ("best_ms", "objective", "text"),
    [
        ([10.0], "throughput", "one device is all there may be"),
        ([10.0, 10.0], "throughput", "one device is enough; the 2nd adds nothing"),
        ([10.0, 9.9, 9.8], "throughput", "one device is enough; the 2nd adds 1 %, all 3 2 %"),
        ([10.0, 5.0], "throughput", "2 devices give 2 times the throughput of one; the 2nd alone adds 100 %"),
        (
            [12.0, 7.0, 5.0, 4.95],
            "throughput",
            "3 devices give 2.4 times the throughput of one; the 4th adds 1 %",
        ),
        (
            [INF, 10.0, 5.0],
            "throughput",
            "it takes 2 devices to hold the model; 3 devices give 2 times the throughput of 2; the 3rd alone adds "
            "100 %",
        ),
        ([INF, 10.0], "throughput", "it takes 2 devices to hold the model; 2 devices are enough"),
        ([10.0, 8.0], "latency", "2 devices take 20 % less time for an input than one; the 2nd alone adds 25 %"),
        ([10.0, 10.0, 5.0], "throughput", "3 devices give 2 times the throughput of one; the 3rd alone adds 100 %"),
    ],
)
def test_the_knee(best_ms: list[float], objective: str, text: str) -> None:
    assert verdict.knee(best_ms, objective) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (22, "22nd")]
)
def test_ordinals(number: int, text: str) -> None:
    assert verdict.ordinal(number) == text


@pytest.fixture(scope="module")
def found():  # type: ignore[no-untyped-def]
    graph = models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=6, node=2048, output=10)))
    costs = costs_of(graph, ["sim-edgetpu-pcie"] * 5)
    return choose(costs.problem, graph, "equal"), choose(costs.problem, graph), costs.problem


def test_the_gap_names_the_best_split(found) -> None:  # type: ignore[no-untyped-def]
    equal, best, _ = found
    assert verdict.gap_text(best, None) == "the best there is among contiguous splits of these ops over these devices"
    slower = dataclasses.replace(equal, bottleneck_ms=1.12 * equal.lower_bound_ms)
    cuts = ", ".join(map(str, best.cuts))
    assert verdict.gap_text(slower, best) == f"12 % slower than the best contiguous split, which cuts at {cuts}"
    much = dataclasses.replace(equal, bottleneck_ms=2.5 * equal.lower_bound_ms)
    assert verdict.gap_text(much, best).startswith(
        "takes 2.5 times as long as the best contiguous split, which cuts at"
    )
    assert verdict.gap_text(slower, None) == "at most 12 % slower than the best contiguous split"


def test_the_bound_of_any_assignment(found) -> None:  # type: ignore[no-untyped-def]
    _, best, _ = found
    near = dataclasses.replace(best, any_bound_ms=best.bottleneck_ms / 1.25)
    assert verdict.any_text(near).endswith("; this is 25 % above it")
    assert verdict.any_text(dataclasses.replace(best, any_bound_ms=best.bottleneck_ms)).endswith(", which this reaches")
    assert verdict.any_gap(dataclasses.replace(best, any_bound_ms=0.0)) is None
    assert verdict.any_text(near).startswith("no assignment of each op to one of these devices, contiguous or not, ")
    copied = dataclasses.replace(near, stages=(dataclasses.replace(near.stages[0], devices=("a", "b")),))
    assert verdict.any_text(copied).startswith("no assignment of ops to any number of these devices each, contiguous ")


def test_more_than_its_devices_is_called_memory(found) -> None:  # type: ignore[no-untyped-def]
    _, best, problem = found
    ratio = verdict.speedup(best, problem)
    assert ratio is not None
    assert ratio > 5
    text = verdict.memory_text(best, problem)
    assert text is not None
    assert text.startswith(f"super-linear: {ratio:.3g} times one device with 5, by memory: one device streams 16.0 MiB")
    assert text.endswith("of parameters for each input, here all are on chip")
    linear = dataclasses.replace(best, bottleneck_ms=verdict.single_ms(problem) / 4)
    assert verdict.memory_text(linear, problem) is None
    assert verdict.speedup_text(linear, problem) == "4 times the throughput of the best single device"


def test_what_the_intervals_leave_open(found) -> None:  # type: ignore[no-untyped-def]
    _, best, _ = found
    known = dataclasses.replace(best, worst_ms=2.0, regret=0.25)
    assert verdict.intervals_text(known) == (
        "with every stage at the upper end of its interval, 2 ms; as stage times move within their intervals, up to "
        "25 % of the throughput is lost against the split that is then best"
    )
    assert verdict.intervals_text(dataclasses.replace(best, worst_ms=None)) is None


def test_data_parallel_is_judged_beside_a_cut(found) -> None:  # type: ignore[no-untyped-def]
    equal, _, problem = found
    alone_ms = float(problem.types[0].spans.busy_ms[0, problem.layers])
    copies_ms = max(alone_ms / 5, problem.host_ms)
    assert verdict.data_parallel_ms(problem) == pytest.approx(copies_ms)
    text = verdict.data_parallel_text(equal, problem)
    assert text is not None
    assert text.startswith(f"whole models side by side (data parallel) would give an output every {copies_ms:.4g} ms")
    faster = dataclasses.replace(equal, bottleneck_ms=copies_ms / 4)
    assert str(verdict.data_parallel_text(faster, problem)).endswith(": this is 4 times as fast")
    slower = dataclasses.replace(equal, bottleneck_ms=copies_ms * 4)
    assert str(verdict.data_parallel_text(slower, problem)).endswith(", 4 times as fast as this")


def test_data_parallel_is_not_set_beside_itself_nor_beside_a_latency(found) -> None:  # type: ignore[no-untyped-def]
    equal, _, problem = found
    one = dataclasses.replace(equal.stages[0], devices=("a", "b"))
    assert verdict.data_parallel_text(dataclasses.replace(equal, stages=(one,)), problem) is None
    assert verdict.data_parallel_text(dataclasses.replace(equal, objective="latency"), problem) is None
