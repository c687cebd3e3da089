"""What `inspect` says of a model compiled for the Edge TPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from paraedge.cli.output import plain, quantity_bytes, say, table
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph

if TYPE_CHECKING:
    from paraedge.tflite import Executable, Package


CLOCK_MHZ: Final = 500
"""Of the Edge TPU at full speed; on USB the `std` runtime halves it."""

HINTS_SHOWN: Final = 12
"""Hints listed for each executable; the JSON has all."""

NAME_WIDTH: Final = 40

SIZES: Final = {
    "cached_bytes": ("parameters cached", "sent once"),
    "streamed_bytes": ("parameters streamed", "sent at every inference"),
    "instruction_bytes": ("instructions", "sent at every inference"),
    "input_bytes": ("input", "sent at every inference"),
    "output_bytes": ("output", "returned at every inference"),
    "scratch_bytes": ("scratch", "outside the chip"),
}


def read_uncompiled(model: Path) -> LayerGraph:
    """The graph of a model file. Raises BadInput for one that is compiled for the Edge TPU: its layers are gone."""
    from paraedge.tflite import read_graph

    graph = read_graph(model)
    if graph.is_compiled:
        raise BadInput(
            f"{model} is compiled already; give the file that it was compiled from (`paraedge inspect` reads this one)"
        )
    return graph


def packages_json(packages: Sequence[Package], graph: LayerGraph) -> dict[str, object]:
    """All of the packages as raw integers, their sums, and the ops left on the CPU."""
    return {
        "totals": _totals(packages),
        "cpu_ops": [{"index": index, "op": name} for index, name in _cpu_ops(packages, graph)],
        "packages": [{**_json_object(package), **_totals([package])} for package in packages],
    }


def print_packages(packages: Sequence[Package], graph: LayerGraph) -> None:
    """A few plain lines, a table of executables, a table of DMA hints."""
    _print_ops(packages, graph)
    totals = _totals(packages)
    for key, (name, when) in SIZES.items():
        value = totals[key] or 0
        say(f"{name:<20} {exact_bytes(value)}, {when}")
    _print_versions(packages, totals["estimated_cycles"])
    executables = [(p.op_index, number, e) for p in packages for number, e in enumerate(p.executables)]
    say()
    table(_executable_row(*place) for place in executables)
    hints = [row for place in executables for row in _hint_rows(*place)]
    say("chunks: pieces that the instructions are sent in")
    if hints:
        say()
        say("DMA hints, the transfers that the compiler expects, in order:")
        table(hints)
    _print_missing_hints([e for _, _, e in executables])
    say()


def exact_bytes(count: int) -> str:
    """`2048 bytes (2.0 KiB)`, and the rounded one only where it says something new."""
    return f"{count} bytes ({quantity_bytes(count)})" if count >= 1024 else f"{count} bytes"


def _totals(packages: Sequence[Package]) -> dict[str, int | None]:
    sizes: dict[str, int | None] = {key: sum(getattr(package, key) for package in packages) for key in SIZES}
    cycles = [package.estimated_cycles for package in packages if package.estimated_cycles is not None]
    return {**sizes, "estimated_cycles": sum(cycles) if len(cycles) == len(packages) else None}


def _json_object(value: object) -> dict[str, object]:
    content = plain(value)
    return content if isinstance(content, dict) else {}


def _cpu_ops(packages: Sequence[Package], graph: LayerGraph) -> list[tuple[int, str]]:
    compiled = {package.op_index for package in packages}
    return [(i, layer.custom_code or layer.op) for i, layer in enumerate(graph.layers) if i not in compiled]


def _print_ops(packages: Sequence[Package], graph: LayerGraph) -> None:
    left = Counter(name for _, name in _cpu_ops(packages, graph))
    say(f"compiled for the Edge TPU: {len(packages)} of {len(graph.layers)} ops in the file")
    names = ", ".join(f"{_printable(name)} ({count})" for name, count in left.items())
    say(f"left on the CPU: {left.total()} of them: {names}" if left else "left on the CPU: none")


def _print_versions(packages: Sequence[Package], cycles: int | None) -> None:
    stated = {package.compiler_version or "" for package in packages}
    versions = {text if any(map(str.isdigit, text)) else "not stated" for text in stated}
    say(f"{'compiler version':<20} {_printable(', '.join(sorted(versions)))}")
    runtimes = sorted({package.minimum_runtime for package in packages})
    say(f"{'minimum runtime':<20} {', '.join(map(str, runtimes))}")
    if cycles is None:
        say(f"{'estimated cycles':<20} none left by the compiler")
    else:
        ms = cycles / (1000 * CLOCK_MHZ)
        say(f"{'estimated cycles':<20} {cycles}, by the compiler: {ms:.3g} ms at {CLOCK_MHZ} MHz, without transfers")
    tokens = {e.parameter_caching_token for package in packages for e in package.executables}
    for token in sorted(token for token in tokens if token is not None):
        say(f"{'caching token':<20} {token}, the same in models compiled together, which share the cache")


def _executable_row(op: int, number: int, executable: Executable) -> dict[str, object]:
    return {
        "op_index": op,
        "executable": number,
        "kind": executable.kind,
        "batch": executable.batch,
        "parameter_bytes": executable.parameter_bytes,
        "instruction_bytes": executable.instruction_bytes,
        "chunks": executable.instruction_chunks,
        "input_bytes": executable.input_bytes,
        "output_bytes": executable.output_bytes,
        "scratch_bytes": executable.scratch_bytes,
        "narrow_bytes_per_tile": executable.narrow_memory_bytes_per_tile,
        "cycles": executable.estimated_cycles,
    }


def _hint_rows(op: int, number: int, executable: Executable) -> list[dict[str, object]]:
    return [
        {
            "op_index": op,
            "executable": number,
            "hint": step,
            "kind": hint.kind,
            "direction": hint.direction or "",
            "size_bytes": hint.size_bytes,
            "name": _printable(hint.name or ""),
        }
        for step, hint in enumerate(executable.dma_hints[:HINTS_SHOWN])
    ]


def _print_missing_hints(executables: Sequence[Executable]) -> None:
    more = sum(max(len(executable.dma_hints) - HINTS_SHOWN, 0) for executable in executables)
    if more:
        say(f"and {more} more hints; --json lists them all")
    if not all(executable.fully_deterministic for executable in executables):
        say("the hints don't name every transfer: the device asks for some itself")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in short(text, NAME_WIDTH))
