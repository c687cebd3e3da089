"""An unrolled network of 16,472 ops, the most of ParaDnn's: written, read, and predicted with what would mend it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models import build_graph
from paraedge.models.rnn import RnnParams
from paraedge.simulate import explain, load_hardware, predict
from paraedge.tflite import parse_graph, write_model

LONG, SHORT = 90, 9
"""Steps, of a network and of one with a tenth of its ops."""
MOST_GROWTH = 3.0
"""How much more an op of the long one may cost than one of the short: work over pairs of ops would be ten times."""


def graph(length: int, embed: int) -> LayerGraph:
    params = RnnParams(cell="lstm", layer=13, embed=embed, length=length, vocab=512)
    return build_graph(ModelSpec(family="rnn", params=params))


def why(made: LayerGraph) -> object:
    hardware = load_hardware("sim-edgetpu-pcie")
    return explain(predict(made, hardware), made, hardware)


STEPS: Mapping[str, tuple[Callable[[LayerGraph], object], int]] = {
    "write": (write_model, 100),
    "write and read": (lambda made: parse_graph(write_model(made), made.name), 100),
    "predict, and why": (why, 500),
}
"""What is timed, and the units of a layer: with 500 the parameters of both networks are streamed."""


def microseconds_an_op(name: str, length: int, repeats: int) -> float:
    """The best of so many, each on a graph that knows nothing yet."""
    step, embed = STEPS[name]
    found = []
    for _ in range(repeats):
        made = graph(length, embed)
        begin = time.perf_counter()
        step(made)
        found.append((time.perf_counter() - begin) * 1e6 / len(made.layers))
    return min(found)


@pytest.mark.benchmark(group="recurrent")
@pytest.mark.parametrize("name", STEPS)
def test_ten_times_the_ops_take_ten_times_as_long(benchmark: BenchmarkFixture, name: str) -> None:
    step, embed = STEPS[name]
    short, long = microseconds_an_op(name, SHORT, 5), microseconds_an_op(name, LONG, 3)
    benchmark.extra_info.update(short_us_an_op=round(short, 1), long_us_an_op=round(long, 1))
    benchmark.pedantic(step, setup=lambda: ((graph(LONG, embed),), {}), rounds=1)
    assert long <= MOST_GROWTH * short
