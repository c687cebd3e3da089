"""`edgetpu`: measure one compiled file, compare devices, and explain a result far from its prediction."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paraedge.cli import edgetpu_output as output
from paraedge.cli.options import JsonOption, ModelArgument, campaign_folder, example
from paraedge.cli.output import duration, emit_json, note, say, table
from paraedge.core.device import MeasureSettings
from paraedge.core.errors import BadInput, ParaedgeError

if TYPE_CHECKING:
    from paraedge.checkup.diagnosis import Diagnosis
    from paraedge.checkup.place import Place
    from paraedge.core.outcome import Job, Measurement
    from paraedge.core.window import Window

app = typer.Typer(help="Measure and compare real Edge TPUs.", no_args_is_help=True)

TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h)?")
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, None: 1.0}
MOST_S = 7 * 86400.0

CpuOpsOption = Annotated[
    bool, typer.Option("--allow-cpu-ops", help="Measure the model though some of its ops are left on the CPU.")
]


@app.command(
    epilog=example(
        "paraedge edgetpu run mobilenet_edgetpu.tflite", "paraedge edgetpu run m_edgetpu.tflite --sustain 600s"
    )
)
def run(
    model: ModelArgument,
    device: Annotated[str, typer.Option("--device", "-d", metavar="D", help="What to measure on.")] = "edgetpu:0",
    sustain: Annotated[
        str | None,
        typer.Option("--sustain", metavar="TIME", help="Invoke without pause for so long: 600s, 10min, 1h."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="CSV file of --sustain. Default: MODEL-sustain.csv."),
    ] = None,
    allow_cpu_ops: CpuOpsOption = False,
    json: JsonOption = False,
) -> None:
    """Measure one model file: opening, first invoke, steady state.

    The file is a compiled one, or with `--device cpu` one that is not. With --sustain, latency and temperature over
    time go to a CSV file, a line a second; Ctrl-C ends it early and keeps what was written.
    """
    for_s = None if sustain is None else _seconds(sustain)
    path = out if out is not None else Path(f"{model.stem}-sustain.csv")
    if for_s is not None and os.path.lexists(path):
        raise BadInput(f"{path} is there already; name another file with --out")
    from paraedge import checkup

    place, job = checkup.place_and_job(device, model)
    settings = MeasureSettings(rounds=1, time_budget_s=2.0, allow_cpu_ops=allow_cpu_ops)
    with checkup.hold([place]):
        measured = _measured(place, job, settings)
        if not json:
            output.print_measured(model, measured)
        if for_s is not None:
            _sustain(place, job, settings, for_s, path, output.measured_json(model, measured) if json else None)
        elif json:
            emit_json(output.measured_json(model, measured))


@app.command(epilog=example("paraedge edgetpu selftest --model mobilenet_edgetpu.tflite"))
def selftest(
    model: Annotated[
        Path | None,
        typer.Option("--model", metavar="MODEL", help="A compiled file. Default: a small network, compiled here."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", "-d", metavar="D", help="A device to compare; default: every edgetpu."),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Visits of each device; 3 or more.")] = 6,
    json: JsonOption = False,
) -> None:
    """Compare devices on one model, and name the slow one.

    Every round visits each device in a fresh process and in a new order. Differences below 3 % are noise.
    """
    import tempfile

    from paraedge import checkup
    from paraedge.checkup import selftest as test
    from paraedge.tflite import read_graph

    if model is not None:
        read_graph(model)  # a slip in its name shows before a device that is not here
    names = list(dict.fromkeys(device)) if device else _all_edgetpus()
    places = [checkup.place_of(name) for name in names]
    if len(places) < 2:
        raise BadInput(f"a comparison needs two devices or more, here is {', '.join(names)}; name others with --device")
    with tempfile.TemporaryDirectory(prefix="paraedge-") as scratch:
        path = model if model is not None else checkup.compiled_probe(Path(scratch))
        medians = _medians(places, path, rounds, quiet=json)
    standings = test.compare(medians)
    if json:
        emit_json({"rounds_ms": medians, "standings": standings, "conclusion": test.conclusion(standings)})
        return
    table(map(output.standing_row, standings))
    say(f"\n{test.conclusion(standings)}")


@app.command(
    epilog=example("paraedge edgetpu diagnose results/mine", "paraedge edgetpu diagnose net.tflite --measured-ms 12")
)
def diagnose(
    what: Annotated[Path, typer.Argument(metavar="CAMPAIGN|MODEL", help="A campaign, or a model before compiling.")],
    measured_ms: Annotated[
        float | None, typer.Option("--measured-ms", metavar="MS", help="Of one invoke of MODEL; above 0.")
    ] = None,
    device: Annotated[
        str,
        typer.Option("--device", "-d", metavar="D", help="What MODEL ran on; a sim-edgetpu-... where that isn't here."),
    ] = "edgetpu:0",
    compiled: Annotated[
        Path | None, typer.Option("--compiled", metavar="FILE", help="MODEL compiled, for the compiler's placement.")
    ] = None,
    far: Annotated[
        float, typer.Option("--far", metavar="FACTOR", min=1, help="Beyond this factor a result is far off.")
    ] = 1.5,
    json: JsonOption = False,
) -> None:
    """Explain results that are far from their predictions.

    Of a campaign: each point measured on an edgetpu. Of a model: the latency given. Causes that the host shows come
    first, then those that nothing rules out, each with the latency that it would lead to. A simulated device stands for
    an edgetpu elsewhere, of whose host nothing is known.
    """
    if measured_ms is not None:
        found = [(str(what), device, _diagnose_model(what, measured_ms, device, compiled, far))]
    elif what.is_file():
        raise BadInput(f"{what} is a file: give the latency to explain with --measured-ms, or name a campaign's folder")
    else:
        from paraedge.checkup.rows import diagnose_campaign

        points = diagnose_campaign(campaign_folder(what), far=far)
        found = [(spec.label(), target, diagnosis) for spec, target, diagnosis in points]
    if json:
        emit_json([{"model": name, "target": target, **vars(one)} for name, target, one in found])
    else:
        output.print_diagnoses(found, far)


def _seconds(text: str) -> float:
    match = TIME.fullmatch(text.strip())
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if not 0 < seconds <= MOST_S:
        raise BadInput(f"--sustain {text!r}: give a time above 0 and up to a week, as 600s, 10min or 1h")
    return seconds


def _all_edgetpus() -> list[str]:
    from paraedge.devices import registry

    names = [name for name, (driver, _) in registry.present().items() if driver.name == "edgetpu"]
    if not names:
        registry.find("edgetpu:0")  # raises, with the reason and the remedy
    return names


def _medians(places: Sequence[Place], model: Path, rounds: int, *, quiet: bool) -> dict[str, list[float]]:
    """Each device's medians, one a round; raises ParaedgeError where one fails."""
    from paraedge.checkup import model_job
    from paraedge.checkup.selftest import visit_all

    jobs = {place.info.id: model_job(model, place.driver) for place in places}
    settings = MeasureSettings(rounds=rounds, time_budget_s=1.0)
    medians: dict[str, list[float]] = {device: [] for device in jobs}
    for visited in visit_all(places, jobs, settings, rounds):
        if visited.latency_median_ms is None:
            raise ParaedgeError(f"{visited.device}, round {visited.round}: {visited.error}")
        medians[visited.device].append(visited.latency_median_ms)
        if not quiet:
            note(f"round {visited.round}: {visited.device} {visited.latency_median_ms:.4g} ms")
    return medians


