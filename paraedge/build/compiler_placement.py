"""Where the compiler put a model's layers, read from the compiled files themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from paraedge.build.compiler_failures import OpStatus
from paraedge.build.compiler_output import OperatorCount
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Placement
from paraedge.tflite import read_graph, read_packages
from paraedge.tflite.executable import CUSTOM_CODE


def compiler_placement(graph: LayerGraph, files: Iterable[Path], operators: Sequence[OperatorCount]) -> Placement:
    """What the compiler did with `graph`: its compiled file or segments, and its table where it printed one.

    A layer is on the CPU if one of its outputs, known by its name, is still made by an ordinary op; the compiler keeps
    the names of what it leaves alone. It tells how many bytes are cached, not of which layers: on_chip and off_chip
    are None unless it is all of them or none. Raises BadModelFile for a file that is no compiled model.
    """
    left: set[str] = set()
    cached_bytes = streamed_bytes = 0
    for file in files:
        left |= names_made_on_cpu(read_graph(file))
        packages = read_packages(file)
        cached_bytes += sum(package.cached_bytes for package in packages)
        streamed_bytes += sum(package.streamed_bytes for package in packages)
    on_cpu = tuple(i for i in range(len(graph.layers)) if not left.isdisjoint(_outputs(graph, i)))
    on_device = tuple(i for i in range(len(graph.layers)) if i not in set(on_cpu))
    parameters = set(graph.parameter_tensors)
    weighted = tuple(i for i in on_device if not parameters.isdisjoint(graph.layers[i].inputs))
    return Placement(
        source="compiler",
        on_device=on_device,
        on_cpu=on_cpu,
        on_chip=weighted if not streamed_bytes else None if cached_bytes else (),
        off_chip=() if not streamed_bytes else None if cached_bytes else weighted,
        on_chip_bytes=cached_bytes,
        off_chip_bytes=streamed_bytes,
        reasons={i: reason_of(graph.layers[i].op, operators) for i in on_cpu},
    )


def names_made_on_cpu(compiled: LayerGraph) -> set[str]:
    """Names of the tensors that a compiled model makes with ordinary ops."""
    ordinary = [layer for layer in compiled.layers if layer.custom_code != CUSTOM_CODE]
    return {compiled.tensors[i].name for layer in ordinary for i in layer.outputs}


def reason_of(op: str, operators: Iterable[OperatorCount]) -> str:
    """Why an op of this name is on the CPU, by the compiler's table, which counts ops and doesn't point at one."""
    found = dict.fromkeys(
        line.status.value for line in operators if line.op.upper() == op and line.status is not OpStatus.MAPPED
    )
    return " or ".join(found) or "left on the CPU by the compiler"


def _outputs(graph: LayerGraph, index: int) -> set[str]:
    return {graph.tensors[i].name for i in graph.layers[index].outputs}
