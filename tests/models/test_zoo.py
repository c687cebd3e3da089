"""The zoo against the published files op by op, and against published sizes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paraedge import simulate
from paraedge.core.errors import BadInput
from paraedge.core.graph import Layer, LayerGraph
from paraedge.core.spec import ModelSpec, Precision
from paraedge.models import FAMILIES, ZooParams, build_graph
from paraedge.models.versions import LOWEST_VERSION
from paraedge.models.zoo import as_uint8
from paraedge.tflite import read_graph, write_model

V1, V2, INCEPTION = "mobilenet_v1", "mobilenet_v2", "inception_v3"

PUBLISHED = {
    "mobilenet_v1_0.25_128_quant": ZooParams(model=V1, width=25, image=128),
    "mobilenet_v1_0.5_160_quant": ZooParams(model=V1, width=50, image=160),
    "mobilenet_v1_0.75_192_quant": ZooParams(model=V1, width=75, image=192),
    "mobilenet_v1_1.0_224_quant_embedding_extractor": ZooParams(model=V1),
    "mobilenet_v2_1.0_224_quant": ZooParams(model=V2),
}
"""TF-Slim's own files; the embedding extractor ends before the classifier, three ops earlier."""

WHOLLY_MAPPED = (
    INCEPTION, "efficientnet_lite0", "squeezenet_1_0", "alexnet", "vgg16", "vgg19", "resnet50_v1", "resnet50_v2",
    "resnet152_v2", "densenet121", "block_cnn_3_1", "block_cnn_2_2",
)  # fmt: skip
ALL = [*PUBLISHED.values(), *(ZooParams(model=model) for model in WHOLLY_MAPPED)]


def label(params: ZooParams) -> str:
    return f"{params.model}-{params.width}-{params.side}"


def graph(params: ZooParams, precision: Precision = "int8", batch: int = 1) -> LayerGraph:
    return build_graph(ModelSpec(family="zoo", params=params, precision=precision, batch=batch, seed=3))


# --- the published files ---


def facts(made: LayerGraph, layer: Layer) -> dict[str, object]:
    """What must agree: op, shapes of all tensors, their types, and the options that both spell out."""
    kept = ("padding", "stride_h", "stride_w", "filter_height", "filter_width", "fused_activation_function", "beta")
    more = ("depth_multiplier", "dilation_h_factor", "dilation_w_factor")
    return {
        "op": layer.op,
        "version": layer.version,
        "inputs": [(made.tensors[i].shape, made.tensors[i].dtype) for i in layer.inputs],
        "outputs": [(made.tensors[i].shape, made.tensors[i].dtype) for i in layer.outputs],
        "constant": [made.tensors[i].weights is not None for i in layer.inputs],
        "options": {name: layer.options[name] for name in (*kept, *more) if name in layer.options},
    }


def producers(made: LayerGraph) -> list[list[int]]:
    """For each layer the layers that its activations come from, -1 for the graph's input."""
    maker = {tensor_id: index for index, layer in enumerate(made.layers) for tensor_id in layer.outputs}
    return [[maker.get(i, -1) for i in layer.inputs if made.tensors[i].weights is None] for layer in made.layers]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_op_is_the_published_files(name: str, edgetpu_data: Path) -> None:
    published = read_graph(edgetpu_data / "models" / f"{name}.tflite")
    made = as_uint8(graph(PUBLISHED[name]))
    count = len(published.layers)
    assert len(made.layers) == (count + 3 if "extractor" in name else count)
    expected = [facts(published, layer) for layer in published.layers]
    assert [facts(made, layer) for layer in made.layers[:count]] == expected
    assert producers(made)[:count] == producers(published)
    assert {t.dtype for t in made.tensors} == {t.dtype for t in published.tensors}
    if "extractor" not in name:
        assert (made.macs, made.parameters, made.weight_bytes, made.input_bytes, made.output_bytes) == (
            published.macs, published.parameters, published.weight_bytes, published.input_bytes, published.output_bytes,
        )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in PUBLISHED if "extractor" not in name])
