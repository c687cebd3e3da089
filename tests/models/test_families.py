"""MACs, parameters and shapes against counts by hand and by formula, and what the generators refuse."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from strategies import any_spec, conv_stack_params, fc_params, specs

from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec, Params
from paraedge.models import (
    FAMILIES,
    CnnParams,
    ConvStackParams,
    FcParams,
    MatmulParams,
    build_graph,
)


def graph(family: str, params: Params, batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family=family, params=params, batch=batch))


def test_fc_by_hand() -> None:
    made = graph("fc", FcParams(input=3, layer=2, node=5, output=4))
    assert made.macs_by_layer == (15, 25, 20)
    assert made.parameters == (3 * 5 + 5) + (5 * 5 + 5) + (5 * 4 + 4)
    assert made.weight_bytes == 15 + 25 + 20 + 4 * (5 + 5 + 4)
    assert (made.input_bytes, made.output_bytes, made.activation_bytes) == (3, 4, 3 + 5 + 5 + 4)
    assert [layer.options["fused_activation_function"] for layer in made.layers] == ["RELU", "RELU", "NONE"]


def test_widths_stand_in_place_of_layer_and_node() -> None:
    layers = graph("fc", FcParams(layer=3, node=7))
    widths = graph("fc", FcParams(widths=(7, 7, 7)))
    assert (layers.tensors, layers.layers) == (widths.tensors, widths.layers)
    uneven = graph("fc", FcParams(input=2, widths=(3, 5), output=7))
    assert uneven.macs == 2 * 3 + 3 * 5 + 5 * 7


def test_matmul_by_hand() -> None:
    made = graph("matmul", MatmulParams(n=8), batch=3)
    assert (made.macs, made.parameters) == (3 * 64, 64 + 8)
    assert made.tensors[made.outputs[0]].shape == (3, 8)
    assert made.layers[0].options["fused_activation_function"] == "NONE"


def test_conv_stack_by_hand() -> None:
    made = graph("conv_stack", ConvStackParams(layer=2, kernel=3, image=4, channel=3, filter=5))
    assert made.macs_by_layer == (16 * 9 * 3 * 5, 16 * 9 * 5 * 5)
    assert made.parameters == 9 * 3 * 5 + 5 + 9 * 5 * 5 + 5
    assert made.tensors[made.outputs[0]].shape == (1, 4, 4, 5)


def test_resnet_50_has_its_published_size() -> None:
    """Keras' ResNet50 has 25,636,712 parameters; 4 x 26,560 are batch normalisation's, folded into the biases."""
    made = graph("cnn", CnnParams(kind="bottleneck", blocks=(3, 4, 6, 3), filter=64, image=224, output=1000))
    assert made.parameters == 25_636_712 - 4 * 26_560 == 25_530_472
    assert made.macs == 3_857_973_248  # the 3.8e9 of arXiv 1512.03385, Table 1
    assert sum(layer.op == "CONV_2D" for layer in made.layers) == 49 + 4  # and four projections


def test_residual_network_by_hand() -> None:
    made = graph("cnn", CnnParams(kind="residual", block=1, filter=2, image=32, output=3))
    stem = 7 * 7 * 3 * 2 + 2
    groups = 0
    wide = 2
    for filters in (2, 4, 8, 16):
        groups += (wide * filters + filters) + (9 * wide * filters + filters) + (9 * filters * filters + filters)
        wide = filters
    assert made.parameters == stem + groups + (16 * 3 + 3)
    # sides: stem 16, pool 8, groups 8, 4, 2, 1
    macs = 16 * 16 * 147 * 2
    wide = 2
    for side, filters in ((8, 2), (4, 4), (2, 8), (1, 16)):
        macs += side * side * (wide * filters + 9 * wide * filters + 9 * filters * filters)
        wide = filters
    assert made.macs == macs + 16 * 3


@pytest.mark.parametrize(("image", "sides"), [(200, (100, 50, 25, 13, 7)), (250, (125, 63, 32, 16, 8))])
def test_uneven_images_round_up(image: int, sides: tuple[int, ...]) -> None:
    made = graph("cnn", CnnParams(block=1, filter=4, image=image, output=3))
    found = [made.tensors[layer.outputs[0]].shape[1] for layer in made.layers if layer.op in ("CONV_2D", "ADD")]
    assert tuple(dict.fromkeys(found)) == sides


@pytest.mark.parametrize("kind", ["residual", "bottleneck"])
def test_only_a_groups_first_block_projects_and_only_later_groups_halve(kind: str) -> None:
    made = graph("cnn", CnnParams(kind=kind, block=3, filter=4, image=64, output=3))
    convolutions = [layer for layer in made.layers if layer.op == "CONV_2D"]
    depth = 3 if kind == "bottleneck" else 2
    assert len(convolutions) == 1 + 4 * (3 * depth + 1)
    strides = [layer.options["stride_h"] for layer in convolutions]
    # the stem; then, in each later group, the projection and the block's first convolution
    assert strides.count(2) == 1 + 3 * 2
    sizes = [made.tensors[layer.outputs[0]].shape[1] for layer in made.layers if layer.op == "ADD"]
    assert sizes == [16] * 3 + [8] * 3 + [4] * 3 + [2] * 3


@settings(max_examples=100, deadline=None)
@given(specs(fc_params))
def test_fc_formula(spec: ModelSpec) -> None:
    made = build_graph(spec)
    assert isinstance(spec.params, FcParams)
    sizes = [spec.params.input, *spec.params.hidden, spec.params.output]
    pairs = list(itertools.pairwise(sizes))
    assert made.macs == spec.batch * sum(a * b for a, b in pairs)
    assert made.parameters == sum(a * b + b for a, b in pairs)


@settings(max_examples=100, deadline=None)
@given(specs(conv_stack_params))
def test_conv_stack_formula(spec: ModelSpec) -> None:
    params = spec.params
    assert isinstance(params, ConvStackParams)
    weights = params.kernel**2 * params.filter * (params.channel + (params.layer - 1) * params.filter)
    made = build_graph(spec)
    assert made.parameters == weights + params.layer * params.filter
    assert made.macs == spec.batch * params.image**2 * weights


@settings(max_examples=150, deadline=None)
@given(any_spec)
def test_every_graph_is_well_formed(spec: ModelSpec) -> None:
    made = build_graph(spec)
    assert made.tensors[made.inputs[0]].shape[0] == made.tensors[made.outputs[0]].shape[0] == spec.batch
    known = {*made.inputs, *(i for i, tensor in enumerate(made.tensors) if tensor.weights is not None)}
    for layer in made.layers:  # topological: every input was made before
        assert known.issuperset(layer.inputs)
        known.update(layer.outputs)
    assert known == set(range(len(made.tensors)))
    assert len({tensor.name for tensor in made.tensors}) == len(made.tensors)
    assert all(len(tensor.shape) <= 4 and min(tensor.shape) >= 1 for tensor in made.tensors)
    streams = [(t.weights.seed, t.weights.stream) for t in made.tensors if hasattr(t.weights, "stream")]
    assert len(set(streams)) == len(streams)
    assert {seed for seed, _ in streams} == {spec.seed}
    again = build_graph(dataclasses.replace(spec))
    assert (again.tensors, again.layers) == (made.tensors, made.layers)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FcParams(layer=0, node=4), "layer = 0: must be a whole number from 1 to 10000"),
        (lambda: FcParams(layer=4, node=-4), "node = -4: must be"),
        (lambda: FcParams(layer=True, node=4), "layer = True: must be"),
        (lambda: FcParams(layer=4, node=4.0), "node = 4.0: must be"),  # type: ignore[arg-type]
        (lambda: FcParams(layer=4), "no node: give layer and node, or widths"),
        (FcParams, "no layer and no node: give layer and node, or widths"),
        (lambda: FcParams(layer=4, node=4, widths=(4,)), "widths stands in place of layer and node"),
        (lambda: FcParams(widths=()), r"widths = \(\): must be a list"),
        (lambda: FcParams(widths=[4]), r"widths = \[4\]: must be a list"),  # type: ignore[arg-type]
        (lambda: CnnParams(block=1, kind="deep"), "kind = 'deep': must be one of 'residual', 'bottleneck'"),
        (CnnParams, "no block: give block, or blocks"),
        (lambda: CnnParams(block=1, blocks=(1, 1, 1, 1)), "blocks stands in place of block"),
        (lambda: CnnParams(blocks=(1, 1, 1)), "blocks = .*must be a list of 4 whole numbers"),
        (lambda: MatmulParams(n=2**20 + 1), "n = 1048577: must be a whole number from 1 to 1048576"),
        (lambda: ConvStackParams(filter=10**400), "filter = 1000+"),
    ],
)
def test_impossible_parameters_are_refused(make: type[Params], message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        make()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_impossible_specs_are_refused() -> None:
    good = ModelSpec(family="matmul", params=MatmulParams(n=4))
    for change, message in [
        ({"family": "gan"}, "unknown family 'gan': one of fc, cnn, conv_stack, matmul"),
        ({"family": "fc"}, "fc takes FcParams, not MatmulParams"),
        ({"batch": 0}, "batch = .*must be a whole number from 1"),
        ({"batch": True}, "batch = .*must be a whole number from 1"),
        ({"precision": "int4"}, "precision = 'int4': must be one of 'int8', 'float32', 'float16', 'dynamic_range'"),
        ({"seed": -1}, "seed = -1: must be"),
    ]:
        with pytest.raises(BadInput, match=message):
            build_graph(dataclasses.replace(good, **change))  # type: ignore[arg-type]


def test_families_are_named_as_they_say() -> None:
    assert {name: family.name for name, family in FAMILIES.items()} == {name: name for name in FAMILIES}
    assert all(family.summary for family in FAMILIES.values())


def test_the_largest_graphs_are_still_quick_to_make() -> None:
    """What is far beyond 2 GiB is for the writer to refuse; describing it must cost next to nothing."""
    assert graph("fc", FcParams(layer=10_000, node=2**20)).parameters > 2**50
    assert graph("conv_stack", ConvStackParams(layer=100, kernel=1024, image=2**20, filter=2**20)).parameters > 2**60
    assert graph("cnn", CnnParams(kind="bottleneck", block=50, filter=2**14, image=2**20)).parameters > 2**40
