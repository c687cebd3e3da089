"""Small networks of every family, as graphs and as files."""

from __future__ import annotations

import pytest

from paraedge import models
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.tflite import write_model

SMALL: dict[str, tuple[str, dict[str, object]]] = {
    "fc": ("fc", {"input": 64, "layer": 4, "node": 48, "output": 10}),
    "fc-widths": ("fc", {"input": 33, "widths": (17, 64, 5)}),
    "residual": ("cnn", {"kind": "residual", "block": 1, "filter": 8, "image": 33, "output": 10}),
    "residual-wide-mean": ("cnn", {"kind": "residual", "block": 1, "filter": 4, "image": 129, "output": 3}),
    "bottleneck": ("cnn", {"kind": "bottleneck", "block": 2, "filter": 4, "image": 32, "output": 10}),
    "conv-stack": ("conv_stack", {"layer": 3, "kernel": 3, "image": 16, "channel": 3, "filter": 8}),
    "conv-even-kernel": ("conv_stack", {"layer": 2, "kernel": 4, "image": 9, "channel": 5, "filter": 7}),
    "matmul": ("matmul", {"n": 64}),
}


def small_spec(name: str, precision: Precision, batch: int) -> ModelSpec:
    family, params = SMALL[name]
    return ModelSpec(
        family=family, params=models.FAMILIES[family].params(**params), precision=precision, batch=batch, seed=7
    )


@pytest.fixture(scope="session", params=["int8", "float32"])
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


@pytest.fixture(scope="session", params=[1, 3], ids=["batch1", "batch3"])
def batch(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="session", params=sorted(SMALL))
def small_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def small_graph(small_name: str, precision: Precision, batch: int) -> LayerGraph:
    """One graph of each small network, in each precision and batch."""
    return models.build_graph(small_spec(small_name, precision, batch))


@pytest.fixture(scope="session")
def int8_graph(small_name: str, batch: int) -> LayerGraph:
    """The int8 ones of these."""
    return models.build_graph(small_spec(small_name, "int8", batch))


@pytest.fixture(scope="session")
def float_graph(small_name: str, batch: int) -> LayerGraph:
    """The float32 ones of these."""
    return models.build_graph(small_spec(small_name, "float32", batch))


@pytest.fixture(scope="session")
def small_files() -> dict[str, bytes]:
    """Files of all small networks, for damaging."""
    return {
        f"{name}-{precision}": bytes(write_model(models.build_graph(small_spec(name, precision, 1))))
        for name in SMALL
        for precision in ("int8", "float32")
    }
