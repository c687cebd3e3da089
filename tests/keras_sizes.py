"""Sizes of networks of keras.applications, counted from Keras' own layers by a child process.

As a script, `keras_sizes.py ResNet50:224 MobileNet:128:25 ...` prints them as JSON, the last number being a width in
percent; it imports Keras, and the tests nothing of it.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections import Counter
from typing import Any, NamedTuple

import pytest

needs_keras = [
    pytest.mark.tensorflow,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None,
        reason="needs TensorFlow, as the reference: pip install 'paraedge[tensorflow]'",
    ),
]
"""The pytestmark of a module that asks Keras."""


class Sizes(NamedTuple):
    """parameters: Keras' own count. folded: by how many a file has fewer.

    Batch normalisation has four a channel. After a convolution nothing of it is stored but the convolution's bias,
    elsewhere a gain and a bias. A convolution without either has a bias in a file all the same.

    macs: from the shapes of layers. layers: how many there are of each kind, as `describe` tells kinds apart.
    unfolded: channels of batch normalisation that no convolution stands right before.
    """

    parameters: int
    folded: int
    macs: int
    unfolded: int
    layers: Counter[str]


def describe(op: str, kernel: tuple[int, ...], output: tuple[int, ...]) -> str:
    """A layer with weights: kind, (height, width, input channels, filters) and the shape of one result."""
    return f"{op} {'x'.join(map(str, kernel))} to {'x'.join(map(str, output))}"


def sizes_of(*models: str) -> dict[str, Sizes]:
    """Of each `Name:image` or `Name:image:width`, from one child process."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, __file__, *models]
    result = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.splitlines()[-1])
    return {name: Sizes(**{**each, "layers": Counter(each["layers"])}) for name, each in found.items()}


def _sizes(model: Any) -> dict[str, object]:
    folded = unfolded = macs = 0
    biases = {}  # of each convolution without one, until a batch normalisation gives it one
    layers: Counter[str] = Counter()
    for layer in model.layers:
        kind, output = type(layer).__name__, tuple(layer.output.shape[1:])
        if kind == "BatchNormalization":
            channels, learnt = int(layer.moving_mean.shape[0]), len(layer.weights)
            before = layer.input._keras_history.operation
            if "Conv2D" in type(before).__name__:  # its convolution has a bias afterwards, whether it had one or not
                folded += channels * (learnt if before.use_bias else learnt - 1)
                biases.pop(before.name, None)
            else:  # a gain and a bias stay
                unfolded += channels
                folded += channels * (learnt - 2)
        elif kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            kernel = tuple(int(side) for side in layer.kernel.shape)
            per_output = kernel[:2] if kind == "DepthwiseConv2D" else kernel[:-1]
            macs += math.prod(output) * math.prod(per_output)
            layers[describe(kind, kernel, output)] += 1
            if not layer.use_bias:
                biases[layer.name] = output[-1]
        else:
            assert not layer.weights, f"{kind} has weights that nothing counts"
    return {
        "parameters": model.count_params(),
        "folded": folded - sum(biases.values()),
        "macs": macs,
        "unfolded": unfolded,
        "layers": layers,
    }


def _main() -> None:
    from keras import applications

    found = {}
    for model in sys.argv[1:]:
        name, image, *widths = model.split(":")
        alpha = {"alpha": int(widths[0]) / 100} if widths else {}
        side = int(image)
        found[model] = _sizes(getattr(applications, name)(weights=None, input_shape=(side, side, 3), **alpha))
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    _main()
