"""What would mend a prediction: each claim against networks built anew, and against trying them all."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest
from graph_builder import Builder

from paraedge import models
from paraedge.core.cut import cut
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models import ConvStackParams, FcParams
from paraedge.models.zoo import ZooParams
from paraedge.simulate import Hardware, predict
from paraedge.simulate.advice import Advice, Cuts, Image, NoWay, Widths, advise
from paraedge.simulate.resize import resize

Chain = Callable[..., LayerGraph]


def fc(node: int) -> LayerGraph:
    return models.build_graph(ModelSpec(family="fc", params=FcParams(input=64, layer=4, node=node, output=10)))


def stack(filters: int, image: int = 64) -> LayerGraph:
    params = ConvStackParams(layer=5, kernel=3, image=image, channel=3, filter=filters)
    return models.build_graph(ModelSpec(family="conv_stack", params=params))


def advice(graph: LayerGraph, hardware: Hardware) -> Advice:
    return advise(predict(graph, hardware), graph, hardware)


@pytest.mark.parametrize("node", [1740, 2049, 4096, 8192])
def test_fc_widths_are_the_largest_multiple_of_64_that_fits(chip: Hardware, node: int) -> None:
    best = max(n for n in range(64, node + 1, 64) if not predict(fc(n), chip).placement.off_chip)
    found = advice(fc(node), chip).widths
    assert isinstance(found, Widths)
    assert found.changed == ((node, best),)
    assert found.latency_ms == pytest.approx(predict(fc(best), chip).latency_ms)
    assert found.share == pytest.approx(best / node)
    assert found.parameter_bytes == predict(fc(best), chip).placement.on_chip_bytes


@pytest.mark.parametrize("filters", [480, 600, 704])
def test_filters_are_the_largest_multiple_of_64_that_fits(chip: Hardware, filters: int) -> None:
    found = advice(stack(filters), chip).widths
    assert isinstance(found, Widths)
    [(before, after)] = found.changed
    assert (before, after % 64) == (filters, 0)
    for width, streamed in ((after, False), (after + 64, True)):  # all but the last layer, which is returned
        changed = resize(stack(filters), width=lambda _, width=width: width)
        assert isinstance(changed, LayerGraph)
        assert bool(predict(changed, chip).placement.off_chip) == streamed


def test_mixed_widths_fit_and_no_single_one_can_be_raised(chip: Hardware) -> None:
    graph = models.build_graph(ModelSpec(family="zoo", params=ZooParams(model="inception_v3")))
    found = advice(graph, chip).widths
    assert isinstance(found, Widths)
    now = dict(found.changed)
    assert all(after % 64 == 0 and after < before for before, after in now.items())

    def streamed(now: dict[int, int]) -> bool:
        changed = resize(graph, width=lambda outputs: now.get(outputs, outputs))
        assert isinstance(changed, LayerGraph)
        return bool(predict(changed, chip).placement.off_chip)

    assert not streamed(now)
    for before, after in now.items():
        if after + 64 <= before:
            assert streamed({**now, before: after + 64}), before


def test_one_layer_cut_is_preferred_where_it_cuts_fewer_outputs(chip: Hardware) -> None:
    params = FcParams(widths=(1000, 3000, 700, 2500, 900), input=64, output=10)
    graph = models.build_graph(ModelSpec(family="fc", params=params))
    found = advice(graph, chip).widths
    assert isinstance(found, Widths)
    cut = sum(before - after for before, after in found.changed)

    def fits(before: int, after: int) -> bool:
        changed = resize(graph, width=lambda outputs: after if outputs == before else outputs)
        assert isinstance(changed, LayerGraph)
        return not predict(changed, chip).placement.off_chip

    for before in params.widths or ():
        for after in range(before // 64 * 64, 0, -64):  # brute force over all changes of one layer
            if before - after < cut:
                assert not fits(before, after), (before, after)


def test_segments_keep_everything_on_chip_and_one_fewer_does_not(chip: Hardware) -> None:
    graph = fc(2900)  # three layers of 8.1 MiB fit a device each, hardly
    hardware = dataclasses.replace(chip, wide_memory_bytes=9.0 * 2**20)
    found = advice(graph, hardware).segments
    assert isinstance(found, Cuts)
    assert (found.segments, found.cuts) == (3, (2, 3))
    edges = [0, *found.cuts, len(graph.layers)]
    parts = [predict(cut(graph, range(a, b)), hardware) for a, b in itertools.pairwise(edges)]
    assert [part.placement.off_chip for part in parts] == [(), (), ()]
    assert found.latencies_ms == pytest.approx([part.latency_ms for part in parts])


def test_cuts_count_from_the_start_of_the_whole_graph(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64), "float32")
    y = builder.op("QUANTIZE", (x,), (1, 64))  # on the CPU
    for units in (1700, 1700, 1700, 1700):
        y = builder.dense(y, units)
    found = advice(builder.graph([x], [builder.dense(y, 10)]), chip).segments
    assert isinstance(found, Cuts)
    assert found.cuts == (4,)  # ops 1 to 3, 4 and 5


def test_a_layer_larger_than_the_cache_cannot_be_cut(chip: Hardware) -> None:
    found = advice(fc(8192), chip)
    assert isinstance(found.segments, NoWay)
    assert found.segments.reason.startswith("op 1 (FULLY_CONNECTED) alone, 64.")
    assert found.image is None


def test_parameters_do_not_shrink_with_the_image(chip: Hardware) -> None:
    graph = models.build_graph(ModelSpec(family="zoo", params=ZooParams(model="inception_v3")))
    assert advice(graph, chip).image == NoWay(reason="convolutions' parameters don't shrink with the image")


def test_the_largest_image_at_which_each_layer_is_fetched_once(chip: Hardware) -> None:
    def once(side: int) -> bool:
        prediction = predict(stack(600, side), chip)
        streamed_ms = prediction.terms["weights_ms"] - chip.stream_setup_ms
        return streamed_ms == pytest.approx(prediction.placement.off_chip_bytes * chip.costs["streamed_bytes"])

    best = max(side for side in range(8, 64, 8) if once(side))
    found = advice(stack(600), chip).image
    assert found == Image(
        before=(64, 64), after=(best, best), on_chip=False, latency_ms=predict(stack(600, best), chip).latency_ms
    )


def test_the_largest_image_that_leaves_the_parameters_their_room(builder: Builder, chip: Hardware) -> None:
    def graph(side: int) -> LayerGraph:
        builder = Builder()
        x = builder.tensor((1, side, 2 * side, 3))
        y = builder.conv(x, 64, kernel=1, padding="SAME")
        y = builder.op(
            "AVERAGE_POOL_2D", (y,), (1, 1, 1, 64), filter_height=side, filter_width=2 * side, padding="VALID"
        )
        for units in (2048, 2048, 1600):
            y = builder.dense(y, units)
        return builder.graph([x], [y])

    sides = range(1024 // 2 - 16, 0, -16)  # of the longer side, every 32nd
    best = next(side for side in sides if not predict(graph(side), chip).placement.off_chip)
    found = advice(graph(512), chip).image
    assert isinstance(found, Image)
    assert (found.before, found.after, found.on_chip) == ((512, 1024), (best, 2 * best), True)
    assert found.latency_ms == pytest.approx(predict(graph(best), chip).latency_ms)


def test_nothing_to_narrow(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64))
    y = builder.dense(x, 32)
    found = advice(builder.graph([x], [builder.dense(y, 300_000)]), chip)
    assert found.widths == NoWay(reason="no hidden layer has more than 64 outputs")
    z = builder.dense(builder.dense(x, 128), 300_000)
    found = advice(dataclasses.replace(builder.graph([x], [z]), layers=builder.graph([], []).layers[2:]), chip)
    assert found.widths == NoWay(reason="not even hidden widths of 64 keep everything on chip")


def test_shapes_that_cannot_be_followed_leave_the_cuts(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 16, 16, 512))
    y = builder.conv(x, 1024, padding="SAME")
    s = builder.op("SLICE", (y, builder.values(0, 0, 0, 0), builder.values(1, 16, 16, 512)), (1, 16, 16, 512))
    found = advice(builder.graph([x], [builder.conv(s, 1024, padding="SAME")]), chip)
    assert found.widths == NoWay(
        reason="the hidden widths can't be scaled alike: op 1 SLICE has shapes that can't be followed"
    )
    assert isinstance(found.segments, Cuts)
    strange = builder.conv(y, 512, padding="VALID")
    graph = dataclasses.replace(builder.graph([x], [strange]), layers=(builder.layers[0], builder.layers[-1]))
    found = advice(graph, chip)
    assert isinstance(found.widths, NoWay)
    assert "don't follow from its options" in found.widths.reason
    assert isinstance(found.segments, Cuts)


def test_outputs_just_above_a_multiple_of_64_are_named_where_it_pays(chip: Hardware) -> None:
    found = advice(stack(65), chip)
    assert isinstance(found.widths, Widths)
    assert found.widths.changed == ((65, 64),)
    assert found.widths.latency_ms < 0.95 * predict(stack(65), chip).latency_ms
    assert (found.segments, found.image) == (None, None)
    assert advice(stack(64), chip) == advice(stack(96), chip) == advice(fc(64), chip) == Advice()


def test_nothing_on_the_device_or_compiled_has_no_advice(builder: Builder, chip: Hardware) -> None:
    x = builder.tensor((1, 64))
    y = builder.op("CUSTOM", (x,), (1, 10), custom_code="edgetpu-custom-op")
    graph = builder.graph([x], [y])
    assert advice(graph, chip) == Advice()
    assert advice(dataclasses.replace(graph, layers=()), chip) == Advice()
