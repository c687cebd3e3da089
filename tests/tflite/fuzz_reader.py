"""Run by test_fuzz.py in a child: damaged files, each of which must give a graph or BadModelFile.

Arguments: number of files, seed, megabytes of address space above what the imports took, folder of the originals.
Prints one JSON object: how many gave a graph, how many BadModelFile, and the longest time of one.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
from pathlib import Path

from paraedge.core.errors import BadModelFile
from paraedge.core.graph import FileWeights, LayerGraph
from paraedge.tflite import parse_graph
from paraedge.tflite.schema import numbers

HANG_S = 60
NASTY = [0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 32767, 65535, 2**16, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 1]


def structure(data: bytes) -> list[int]:
    """Positions that are not weights: where damage is interesting."""
    spans = sorted(
        (tensor.weights.offset, tensor.weights.offset + tensor.weights.size_bytes)
        for tensor in parse_graph(data, "original").tensors
        if isinstance(tensor.weights, FileWeights)
    )
    positions, at = [], 0
    for first, last in spans:
        positions += range(at, min(first, at + 20_000))
        at = max(at, last)
    return positions + list(range(at, min(len(data), at + 20_000)))


def damage(data: bytes, places: list[int], others: list[bytes], rng: random.Random) -> bytearray:
    """A copy with one to eight bytes or integers overwritten, cut short, or with a piece of another file."""
    out = bytearray(data)
    kind = rng.randrange(8)
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        at = rng.choice(places) if rng.random() < 0.9 else rng.randrange(len(out))
        if kind <= 1:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            out[at] = rng.randrange(256)
        elif kind <= 5:
            size = rng.choice([2, 4, 4, 8])
            value = rng.choice(NASTY) if rng.random() < 0.7 else rng.randrange(len(data) * 2)
            at -= at % size
            out[at : at + size] = (value % 256**size).to_bytes(size, "little")
    if kind == 6:
        del out[rng.choice([rng.randrange(len(out)), rng.choice(places)]) :]
    elif kind == 7:
        donor, size = rng.choice(others), rng.randrange(1, 2000)
        start, at = rng.randrange(len(donor)), rng.choice(places)
        out[at : at + size] = donor[start : start + size]
    return out


def use(graph: LayerGraph) -> None:
    """What the rest of the program asks of a graph; raises if any of it is out of bounds."""
    count = len(graph.tensors)
    assert all(0 <= i < count for i in (*graph.inputs, *graph.outputs))
    for layer in graph.layers:
        assert all(-1 <= i < count for i in layer.inputs)
        assert all(0 <= i < count for i in layer.outputs)
        assert layer.op in numbers("BuiltinOperator")
    assert all(size >= 0 for tensor in graph.tensors for size in tensor.shape)
    totals = [graph.parameters, graph.weight_bytes, graph.activation_bytes, graph.input_bytes, graph.output_bytes]
    assert min(totals) >= 0
    assert graph.macs is None or graph.macs >= 0


def check_message(message: str) -> None:
    assert len(message) < 300, "a message is one short line"
    assert "\n" not in message


def main() -> None:
    count, seed, spare_mb = (int(word) for word in sys.argv[1:4])
    originals = [path.read_bytes() for path in sorted(Path(sys.argv[4]).iterdir())]
    places = [structure(data) for data in originals]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (spare_mb << 20),) * 2)
    rng = random.Random(seed)
    graphs, refused, longest_s = 0, 0, 0.0
    for index in range(count):
        which = index % len(originals)
        data = bytes(damage(originals[which], places[which], originals, rng))
        signal.alarm(HANG_S)  # a hang ends the child, which the test sees
        began = time.perf_counter()
        try:
            use(parse_graph(data, "damaged"))
            graphs += 1
        except BadModelFile as error:
            check_message(str(error))
            refused += 1
        longest_s = max(longest_s, time.perf_counter() - began)
    json.dump({"graphs": graphs, "refused": refused, "longest_s": longest_s}, sys.stdout)


if __name__ == "__main__":
    main()