def test_a_prediction_is_that_of_the_published_file(name: str, edgetpu_data: Path) -> None:
    hardware = simulate.load_hardware("sim-edgetpu-usb3")
    published = simulate.predict(read_graph(edgetpu_data / "models" / f"{name}.tflite"), hardware)
    made = simulate.predict(as_uint8(graph(PUBLISHED[name])), hardware)
    assert (made.latency_ms, made.terms, made.placement) == (published.latency_ms, published.terms, published.placement)


# --- published sizes ---


@pytest.mark.parametrize(
    ("params", "mega_macs"),
    [
        # TF-Slim's tables of MobileNetV1 and V2: width and image, millions of MACs
        (ZooParams(model=V1), 569),
        (ZooParams(model=V1, width=75, image=192), 239),
        (ZooParams(model=V1, width=50, image=160), 77),
        (ZooParams(model=V1, width=25, image=128), 14),
        (ZooParams(model=V2, width=140), 582),
        (ZooParams(model=V2, width=130), 509),
        (ZooParams(model=V2), 301),
        (ZooParams(model=V2, width=75), 209),
        (ZooParams(model=V2, width=50), 97),
        (ZooParams(model=V2, width=35), 59),
        (ZooParams(model=INCEPTION), 5713),
    ],
)
def test_macs_are_the_published_ones(params: ZooParams, mega_macs: int) -> None:
    macs = graph(params).macs
    assert macs is not None
    assert round(macs / 1e6) == mega_macs


def test_inception_v3_has_keras_parameters() -> None:
    """Keras' InceptionV3 has 23,851,784; three a channel are batch normalisation's, and folded they are one bias."""
    made = graph(ZooParams(model=INCEPTION, output=1000))
    channels = sum(
        made.tensors[layer.outputs[0]].shape[3]
        for layer in made.layers
        if layer.op == "CONV_2D" and layer.options["fused_activation_function"] == "RELU"
    )
    assert 2 * channels == 34_432  # the means and variances that Keras lists as not trainable
    assert made.parameters == 23_851_784 - 3 * channels + channels == 23_817_352
    assert graph(ZooParams(model=INCEPTION)).parameters == 23_817_352 + 2049


def test_inception_v3_has_the_papers_blocks() -> None:
    """Table 1 of arXiv 1512.00567: sides 35, 17, 8; and the concatenated channels of the eleven blocks."""
    made = graph(ZooParams(model=INCEPTION))
    assert Counter(layer.op for layer in made.layers) == {
        "CONV_2D": 95, "MAX_POOL_2D": 4, "AVERAGE_POOL_2D": 10, "CONCATENATION": 15, "RESHAPE": 1, "SOFTMAX": 1,
    }  # fmt: skip
    shapes = [made.tensors[layer.outputs[0]].shape[2:] for layer in made.layers if layer.op == "CONCATENATION"]
    fanned = [(8, 768), (8, 768), (8, 2048)]
    blocks = [(35, 256), (35, 288), (35, 288), *[(17, 768)] * 5, (8, 1280)]
    assert shapes == [*blocks, *fanned, *fanned]
    stem = [made.tensors[layer.outputs[0]].shape[1:] for layer in made.layers[:7]]
    assert stem == [
        (149, 149, 32), (147, 147, 32), (147, 147, 64), (73, 73, 64), (73, 73, 80), (71, 71, 192), (35, 35, 192),
    ]  # fmt: skip
    final = made.layers[-4]
    assert (final.op, final.options["padding"], final.options["filter_height"]) == ("AVERAGE_POOL_2D", "VALID", 8)


# --- any of them ---


zoo_params = st.builds(
    ZooParams,
    model=st.sampled_from([V1, V2, INCEPTION]),
    width=st.integers(1, 150),
    image=st.one_of(st.none(), st.integers(75, 400)),
    output=st.integers(1, 12),
)


