"""`inspect` and `predict`: what is in a model file, and what an Edge TPU would make of it."""

from __future__ import annotations

from typing import Annotated

import typer

from paraedge.cli.options import JsonOption, ModelArgument
from paraedge.cli.output import cell, emit_json, quantity_bytes, say, table
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Prediction


def inspect(model: ModelArgument, json: JsonOption = False) -> None:
    """List a model's ops with shapes, MACs, bytes and intensity.

    MACs are empty for ops that are unknown, custom ones among them.
    """
    from paraedge.tflite import read_graph

    graph = read_graph(model)
    ops = [_op(graph, number) for number in range(len(graph.layers))]
    totals = _totals(graph)
    if json:
        sides = {"inputs": _tensors(graph, graph.inputs), "outputs": _tensors(graph, graph.outputs)}
        emit_json({"model": model, "file_bytes": model.stat().st_size, **sides, "ops": ops, "totals": totals})
        return
    table(map(_op_for_people, ops))
    _print_totals(totals)


def predict(
    model: ModelArgument,
    device: Annotated[
        str,
        typer.Option("--device", "-d", metavar="D", help="A simulated device, or a hardware file of yours (.toml)."),
    ],
    why: Annotated[
        bool, typer.Option("--why", help="Say which term rules, what spilled and costs, what is on the CPU.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Predict a model's latency on a simulated device.

    The latency of one invoke and the terms that it is made of. Ops that can't be mapped are placed on the CPU; what
    can't be timed is named, and the latency is then a lower bound.
    """
    from paraedge import simulate
    from paraedge.tflite import read_graph

    if device not in simulate.hardware_names() and not device.endswith(".toml"):
        raise BadInput(f"{device!r} is not a simulated device; there are: {', '.join(simulate.hardware_names())}")
    graph = read_graph(model)
    hardware = simulate.load_hardware(device)
    prediction = simulate.predict(graph, hardware)
    reasons = simulate.explain(prediction, graph) if why else None
    if json:
        emit_json(_prediction_json(str(model), prediction, reasons))
    else:
        _print_prediction(str(model), prediction)
        for line in reasons or ():
            say(str(line))


def _op(graph: LayerGraph, number: int) -> dict[str, object]:
    layer = graph.layers[number]
    parameters = {i for i in layer.inputs if i in set(graph.parameter_tensors)}
    weights = sum(graph.tensors[i].size_bytes or 0 for i in parameters)
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
        "ops_per_byte": _ratio(macs, weights + activations),
    }


def _op_for_people(op: dict[str, object]) -> dict[str, object]:
    shown = {**op, "inputs": _shapes(op["inputs"]), "outputs": _shapes(op["outputs"])}
    custom = shown.pop("custom_code")
    return shown if custom is None else {**shown, "op": f"{op['op']} {custom}"}


def _totals(graph: LayerGraph) -> dict[str, object]:
    """Sums over the graph. Intensity is never given without the bytes it is over."""
    moved = graph.weight_bytes + graph.activation_bytes
    return {
        "ops": len(graph.layers),
        "macs": graph.macs,
        "unknown_ops": sorted({_name(graph, i) for i, macs in enumerate(graph.macs_by_layer) if macs is None}),
        "parameters": graph.parameters,
        "weight_bytes": graph.weight_bytes,
        "activation_bytes": graph.activation_bytes,
        "input_bytes": graph.input_bytes,
        "output_bytes": graph.output_bytes,
        "intensity": {
            "weights_ops_per_byte": _ratio(graph.macs, graph.weight_bytes),
            "weights_and_activations_ops_per_byte": _ratio(graph.macs, moved),
        },
    }


def _name(graph: LayerGraph, number: int) -> str:
    layer = graph.layers[number]
    return layer.custom_code or layer.op


def _ratio(macs: int | None, count_bytes: int) -> float | None:
    return 2 * macs / count_bytes if macs is not None and count_bytes else None


def _tensors(graph: LayerGraph, ids: tuple[int, ...]) -> list[dict[str, object]]:
    chosen = [graph.tensors[i] for i in ids]
    return [{"name": t.name, "shape": list(t.shape), "dtype": t.dtype} for t in chosen]


def _shapes(shapes: object) -> str:
    return " ".join("x".join(map(str, shape)) or "scalar" for shape in shapes) if isinstance(shapes, list) else ""


def _print_totals(totals: dict[str, object]) -> None:
    say()
    for name in ("macs", "parameters"):
        say(f"{name:<17} {cell(totals[name]) or 'unknown'}")
    for name in ("weight_bytes", "activation_bytes", "input_bytes", "output_bytes"):
        value = totals[name]
        say(f"{name:<17} {value} ({quantity_bytes(value if isinstance(value, int) else None)})")
    intensity = totals["intensity"]
    if isinstance(intensity, dict):
        over_weights, over_both = (cell(value) or "unknown" for value in intensity.values())
        say(f"{'intensity':<17} {over_weights} ops/byte of weights, {over_both} ops/byte of weights and activations")
    unknown = totals["unknown_ops"]
    if isinstance(unknown, list) and unknown:
        say(f"{'MACs unknown for':<17} {', '.join(unknown)}")


def _prediction_json(model: str, prediction: Prediction, reasons: object) -> dict[str, object]:
    placement = prediction.placement
    why = {} if reasons is None else {"why": reasons}
    return {
        "model": model,
        "device": prediction.device,
        "origin": "simulated",
        "latency_ms": prediction.latency_ms if placement.on_device else None,
        "first_ms": prediction.first_ms,
        "terms": prediction.terms,
        "untimed": prediction.untimed,
        "instruction_bytes": prediction.instruction_bytes,
        "link_bytes": prediction.link_bytes,
        "placement": {
            **vars_of(placement),
            "layers_on_device": len(placement.on_device),
            "layers_on_cpu": len(placement.on_cpu),
        },
        **why,
    }


def vars_of(value: object) -> dict[str, object]:
    """The fields of a dataclass, unconverted."""
    import dataclasses

    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]


def _print_prediction(model: str, prediction: Prediction) -> None:
    placement = prediction.placement
    bound = "at least " if prediction.untimed else ""
    latency = f"{bound}{prediction.latency_ms:.4g} ms an invoke" if placement.on_device else "no op can run on it"
    say(f"{model} on {prediction.device} (simulated): {latency}")
    for name, value in prediction.terms.items():
        share = 100 * value / prediction.latency_ms if prediction.latency_ms else 0.0
        say(f"  {name:<16} {value:10.4f}  {share:5.1f} %")
    if prediction.first_ms is not None:
        say(f"first invoke {prediction.first_ms:.4g} ms, cached parameters uploaded")
    say(f"{len(placement.on_device)} ops on the device, {len(placement.on_cpu)} on the CPU ({placement.source})")
    on_chip, streamed = quantity_bytes(placement.on_chip_bytes), quantity_bytes(placement.off_chip_bytes)
    say(f"parameters on chip {on_chip}, streamed {streamed}")
    for gap in prediction.untimed:
        say(f"not timed: {gap}")
