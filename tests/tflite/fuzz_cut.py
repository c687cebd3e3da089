"""Run by test_cut_fuzz.py in a child: damaged files, each of which must give segments that can be read, or BadInput.

Arguments and result as fuzz_reader.py's, which lies beside it.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time
from pathlib import Path

from fuzz_reader import HANG_S, check_message, damage, structure, use

from paraedge.core.errors import BadInput
from paraedge.tflite import cut_model, parse_graph

GROWTH = 6
"""A segment's bytes are at most so many times the file's; what tables share is copied for each of them."""


def cut_damaged(data: bytes, cuts: list[int]) -> None:
    """Cut, and read what came of it."""
    graph = parse_graph(data, "damaged")
    cuts = [cut for cut in cuts if cut < len(graph.layers)]
    segments = cut_model(data, cuts)
    assert len(segments) == len(cuts) + 1
    for segment in segments:
        assert len(segment.data) < GROWTH * len(data) + 2**21
        part = parse_graph(segment.data, "segment")
        use(part)
        assert len(part.layers) == segment.end - segment.first
        assert [part.tensors[i].shape for i in part.inputs] == [graph.tensors[i].shape for i in segment.inputs]


def main() -> None:
    count, seed, spare_mb = (int(word) for word in sys.argv[1:4])
    originals = [path.read_bytes() for path in sorted(Path(sys.argv[4]).iterdir())]
    places = [structure(data) for data in originals]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (spare_mb << 20),) * 2)
    rng = random.Random(seed)
    cut, refused, longest_s = 0, 0, 0.0
    for index in range(count):
        which = index % len(originals)
        data = bytes(damage(originals[which], places[which], originals, rng))
        cuts = sorted(rng.sample(range(1, 9), rng.randrange(4)))
        signal.alarm(HANG_S)  # a hang ends the child, which the test sees
        began = time.perf_counter()
        try:
            cut_damaged(data, cuts)
            cut += 1
        except BadInput as error:
            check_message(str(error))
            refused += 1
        longest_s = max(longest_s, time.perf_counter() - began)
    json.dump({"cut": cut, "refused": refused, "longest_s": longest_s}, sys.stdout)


if __name__ == "__main__":
    main()
