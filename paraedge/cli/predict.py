"""`predict`: what a simulated Edge TPU would make of a model file, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from paraedge.cli.compiled import read_uncompiled
from paraedge.cli.options import JsonOption, ModelArgument
from paraedge.cli.output import emit_json, quantity_bytes, say, table
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Placement, Prediction
from paraedge.core.words import op_name, plural

if TYPE_CHECKING:
    from paraedge.simulate import Explanation

MOST_ROWS = 12


def predict(
    model: ModelArgument,
    device: Annotated[
        str,
        typer.Option("--device", "-d", metavar="D", help="A simulated device, or a hardware file of yours (.toml)."),
    ],
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Say what rules, what each streamed layer costs, and the change that would mend it."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Predict a model's latency on a simulated device.

    The latency of one invoke with its 90 % interval, the terms that it is made of, and in which ways the model is
    unlike those that the device was calibrated on. Ops that can't be mapped are placed on the CPU and not timed; they
    are named. The file is one that is not compiled.
    """
    from paraedge import simulate

    if device not in simulate.hardware_names() and not device.endswith(".toml"):
        raise BadInput(f"{device!r} is not a simulated device; there are: {', '.join(simulate.hardware_names())}")
    graph = read_uncompiled(model)
    hardware = simulate.load_hardware(device)
    prediction = simulate.predict(graph, hardware)
    explanation = simulate.explain(prediction, graph, hardware) if why else None
    reasons = simulate.sentences(explanation, prediction, graph) if explanation is not None else []
    if json:
        emit_json(_prediction_json(str(model), prediction, explanation, reasons))
        return
    say(f"{model} on {prediction.device} (simulated): {simulate.latency_text(prediction, graph)}")
    if prediction.placement.on_device:
        _print_parts(prediction)
    _print_untimed(prediction.untimed)
    if prediction.placement.on_device:
        _print_reasons(reasons, explanation, prediction)


def _prediction_json(
    model: str, prediction: Prediction, explanation: Explanation | None, reasons: list[str]
) -> dict[str, object]:
    placement = prediction.placement
    counts = {"layers_on_device": len(placement.on_device), "layers_on_cpu": len(placement.on_cpu)}
    why = {} if explanation is None else {"why": {"sentences": reasons, **_fields(explanation)}}
    return {
        "model": model,
        "origin": "simulated",
        **_fields(prediction),
        "latency_ms": prediction.latency_ms if placement.on_device else None,
        "placement": {**_fields(placement), **counts},
        **why,
    }


def _fields(value: Prediction | Placement | Explanation) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _print_parts(prediction: Prediction) -> None:
    placement = prediction.placement
    if prediction.low_ms is not None and prediction.high_ms is not None:
        say(f"90 % interval {prediction.low_ms:.4g} to {prediction.high_ms:.4g} ms ({prediction.regime})")
    for name, value in prediction.terms.items():
        if name == "cpu_ms" and not value:  # ops on the CPU have no model: 0 would pass for one
            continue
        share = 100 * value / prediction.latency_ms if prediction.latency_ms else 0.0
        say(f"  {name:<16} {value:10.4f}  {share:5.1f} %")
    if prediction.first_ms is not None and placement.on_chip_bytes:
        say(f"first invoke {prediction.first_ms:.4g} ms, cached parameters uploaded")
    mapped = plural(len(placement.on_device), "op")
    say(f"{mapped} on the device, {len(placement.on_cpu)} on the CPU ({placement.source})")
    on_chip, streamed = quantity_bytes(placement.on_chip_bytes), quantity_bytes(placement.off_chip_bytes)
    say(f"parameters on chip {on_chip}, streamed {streamed}")


def _print_untimed(untimed: Sequence[str]) -> None:
    if untimed:
        say("not timed:")
    for text in untimed[:MOST_ROWS]:
        say(f"  {text}")
    if len(untimed) > MOST_ROWS:
        say(f"  {plural(len(untimed) - MOST_ROWS, 'more kind')}; --json lists them all")


def _print_reasons(reasons: list[str], explanation: Explanation | None, prediction: Prediction) -> None:
    if explanation is None:
        for clause in prediction.outside:
            say(f"outside what was calibrated: {clause}")
        return
    say()
    for line in reasons:
        say(line)
    if len(explanation.spilled) > 1:
        say()
        table(_rows(explanation))


def _rows(explanation: Explanation) -> Iterator[dict[str, object]]:
    shown, rest = explanation.spilled[:MOST_ROWS], explanation.spilled[MOST_ROWS:]
    for spill in shown:
        yield _row(op_name(spill.index, spill.op), spill.parameter_bytes, spill.fetches, spill.cost_ms)
    if rest:
        size, cost_ms = sum(spill.parameter_bytes for spill in rest), sum(spill.cost_ms for spill in rest)
        yield _row(f"{len(rest)} more", size, None, cost_ms)


def _row(name: str, size: int, fetches: int | None, cost_ms: float) -> dict[str, object]:
    return {"streamed layer": name, "parameters": quantity_bytes(size), "fetches": fetches, "ms": cost_ms}
