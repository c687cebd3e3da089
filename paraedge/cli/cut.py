"""`cut`: a model as segments, files of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from paraedge.cli.options import JsonOption, ModelArgument
from paraedge.cli.output import emit_json, quantity_bytes, say, table
from paraedge.core.cut import cut as part_of
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph

if TYPE_CHECKING:
    from paraedge.tflite import Segment

NAME_WIDTH = 48
"""Characters shown of a tensor's name, which may join the names of all that was fused into one op."""

At: TypeAlias = Annotated[
    str,
    typer.Option(
        "--at", metavar="OP[,OP...]", help="The ops, as `inspect` numbers them, that a new segment begins at."
    ),
]
Out: TypeAlias = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="DIR", help="Where to write the segments. Default: here.", show_default=False),
]


def cut(model: ModelArgument, at: At, out: Out = Path(), json: JsonOption = False) -> None:
    """Cut a model into segments that run one after another.

    Writes NAME_segment_0_of_3.tflite and so on. Run in sequence, with the values that cross a cut handed on, they give
    bit for bit what the whole model gives with the same kernels. A tensor may pass over a whole segment, so hand values
    on by tensor: the second table and the JSON say what goes where. Ops that share a state can't be parted. Signatures
    and metadata of the whole model, such as labels, are left out.
    """
    from paraedge.tflite import cut_model, parse_graph
    from paraedge.tflite.read import map_file

    cuts = read_cuts(at)
    data = map_file(model)
    graph = parse_graph(data, str(model))
    segments = cut_model(data, cuts, name=str(model))
    paths = [out / f"{model.stem}_segment_{number}_of_{len(segments)}.tflite" for number in range(len(segments))]
    out.mkdir(parents=True, exist_ok=True)
    for path, segment in zip(paths, segments, strict=True):
        _write(path, segment.data)
    rows = [_row(graph, *item) for item in enumerate(zip(segments, paths, strict=True))]
    if json:
        emit_json({"model": model, "cuts": cuts, "segments": rows})
        return
    shown = ("segment", "ops", "macs", "file_bytes", "file")
    table([{name: row[name] for name in shown} for row in rows], shown)
    say()
    table(_crossing(graph, segments))


def read_cuts(text: str) -> list[int]:
    """Numbers of ops parted by commas, in the order given. Raises BadInput for anything else."""
    words = [word.strip() for word in text.split(",")]
    wrong = [word for word in words if not (word.isascii() and word.removeprefix("-").isdigit() and len(word) < 20)]
    if wrong:
        raise BadInput(f"--at takes numbers of ops such as 12 or 12,24, not {short(wrong[0], 40)!r}")
    return [int(word) for word in words]


def _write(path: Path, data: memoryview) -> None:
    """The file, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _row(graph: LayerGraph, number: int, item: tuple[Segment, Path]) -> dict[str, object]:
    segment, path = item
    part = part_of(graph, range(segment.first, segment.end))
    return {
        "segment": number,
        "first": segment.first,
        "end": segment.end,
        "ops": f"{segment.first}-{segment.end - 1}",
        "macs": part.macs,
        "weight_bytes": None if part.is_compiled else part.weight_bytes,
        "file": path,
        "file_bytes": len(segment.data),
        "inputs": [_tensor(graph, i) for i in segment.inputs],
        "outputs": [_tensor(graph, i) for i in segment.outputs],
    }


def _tensor(graph: LayerGraph, number: int) -> dict[str, object]:
    tensor = graph.tensors[number]
    return {
        "tensor": number,
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype,
        "size_bytes": tensor.size_bytes,
    }


def _crossing(graph: LayerGraph, segments: Sequence[Segment]) -> list[dict[str, object]]:
    """Each tensor that the model takes or gives or that crosses a cut: where it comes from and where it goes."""
    maker = {
        i: str(number) for number, segment in enumerate(segments) for i in segment.outputs if i not in graph.inputs
    }
    readers: dict[int, list[str]] = {i: [] for i in (*graph.inputs, *maker)}
    for number, segment in enumerate(segments):
        for i in segment.inputs:
            readers[i].append(str(number))
    for i in dict.fromkeys(graph.outputs):
        readers[i].append("output")
    return [
        {
            "tensor": i,
            "name": short(graph.tensors[i].name, NAME_WIDTH),
            "shape": "x".join(map(str, graph.tensors[i].shape)) or "scalar",
            "dtype": graph.tensors[i].dtype,
            "size": quantity_bytes(graph.tensors[i].size_bytes),
            "from": maker.get(i, "input"),
            "to": ", ".join(where) or "nowhere",
        }
        for i, where in readers.items()
    ]
