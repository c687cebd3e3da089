"""`inspect`: what is in a model file."""

from __future__ import annotations

from paraedge.cli.compiled import exact_bytes, packages_json, print_packages
from paraedge.cli.options import JsonOption, ModelArgument
from paraedge.cli.output import cell, emit_json, say, table
from paraedge.core.graph import EDGETPU_OP, LayerGraph


def inspect(model: ModelArgument, json: JsonOption = False) -> None:
    """List a model's ops with shapes, MACs, bytes and intensity.

    MACs are empty for ops that are unknown, custom ones among them. Of a model compiled for the Edge TPU, whose layers
    are gone, what the compiler put into it: bytes cached, streamed and sent at each inference, for each executable.
    """
    from paraedge.tflite import read_graph, read_packages

    graph, packages = read_graph(model), read_packages(model)
    ops = [_op(graph, number) for number in range(len(graph.layers))]
    totals = _totals(graph)
    if json:
        sides = {"inputs": _tensors(graph, graph.inputs), "outputs": _tensors(graph, graph.outputs)}
        compiled = {"edgetpu": packages_json(packages, graph)} if packages else {}
        content = {**sides, **compiled, "ops": ops, "totals": totals}
        emit_json({"model": model, "file_bytes": model.stat().st_size, **content})
        return
    if packages:
        print_packages(packages, graph)
    table(map(_op_for_people, ops))
    _print_totals(totals, "unknown: inside the compiled op" if packages else "unknown")


def _op(graph: LayerGraph, number: int) -> dict[str, object]:
    layer = graph.layers[number]
    parameters = {i for i in layer.inputs if i in set(graph.parameter_tensors)}
    weights = None if layer.custom_code == EDGETPU_OP else sum(graph.tensors[i].size_bytes or 0 for i in parameters)
    values = [i for i in dict.fromkeys((*layer.inputs, *layer.outputs)) if i >= 0 and graph.tensors[i].weights is None]
    activations = sum(graph.tensors[i].size_bytes or 0 for i in values)
    macs = graph.macs_by_layer[number]
    return {
        "index": number,
        "op": layer.op,
        "custom_code": layer.custom_code,
        "version": layer.version,
        "inputs": [list(graph.tensors[i].shape) for i in layer.inputs if i >= 0 and i not in parameters],
        "outputs": [list(graph.tensors[i].shape) for i in layer.outputs if i >= 0],
        "macs": macs,
        "weight_bytes": weights,
        "activation_bytes": activations,
        "ops_per_byte": _ratio(macs, None if weights is None else weights + activations),
    }


def _op_for_people(op: dict[str, object]) -> dict[str, object]:
    shown = {**op, "inputs": _shapes(op["inputs"]), "outputs": _shapes(op["outputs"])}
    custom = shown.pop("custom_code")
    return shown if custom is None else {**shown, "op": f"{op['op']} {custom}"}


def _totals(graph: LayerGraph) -> dict[str, object]:
    """Sums over the graph. Intensity is never given without the bytes it is over.

    What a compiled op holds is unknown here, so the sums that it belongs to are None.
    """
    known = not graph.is_compiled
    weights = graph.weight_bytes if known else None
    return {
        "ops": len(graph.layers),
        "macs": graph.macs,
        "unknown_ops": sorted({_name(graph, i) for i, macs in enumerate(graph.macs_by_layer) if macs is None}),
        "parameters": graph.parameters if known else None,
        "weight_bytes": weights,
        "activation_bytes": graph.activation_bytes,
        "input_bytes": graph.input_bytes,
        "output_bytes": graph.output_bytes,
        "intensity": {
            "weights_ops_per_byte": _ratio(graph.macs, weights),
            "weights_and_activations_ops_per_byte": _ratio(
                graph.macs, None if weights is None else weights + graph.activation_bytes
            ),
        },
    }


def _name(graph: LayerGraph, number: int) -> str:
    layer = graph.layers[number]
    return layer.custom_code or layer.op


def _ratio(macs: int | None, count_bytes: int | None) -> float | None:
    return 2 * macs / count_bytes if macs is not None and count_bytes else None


def _tensors(graph: LayerGraph, ids: tuple[int, ...]) -> list[dict[str, object]]:
    chosen = [graph.tensors[i] for i in ids]
    return [{"name": t.name, "shape": list(t.shape), "dtype": t.dtype} for t in chosen]


def _shapes(shapes: object) -> str:
    return " ".join("x".join(map(str, shape)) or "scalar" for shape in shapes) if isinstance(shapes, list) else ""


def _print_totals(totals: dict[str, object], unknown: str) -> None:
    """Each sum with `unknown` in place of one that is None."""
    say()
    for name in ("macs", "parameters"):
        say(f"{name:<17} {cell(totals[name]) or unknown}")
    for name in ("weight_bytes", "activation_bytes", "input_bytes", "output_bytes"):
        value = totals[name]
        say(f"{name:<17} {exact_bytes(value) if isinstance(value, int) else unknown}")
    ratios = totals["intensity"]
    if isinstance(ratios, dict):
        bases = ("weights", "weights and activations")
        known = [
            f"{cell(value)} ops/byte of {base}" for base, value in zip(bases, ratios.values(), strict=True) if value
        ]
        if known:
            say(f"{'intensity':<17} {', '.join(known)}")
    names = totals["unknown_ops"]
    others = [name for name in names if name != EDGETPU_OP] if isinstance(names, list) else []
    if others:
        say(f"{'MACs unknown for':<17} {', '.join(others)}")
