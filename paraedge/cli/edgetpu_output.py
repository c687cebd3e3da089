"""What the `edgetpu` commands print of a measurement, a comparison and a diagnosis."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paraedge.cli.output import note, quantity_bytes, say

if TYPE_CHECKING:
    from paraedge.checkup.diagnosis import Cause, Diagnosis
    from paraedge.checkup.selftest import Standing
    from paraedge.core.outcome import Measurement
    from paraedge.core.window import Window


def measured_json(model: Path, measured: Measurement) -> dict[str, object]:
    """The times of a measurement in milliseconds, and its device."""
    latencies = sorted(block.invoke_ns / 1e6 for block in measured.blocks)
    return {
        "model": model,
        "device": measured.device,
        "open_ms": _ms(measured.open_ns),
        "first_ms": _ms(measured.first_ns),
        "latency_median_ms": statistics.median(latencies),
        "latency_min_ms": latencies[0],
        "set_ms": _ms(measured.set_ns),
        "get_ms": _ms(measured.get_ns),
        "samples": len(latencies),
        "temperature_c": measured.temperature_c,
        "warnings": measured.warnings,
    }


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def print_measured(model: Path, measured: Measurement) -> None:
    """The same, for people."""
    info = measured.device
    link = f", {info.link} at {info.link_mbit_per_s or 'unknown'} Mbit/s" if info.link else ""
    runtime = " ".join(filter(None, (info.runtime, info.runtime_version)))
    say(f"{model} on {info.id} ({info.origin.value}{link}, {runtime})")
    values = measured_json(model, measured)
    for name in ("open_ms", "first_ms", "latency_median_ms", "latency_min_ms", "set_ms", "get_ms", "temperature_c"):
        value = values[name]
        say(f"  {name:<18} {value:10.4f}" if isinstance(value, float) else f"  {name:<18}    unknown")
    for warning in measured.warnings:
        say(f"  {warning}")


def note_window(window: Window, for_s: float) -> None:
    """How a sustained run goes."""
    warm = "" if window.temperature_c is None else f", {window.temperature_c:.1f} C"
    note(f"{window.end_s:6.0f} of {for_s:.0f} s: {window.latency_median_ms:.4g} ms{warm}")


def standing_row(one: Standing) -> dict[str, object]:
    """A line of the comparison."""
    return {
        "device": one.device,
        "latency_median_ms": one.latency_median_ms,
        "to_others": one.ratio.value,
        "low": one.ratio.low,
        "high": one.ratio.high,
        "verdict": one.verdict,
    }


def print_diagnoses(found: Sequence[tuple[str, str, Diagnosis]], far: float) -> None:
    """Each result that is far off, or the only one, by model, target and diagnosis; and how many there are."""
    for name, target, one in found:
        if one.far or len(found) == 1:
            print_diagnosis(name, target, one)
    distant = sum(one.far for _, _, one in found)
    say(f"more than {far:g} times off the prediction: {distant} of {len(found)}")


def print_diagnosis(name: str, target: str, found: Diagnosis) -> None:
    """The gap, the causes with the latency that each would lead to, and what is ruled out."""
    for text in found.untimed:
        say(f"the prediction leaves out {text}")
    if not found.predicted_ms:
        say(f"{name} on {target}: measured {found.measured_ms:.4g} ms; no op of it is predicted to run there")
        return
    times = found.measured_ms / found.predicted_ms
    say(
        f"{name} on {target}: measured {found.measured_ms:.4g} ms, predicted {found.predicted_ms:.4g} ms by "
        f"{found.simulated_device} ({times:.2f} times)"
    )
    _print_placement(found)
    if not found.far:
        say("  not far off; nothing to explain")
    elif found.measured_ms < found.predicted_ms:
        say("  faster than predicted, which no fault of the device explains: the prediction is too slow for it")
    else:
        for cause in found.causes:
            _print_cause(cause)
        if found.seen_ms > found.predicted_ms:
            say(f"  all that was seen together: {found.seen_ms:.4g} ms")
        for text in found.ruled_out:
            say(f"  ruled out: {text}")
    say()


def _print_placement(found: Diagnosis) -> None:
    """What is used of the compiler's placement; the prediction keeps its own."""
    if found.placement.source == "compiler":
        compiled, predicted = (
            f"{quantity_bytes(one.on_chip_bytes)} cached, {quantity_bytes(one.off_chip_bytes)} streamed, "
            f"{len(one.on_cpu)} on the CPU"
            for one in (found.placement, found.predicted_placement)
        )
        say(f"  parameters and ops by the compiler: {compiled}; by the prediction: {predicted}")
        say("  the predicted latency is of its own placement; what the compiler did otherwise is among the causes")


def _print_cause(cause: Cause) -> None:
    lead = "no figure" if cause.expected_ms is None else f"alone it would lead to {cause.expected_ms:.4g} ms"
    say(f"  {cause.evidence:<9} {cause.name}: {cause.finding} ({lead}{_share(cause.explains)})")
    say(f"  {'':<9} -> {cause.remedy}")


def _share(explains: float | None) -> str:
    """What of the gap a cause would close, in words where it is not a part of it."""
    if explains is None:
        return ""
    percent = round(100 * explains)
    if percent <= 0:
        return ", none of the gap"
    return f", {percent} % of the gap" if percent <= 100 else ", more than the gap"
