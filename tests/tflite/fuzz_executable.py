"""Run by test_executable.py in a child: damaged compiled files, each of which `inspect` must list or refuse.

Arguments: number of files, seed, megabytes of address space above what the imports took, folder of the originals.
Prints one JSON object: how many were inspected, how many refused, and how many of these for what is in the compiled op.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
from fuzz_reader import HANG_S, NASTY, check_message

from paraedge.cli.model import inspect
from paraedge.core.errors import BadModelFile
from paraedge.tflite import read_packages
from paraedge.tflite.flatbuffer import BYTES_PER_ITEM, Source


@contextlib.contextmanager
def recording(data: bytes) -> Iterator[dict[int, int]]:
    """Positions of all numbers that are read, and their bytes: where damage is interesting."""
    base = np.frombuffer(data, np.uint8).ctypes.data
    places: dict[int, int] = {}
    number = Source.number

    def recorded(self: Source, kind: str, position: int) -> int | float:
        here = np.frombuffer(self.data, np.uint8).ctypes.data - base + position
        places[here] = BYTES_PER_ITEM[kind]
        if kind == "H":  # a table's layout: its fields follow
            places.update({here + 2 * i: 2 for i in range(1, 12)})
        return number(self, kind, position)

    with mock.patch.object(Source, "number", recorded):
        yield places


def places_of(data: bytes) -> list[tuple[int, int]]:
    with recording(data) as places:
        read_packages(data)
    return sorted((at, size) for at, size in places.items() if at + size <= len(data))


def damage(data: bytes, places: list[tuple[int, int]], others: list[bytes], rng: random.Random) -> bytes:
    """A copy with one to four numbers overwritten, bits flipped, bytes taken out or doubled, cut, or patched."""
    out = bytearray(data)
    kind = rng.randrange(10)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, size = rng.choice(places)
        if kind <= 1:
            out[at + rng.randrange(size)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            out[rng.randrange(len(out))] = rng.randrange(256)
        elif kind <= 6:
            near = int.from_bytes(data[at : at + size], "little") + rng.choice([-8, -4, -2, -1, 1, 2, 4, 8])
            value = rng.choice([rng.choice(NASTY), rng.randrange(2 * len(data)), near])
            out[at : at + size] = (value % 256**size).to_bytes(size, "little")
    at, _ = rng.choice(places)
    if kind == 7:
        del out[rng.choice([rng.randrange(len(out)), at]) :]
    elif kind == 8:
        del out[at : at + rng.randrange(1, 40)]
    elif kind == 9:
        donor, size = rng.choice(others), rng.randrange(1, 400)
        start = rng.randrange(len(donor))
        out[at : at + size] = donor[start : start + size]
    return bytes(out)


def inspected(path: Path, json_too: bool) -> bool:
    """Whether `inspect` listed the file; what it says must be JSON where asked for."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        inspect(path, json=json_too)
    if json_too:
        for package in json.loads(shown.getvalue()).get("edgetpu", {}).get("packages", ()):
            for executable in package["executables"]:
                assert 0 <= executable["parameter_bytes"] <= path.stat().st_size
                assert min(value for key, value in executable.items() if key.endswith("_bytes")) >= 0
    return bool(shown.getvalue())


def main() -> None:
    count, seed, spare_mb = (int(word) for word in sys.argv[1:4])
    originals = [path.read_bytes() for path in sorted(Path(sys.argv[4]).iterdir())]
    places = [places_of(data) for data in originals]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (spare_mb << 20),) * 2)
    rng = random.Random(seed)
    result = {"inspected": 0, "refused": 0, "in_package": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "damaged"
        for index in range(count):
            which = index % len(originals)
            path.write_bytes(damage(originals[which], places[which], originals, rng))
            signal.alarm(HANG_S)  # a hang ends the child, which the test sees
            try:
                assert inspected(path, json_too=index % 3 == 0)
                result["inspected"] += 1
            except BadModelFile as error:
                check_message(str(error))
                result["refused"] += 1
                result["in_package"] += "edgetpu-custom-op" in str(error)
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
