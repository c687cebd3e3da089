"""Small compiled files that claim much: thousands of hints, layers, executables or ops that are one and the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from compiled_files import Run, any_hint, model_of, offsets_of, options, package, table_of

INSPECT_IN_LITTLE_MEMORY = """
import contextlib, os, resource, sys
from pathlib import Path
from paraedge.cli.model import inspect
from paraedge.core.errors import BadModelFile
from paraedge.tflite import read_graph, read_packages
path = Path(sys.argv[1])
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (450 << 20),) * 2)
try:
    packages = read_packages(path)
    read_graph(path)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        inspect(path, json=False)
        inspect(path, json=True)
    print("packages", len(packages), len(packages[0].executables))
except BadModelFile as error:
    print("refused", error)
"""


def greedy_package(*, hints: int = 1, layers: int = 1, executables: int = 1, name: int = 1, chunks: int = 1) -> bytes:
    """A package whose executables are one string, its hints one table, its layers another."""
    b = flatbuffers.Builder(1 << 20)
    label = b.CreateString("\x01" * name)
    layer = table_of(b, 12, {0: ("offset", label), 1: ("Int32", 4)})
    meta = table_of(b, 4, {0: ("Int16", 1), 2: ("offset", label)})
    hint = any_hint(b, 1, {0: ("offset", meta), 2: ("Int32", 4)}, 0)
    chunk = table_of(b, 2, {})
    vectors = {
        5: offsets_of(b, [chunk] * chunks),
        7: table_of(b, 2, {0: ("offset", offsets_of(b, [hint] * hints))}),
        8: offsets_of(b, [layer] * layers),
    }
    b.Finish(table_of(b, 17, {slot: ("offset", offset) for slot, offset in vectors.items()}))
    return wrapped(bytes(b.Output()), executables)


def wrapped(executable: bytes, count: int) -> bytes:
    inner = flatbuffers.Builder(1024)
    one = inner.CreateString(executable)
    inner.Finish(table_of(inner, 1, {0: ("offset", offsets_of(inner, [one] * count))}))
    outer = flatbuffers.Builder(1024)
    content = outer.CreateByteVector(bytes(inner.Output()))
    outer.Finish(table_of(outer, 8, {1: ("offset", content)}), file_identifier=b"DWN1")
    return bytes(outer.Output())


def many_ops(count: int) -> bytes:
    """A model whose ops are all the same compiled op."""
    b = flatbuffers.Builder(1024)
    custom = b.CreateNumpyVector(np.frombuffer(options(package([Run()])), np.uint8))
    code = table_of(b, 4, {0: ("Int8", 32), 1: ("offset", b.CreateString("edgetpu-custom-op")), 3: ("Int32", 32)})
    schema.OperatorStart(b)
    schema.OperatorAddCustomOptions(b, custom)
    op = schema.OperatorEnd(b)
    graph = table_of(b, 5, {3: ("offset", offsets_of(b, [op] * count))})
    fields = {1: ("offset", offsets_of(b, [code])), 2: ("offset", offsets_of(b, [graph]))}
    b.Finish(table_of(b, 8, fields), file_identifier=b"TFL3")
    return bytes(b.Output())


LISTED, REFUSED = "packages", "refused"
GREEDY = {
    "one of each": ({}, LISTED),
    "many hints": ({"hints": 200_000}, REFUSED),
    "as many hints as are allowed": ({"hints": 70_000}, LISTED),
    "many layers": ({"layers": 300_000}, REFUSED),
    "as many layers as are allowed": ({"layers": 110_000}, LISTED),
    "many executables": ({"executables": 100_000}, REFUSED),
    "as many executables as are allowed": ({"executables": 20_000}, LISTED),
    "many chunks": ({"chunks": 240_000}, REFUSED),
    "a long name": ({"name": 1_500_000}, LISTED),
    "one long name for all": ({"name": 1_000_000, "hints": 5000, "layers": 5000}, REFUSED),
}


def verdict(data: bytes, folder: Path) -> str:
    path = folder / "greedy_edgetpu.tflite"
    path.write_bytes(data)
    command = [sys.executable, "-c", INSPECT_IN_LITTLE_MEMORY, str(path)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    assert len(child.stdout) < 500
    return child.stdout.split()[0]


@pytest.mark.parametrize(("greed", "ends"), GREEDY.values(), ids=GREEDY.keys())
def test_small_packages_that_claim_much_stay_within_500_mb(greed: dict[str, int], ends: str, tmp_path: Path) -> None:
    assert verdict(model_of([greedy_package(**greed)]), tmp_path) == ends


@pytest.mark.parametrize(("count", "ends"), [(5000, LISTED), (200_000, REFUSED)])
def test_one_compiled_op_repeated_stays_within_500_mb(count: int, ends: str, tmp_path: Path) -> None:
    assert verdict(many_ops(count), tmp_path) == ends
