"""Shapes rewritten against the same networks built anew at the other width or image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from graph_builder import Builder
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge import models
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models import CnnParams, ConvStackParams, FcParams
from paraedge.models.zoo import ZooParams, as_uint8
from paraedge.simulate.resize import Unresizable, hidden_widths, image_input, resize, why_not_followed


def build(params: Params) -> LayerGraph:
    families = {FcParams: "fc", CnnParams: "cnn", ConvStackParams: "conv_stack", ZooParams: "zoo"}
    return models.build_graph(ModelSpec(family=families[type(params)], params=params))


def shapes(graph: LayerGraph | Unresizable) -> list[tuple[str, tuple[int, ...]]]:
    assert isinstance(graph, LayerGraph), graph
    return [(tensor.name, tensor.shape) for tensor in graph.tensors]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_another_image_is_the_network_built_for_that_image(data: st.DataObject) -> None:
    make: Callable[[int], Params] = data.draw(
        st.sampled_from(
            [
                lambda side: ZooParams(model="mobilenet_v1", image=side),
                lambda side: ZooParams(model="mobilenet_v2", image=side, width=50),
                lambda side: ZooParams(model="inception_v3", image=side),
                lambda side: CnnParams(kind="bottleneck", block=1, filter=16, image=side, output=10),
                lambda side: CnnParams(kind="residual", block=2, filter=16, image=side, output=10),
                lambda side: ConvStackParams(layer=3, kernel=3, image=side, channel=3, filter=70),
            ]
        )
    )
    before, after = data.draw(st.integers(75, 320)), data.draw(st.integers(75, 320))
    graph, wanted = build(make(before)), build(make(after))
    found = resize(graph, image=(after, after))
    assert shapes(found) == shapes(wanted)
    assert isinstance(found, LayerGraph)
    assert found.macs == wanted.macs
    pools = [layer.options for layer in found.layers if layer.op == "AVERAGE_POOL_2D"]
    assert pools == [layer.options for layer in wanted.layers if layer.op == "AVERAGE_POOL_2D"]


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 5))
def test_another_width_is_the_network_built_at_that_width(before: int, after: int, layers: int) -> None:
    def fc(node: int) -> LayerGraph:
        return build(FcParams(input=64, layer=layers, node=node, output=10))

    assert shapes(resize(fc(before), width=lambda _: after)) == shapes(fc(after))


@pytest.mark.parametrize("kind", ["residual", "bottleneck"])
def test_half_the_filters_of_a_residual_network(kind: str) -> None:
    def cnn(filters: int) -> LayerGraph:
        return build(CnnParams(kind=kind, blocks=(2, 1, 2, 1), filter=filters, image=64, output=10))

    assert shapes(resize(cnn(32), width=lambda outputs: outputs // 2)) == shapes(cnn(16))


@pytest.mark.parametrize("model", ["mobilenet_v1", "inception_v3"])
def test_half_the_width_of_published_networks(model: str) -> None:
    full, half = (build(ZooParams(model=model, width=width)) for width in (200, 100))
    found = resize(full, width=lambda outputs: outputs // 2)
    assert shapes(found) == shapes(half)
    assert shapes(resize(as_uint8(full), width=lambda outputs: outputs // 2)) == shapes(half)


def test_what_is_returned_keeps_its_width(builder: Builder) -> None:
    x = builder.tensor((1, 8, 8, 16))
    trunk = builder.conv(x, 128, padding="SAME")
    left, right = builder.conv(trunk, 100, padding="SAME"), builder.conv(trunk, 200, padding="SAME")
    head = builder.op("CONCATENATION", (left, right), (1, 8, 8, 300), axis=-1)
    graph = builder.graph([x], [head])
    assert hidden_widths(graph) == (128,)
    found = resize(graph, width=lambda outputs: outputs // 2)
    assert isinstance(found, LayerGraph)
    assert [found.tensors[i].shape[-1] for i in (trunk, left, right, head)] == [64, 100, 200, 300]


def test_ops_around_the_layers_are_followed(builder: Builder) -> None:
    """PAD, SPLIT, MUL with a constant, PRELU, RESIZE, TRANSPOSE_CONV, MEAN and reshapes, at twice the image."""
    x = builder.tensor((1, 8, 8, 3))
    padded = builder.op("PAD", (x, builder.values(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2))), (1, 10, 10, 3))
    w = builder.tensor((32, 3, 3, 3), constant=True)
    y = builder.op("CONV_2D", (padded, w, -1), (1, 8, 8, 32), padding="VALID")
    y = builder.op("MUL", (y, builder.tensor((32,), constant=True)), (1, 8, 8, 32))
    alpha = builder.tensor((1, 1, 32), constant=True)
    y = builder.op("PRELU", (y, alpha), (1, 8, 8, 32))
    half = builder.op("SPLIT", (builder.values(3), y), (1, 8, 8, 16))
    other = builder.tensor((1, 8, 8, 16))
    builder.layers[-1] = dataclasses.replace(builder.layers[-1], outputs=(half, other))
    small = builder.op("MAX_POOL_2D", (half,), (1, 4, 4, 16), filter_height=2, filter_width=2, stride_h=2, stride_w=2)
    large = builder.op("RESIZE_BILINEAR", (small, builder.values(8, 8)), (1, 8, 8, 16))
    up = builder.tensor((24, 2, 2, 16), constant=True)
    up = builder.op("TRANSPOSE_CONV", (builder.values(1, 8, 8, 24), up, small), (1, 8, 8, 24), stride_h=2, stride_w=2)
    y = builder.op("CONCATENATION", (large, other, up), (1, 8, 8, 56), axis=3)
    flat = builder.op("RESHAPE", (y, builder.values(1, 64, 56)), (1, 64, 56))
    back = builder.op("RESHAPE", (flat, builder.values(1, 3584)), (1, 3584))
    dense = builder.dense(back, 10)
    mean = builder.op("MEAN", (y, builder.values(1, 2)), (1, 1, 1, 56), keep_dims=True)
    squeezed = builder.op("SQUEEZE", (mean,), (56,))
    graph = builder.graph([x], [dense, builder.dense(squeezed, 4)])
    assert why_not_followed(graph) is None

    def check(found: LayerGraph | Unresizable, expected: dict[int, tuple[int, ...]]) -> None:
        assert isinstance(found, LayerGraph), found
        assert {i: found.tensors[i].shape for i in expected} == expected

    weights = graph.layers[-4].inputs[1]
    check(
        resize(graph, image=(16, 24)),
        {small: (1, 8, 12, 16), large: (1, 16, 24, 16), up: (1, 16, 24, 24), flat: (1, 384, 56), weights: (10, 21504)},
    )
    check(
        resize(graph, width=lambda outputs: 2 * outputs),
        {alpha: (1, 1, 64), half: (1, 8, 8, 32), up: (1, 8, 8, 48), mean: (1, 1, 1, 112), squeezed: (112,)},
    )


def test_what_cannot_be_followed_is_named(builder: Builder) -> None:
    x = builder.tensor((1, 8, 8, 64))
    y = builder.conv(x, 128, padding="SAME")
    z = builder.conv(y, 64, padding="SAME")
    total = builder.op("ADD", (x, z), (1, 8, 8, 64))
    w = builder.conv(total, 96, padding="SAME")
    last = builder.op("SLICE", (w, builder.values(0, 0, 0, 0), builder.values(1, 8, 8, 5)), (1, 8, 8, 5))
    end = builder.conv(last, 3, padding="SAME")
    graph = builder.graph([x], [end])
    assert why_not_followed(graph) is None
    assert resize(graph, width=lambda outputs: 48 if outputs == 64 else outputs) == Unresizable(
        reason="op 2 ADD its inputs would no longer have the same shape"
    )
    assert resize(graph, width=lambda outputs: 80 if outputs == 96 else outputs) == Unresizable(
        reason="op 4 SLICE has shapes that can't be followed"
    )
    assert isinstance(resize(graph, width=lambda outputs: 70 if outputs == 128 else outputs), LayerGraph)


def test_an_image_too_small_for_the_network() -> None:
    found = resize(build(ZooParams(model="inception_v3")), image=(64, 64))
    assert isinstance(found, Unresizable)
    assert "nothing would be left of the image" in found.reason
    assert image_input(build(FcParams(input=64, layer=1, node=8, output=2))) is None
    assert isinstance(resize(build(FcParams(input=64, layer=1, node=8, output=2)), image=(8, 8)), Unresizable)


def test_shapes_that_do_not_follow_from_the_options(builder: Builder) -> None:
    x = builder.tensor((1, 8, 8, 4))
    graph = builder.graph([x], [builder.conv(x, 8, padding="VALID")])  # the builder leaves the image as it is
    assert why_not_followed(graph) == "op 0 CONV_2D has shapes that don't follow from its options"