def _measured(place: Place, job: Job, settings: MeasureSettings) -> Measurement:
    from paraedge import run as running
    from paraedge.core.outcome import Measurement

    (outcome,) = running.visit(place.driver, place.target, iter([job]), settings)
    if not isinstance(outcome, Measurement):
        raise ParaedgeError(f"{place.target.label()}: {outcome.text()}")
    return outcome


def _sustain(
    place: Place, job: Job, settings: MeasureSettings, for_s: float, path: Path, before: dict[str, object] | None
) -> None:
    """Record a sustained run and say how it went; `before` is what the JSON begins with, None for people."""
    from paraedge.checkup import sustain

    windows, ended_by = _recorded(place, job, settings, for_s, path, quiet=before is not None)
    stopped, failed = isinstance(ended_by, KeyboardInterrupt), isinstance(ended_by, ParaedgeError)
    found = sustain.drift(windows)
    trip = place.info.details.get("trip_c")
    verdict = sustain.conclusion(found, float(trip) if trip else None) if found else "Too short to say anything."
    if before is not None:
        error = str(ended_by) if failed else None
        told = {"file": path, "drift": found, "conclusion": verdict, "stopped": stopped, "error": error}
        emit_json({**before, "sustain": told})
    else:
        say(f"{len(windows)} windows in {path}\n{verdict}")
    if stopped:
        note(f"stopped after {duration(windows[-1].end_s if windows else 0)} of {duration(for_s)}")
        raise typer.Exit(1)
    if ended_by is not None:
        raise ended_by


def _recorded(
    place: Place, job: Job, settings: MeasureSettings, for_s: float, path: Path, *, quiet: bool
) -> tuple[list[Window], KeyboardInterrupt | ParaedgeError | None]:
    """The windows of a sustained run, as far as it went, and what ended it early: Ctrl-C, or the device's error."""
    from paraedge import run as running
    from paraedge.checkup import sustain

    windows: list[Window] = []
    running_on = running.sustain(place.driver, place.target, job, settings, for_s=for_s)
    try:
        with contextlib.closing(running_on):
            for window in sustain.record(path, place.info, running_on):
                windows.append(window)
                if not quiet:
                    output.note_window(window, for_s)
    except BadInput:  # nothing was run
        raise
    except (KeyboardInterrupt, ParaedgeError) as ended_by:
        return windows, ended_by
    return windows, None


def _diagnose_model(model: Path, measured_ms: float, device: str, compiled: Path | None, far: float) -> Diagnosis:
    from paraedge import checkup
    from paraedge.checkup.diagnosis import diagnose
    from paraedge.checkup.place import edgetpu_info
    from paraedge.tflite import read_graph

    if not 0 < measured_ms < math.inf:
        raise BadInput(f"--measured-ms {measured_ms:g}: give the latency of one invoke, above 0")
    graph = read_graph(model)
    if graph.is_compiled:
        raise BadInput(f"{model} is compiled; give the model that it was compiled from, and this one as --compiled")
    placement = checkup.placement_of(model, graph, compiled) if compiled is not None else None
    return diagnose(measured_ms, graph, edgetpu_info(device), placement=placement, far=far)
