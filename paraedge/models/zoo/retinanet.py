"""RetinaNet (Lin et al., arXiv 1708.02002): ResNet-50, a feature pyramid, and heads for classes and boxes.

Laid out as torchvision's `retinanet_resnet50_fpn`: P6 is taken from P5, where the paper takes it from C5, and a
bottleneck's 3 x 3 convolution has the stride, not its first 1 x 1 one. The heads' weights are shared by all levels.
Decoding boxes and leaving out those that overlap are not part of it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from paraedge.models.cnn import EXPANSION
from paraedge.models.network import Network, Value
from paraedge.models.options import Options
from paraedge.models.scales import RELU_LIMIT, After, one_scale
from paraedge.models.zoo.model import Model, Published
from paraedge.models.zoo.resnet import features

FILTERS = 256
"""Of the pyramid and the heads."""
HEAD_LAYERS = 4
"""Convolutions with ReLU of a head, before the one that gives its results."""
ANCHORS = 9
"""Boxes of each place: three shapes of three sizes."""
SCORE_VARIANCE = 4.0
"""Of the sums before the sigmoid."""
SCORE = After(1 / 256, 0.35, one_scale(1 / 256, -128))
"""After a LOGISTIC, whose codes TFLite's quantization specification sets; E[x^2] for sums of that variance."""
POSITIVE = After(RELU_LIMIT / 255, 0.5, one_scale(RELU_LIMIT / 255, -128))
"""After a RELU of unit sums."""
NEAREST: Options = {"align_corners": False, "half_pixel_centers": False}


def build_retinanet(network: Network, x: Value, _width: int, output: int) -> tuple[Value, ...]:
    """[batch, image, image, 3] -> five [batch, height, width, 9 * output] scores, from P3 to P7, then five of boxes.

    The boxes are [batch, height, width, 9 * 4]; a level's height and width are an 8th to a 128th of the image's.
    """
    levels = _pyramid(network, features(network, x, _bottleneck))
    classes = _head(network, levels, ANCHORS * output, SCORE_VARIANCE)
    scores = [network.op("LOGISTIC", (each,), each.shape, {}, SCORE) for each in classes]
    return *scores, *_head(network, levels, ANCHORS * 4, 1.0)


def _bottleneck(network: Network, x: Value, filters: int, stride: int, *, first: bool) -> Value:
    wide = EXPANSION * filters
    shortcut = network.convolution(x, wide, 1, stride=stride, activation="NONE") if first else x
    y = network.convolution(x, filters, 1, activation="RELU")
    y = network.convolution(y, filters, 3, stride=stride, activation="RELU")
    y = network.convolution(y, wide, 1, activation="NONE")
    return network.add_relu(y, shortcut)


def _pyramid(network: Network, stages: tuple[Value, Value, Value]) -> list[Value]:
    """P3 to P7, all with 256 channels and one scale."""
    c3, c4, c5 = stages
    top = network.convolution(c5, FILTERS, 1, activation="NONE")
    levels = [_level(network, top)]
    for stage in (c4, c3):
        lateral = network.convolution(stage, FILTERS, 1, activation="NONE")
        top = network.add(lateral, _upsampled(network, top, lateral))
        levels.insert(0, _level(network, top))
    p6 = _level(network, levels[-1], stride=2)
    positive = network.op("RELU", (p6,), p6.shape, {}, POSITIVE)
    return [*levels, p6, _level(network, positive, stride=2)]


def _level(network: Network, x: Value, stride: int = 1) -> Value:
    return network.convolution(x, FILTERS, 3, stride=stride, activation="NONE")


def _upsampled(network: Network, x: Value, like: Value) -> Value:
    """RESIZE_NEAREST_NEIGHBOR to the height and width of another level."""
    size = network.integers(f"size_{x.tensor_id}", like.shape[1:3])
    wanted = Value(size, (2,), 0.0, 0.0, linear=True)
    after = After(x.scale, x.mean_square, one_scale(x.scale, 0))
    return network.op("RESIZE_NEAREST_NEIGHBOR", (x, wanted), (*like.shape[:3], x.shape[3]), NEAREST, after)


def _head(network: Network, levels: Sequence[Value], filters: int, variance: float) -> list[Value]:
    """Convolutions of every level, with weights that all share."""
    made = [levels[0]]
    for _ in range(HEAD_LAYERS):
        made.append(network.convolution(made[-1], FILTERS, 3, activation="RELU"))
    made.append(network.convolution(made[-1], filters, 3, activation="NONE", variance=variance))
    return [made[-1], *(functools.reduce(network.again, made[1:], level) for level in levels[1:])]


MODELS: Mapping[str, Model] = {
    "retinanet": Model(
        build_retinanet,
        640,
        91,
        has_widths=False,
        published=Published(
            parameters=34_014_999,
            folded=-26_560,
            macs=97_000_000_000,
            source="parameters: torchvision's retinanet_resnet50_fpn, which counts none of its frozen batch "
            "normalisation, here 26,560 biases; MACs: Tan et al., arXiv 1911.09070, Table 2",
        ),
    )
}