@settings(max_examples=60, deadline=None)
@given(zoo_params, st.sampled_from(["int8", "float32"]), st.integers(1, 3))
def test_every_graph_is_well_formed(params: ZooParams, precision: Precision, batch: int) -> None:
    made = graph(params, precision, batch)
    assert made.tensors[0].shape == (batch, params.side, params.side, 3)
    assert made.tensors[made.outputs[0]].shape == (batch, params.output)
    known = {*made.inputs, *(i for i, tensor in enumerate(made.tensors) if tensor.weights is not None)}
    for layer in made.layers:  # topological: every input was made before
        assert known.issuperset(layer.inputs)
        known.update(layer.outputs)
        assert layer.version == LOWEST_VERSION[layer.op][precision]
    assert known == set(range(len(made.tensors)))
    assert len({tensor.name for tensor in made.tensors}) == len(made.tensors)
    assert all(len(tensor.shape) <= 4 and min(tensor.shape) >= 1 for tensor in made.tensors)
    streams = [t.weights.stream for t in made.tensors if hasattr(t.weights, "stream")]
    assert len(set(streams)) == len(streams)
    assert None not in made.macs_by_layer


@pytest.mark.parametrize("params", ALL, ids=label)
def test_the_simulator_places_every_op(params: ZooParams) -> None:
    hardware = simulate.load_hardware("sim-edgetpu-usb3")
    for made in (graph(params), as_uint8(graph(params))):
        prediction = simulate.predict(made, hardware)
        assert prediction.latency_ms > 0
        assert prediction.placement.on_cpu == ()
        assert prediction.untimed == ()


# --- uint8, parameters ---


def test_uint8_means_the_same_values() -> None:
    made = graph(ZooParams(model=V2))
    shifted = as_uint8(made)
    assert (shifted.macs, shifted.weight_bytes, shifted.activation_bytes) == (
        made.macs, made.weight_bytes, made.activation_bytes,
    )  # fmt: skip
    for ours, theirs in zip(made.tensors, shifted.tensors, strict=True):
        assert (theirs.name, theirs.shape, theirs.weights) == (ours.name, ours.shape, ours.weights)
        assert theirs.dtype == {"int8": "uint8"}.get(ours.dtype, ours.dtype)
        if ours.dtype == "int8" and ours.quantization is not None and theirs.quantization is not None:
            assert len(theirs.quantization.scales) == 1
            assert theirs.quantization.zero_points == (ours.quantization.zero_points[0] + 128,)
    assert {layer.version for layer in shifted.layers} == {1}
    with pytest.raises(BadInput, match="no random weights of type uint8"):
        write_model(shifted)


def test_small_images_and_widths_are_what_they_say() -> None:
    least = graph(ZooParams(model=INCEPTION, image=75))
    assert least.tensors[least.layers[-4].inputs[0]].shape == (1, 1, 1, 2048)
    assert graph(ZooParams(model=V1, width=1)).tensors[1].shape == (8, 3, 3, 3)
    assert graph(ZooParams(model=V2, width=35)).layers[-3].op == "CONV_2D"
    narrow = graph(ZooParams(model=V2, width=35))
    assert narrow.tensors[narrow.layers[-3].inputs[1]].shape == (1001, 1, 1, 1280)
    wide = graph(ZooParams(model=V2, width=140))
    assert wide.tensors[wide.layers[-3].inputs[1]].shape == (1001, 1, 1, 1792)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "resnet"}, "model = 'resnet': must be one of 'mobilenet_v1', 'mobilenet_v2', 'effi"),
        ({"width": 0}, "width = 0: must be a whole number from 1 to 1000"),
        ({"width": 0.5}, "width = 0.5: must be"),
        ({"image": 2**21}, "image = 2097152: must be"),
        ({"model": INCEPTION, "image": 74}, "image = 74: must be at least 75 for inception_v3"),
    ],
)
def test_impossible_parameters_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        FAMILIES["zoo"].params(**given)


def test_the_largest_graph_is_quick_to_make() -> None:
    largest = graph(ZooParams(model=INCEPTION, width=1000, image=2**20, output=2**20))
    assert largest.parameters > 2**31
