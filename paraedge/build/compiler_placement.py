"""Where the compiler put a model's layers, read from the compiled files themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from paraedge.build.compiler_failures import OpStatus
from paraedge.build.compiler_output import OperatorCount
from paraedge.core.errors import BadModelFile
from paraedge.core.graph import EDGETPU_OP, Layer, LayerGraph
from paraedge.core.outcome import Placement
from paraedge.tflite import read_graph, read_packages

UNSURE = "or on another op, as the names of the tensors don't tell"


def compiler_placement(graph: LayerGraph, files: Iterable[Path], operators: Sequence[OperatorCount]) -> Placement:
    """What the compiler did with `graph`: its compiled file or segments, and its table where it printed one.

    As many layers are on the CPU as the files have ordinary ops; which, `layers_on_cpu` says. The files tell how many
    bytes are cached, not of which layers: on_chip and off_chip are None unless it is all of them or none. Raises
    BadModelFile where no file has a compiled op.
    """
    files = tuple(files)
    packages = [package for file in files for package in read_packages(file)]
    if not packages:
        raise BadModelFile(f"{', '.join(map(str, files))}: no op is compiled for the Edge TPU")
    cached_bytes = sum(package.cached_bytes for package in packages)
    streamed_bytes = sum(package.streamed_bytes for package in packages)
    on_cpu, sure = layers_on_cpu(graph, [read_graph(file) for file in files])
    on_device = tuple(i for i in range(len(graph.layers)) if i not in set(on_cpu))
    parameters = set(graph.parameter_tensors)
    weighted = tuple(i for i in on_device if not parameters.isdisjoint(graph.layers[i].inputs))
    reasons = {i: reason_of(graph.layers[i].op, operators) for i in on_cpu}
    return Placement(
        source="compiler",
        on_device=on_device,
        on_cpu=on_cpu,
        on_chip=weighted if not streamed_bytes else None if cached_bytes else (),
        off_chip=() if not streamed_bytes else None if cached_bytes else weighted,
        on_chip_bytes=cached_bytes,
        off_chip_bytes=streamed_bytes,
        reasons=reasons if sure else {i: f"{reason} ({UNSURE})" for i, reason in reasons.items()},
    )


def layers_on_cpu(graph: LayerGraph, compiled: Sequence[LayerGraph]) -> tuple[tuple[int, ...], bool]:
    """Indices of the layers that the compiled files still make with ordinary ops, and whether it is surely these.

    The compiler keeps the names of what it leaves alone. Where names are missing, shared or changed, so many layers are
    told all the same: the last ones of the same kinds in the same order, else the last ones, as the compiler maps the
    first run of ops that it can.
    """
    ordinary = [(layer, file) for file in compiled for layer in file.layers if layer.custom_code != EDGETPU_OP]
    makers: dict[str, set[int]] = {}
    for i, layer in enumerate(graph.layers):
        for name in _names(graph, layer):
            makers.setdefault(name, set()).add(i)
    named = [{i for name in _names(file, op) for i in makers.get(name, ())} for op, file in ordinary]
    found = {i for op_makers in named for i in op_makers}
    alike = all(
        len(op_makers) == 1 and _kind(graph.layers[min(op_makers)]) == _kind(op)
        for op_makers, (op, _) in zip(named, ordinary, strict=True)
    )
    if alike and len(found) == len(ordinary):
        return tuple(sorted(found)), True
    last = _last_of_kinds(graph, [_kind(op) for op, _ in ordinary])
    return last or tuple(range(len(graph.layers)))[-len(ordinary) :], False


def _last_of_kinds(graph: LayerGraph, kinds: Sequence[tuple[str, str | None]]) -> tuple[int, ...] | None:
    """The last layers that are of these kinds in this order; None where there are none."""
    left, found = list(kinds), []
    for i in reversed(range(len(graph.layers))):
        if left and _kind(graph.layers[i]) == left[-1]:
            left.pop()
            found.append(i)
    return None if left else tuple(reversed(found))


def _kind(layer: Layer) -> tuple[str, str | None]:
    return layer.op, layer.custom_code


def _names(graph: LayerGraph, layer: Layer) -> set[str]:
    """Names of what a layer makes; an unnamed tensor is read as `tensor_` and its number in its file."""
    return {graph.tensors[i].name for i in layer.outputs if graph.tensors[i].name != f"tensor_{i}"}


def reason_of(op: str, operators: Iterable[OperatorCount]) -> str:
    """Why an op of this name is on the CPU, by the compiler's table, which counts ops and doesn't point at one."""
    found = dict.fromkeys(
        line.status.value for line in operators if line.op.upper() == op and line.status is not OpStatus.MAPPED
    )
    return " or ".join(found) or "left on the CPU by the compiler"
