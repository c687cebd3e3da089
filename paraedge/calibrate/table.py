"""A user's measurements as rows: a campaign's runs.csv, or a CSV of model files or of families with a latency each."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os.path
import statistics
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path

from paraedge.archive.meta import META, read_meta
from paraedge.calibrate.lines import Line, read_lines
from paraedge.calibrate.published import COMPILED, LATENCY, SWEEPS
from paraedge.calibrate.row import Row
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models import FAMILIES, build_graph
from paraedge.simulate.constants import Hardware
from paraedge.simulate.predict import predict
from paraedge.simulate.shapes import MIB
from paraedge.tflite import read_graph

RUNS = "runs.csv"
PUBLISHED = (SWEEPS, LATENCY, COMPILED)
MODELS = "models"
CAMPAIGN = frozenset(
    {
        *("spec_id", "family", "precision", "batch", "batch_mode", "device", "origin", "round", "status"),
        *("latency_median_ms", "placement", "placed", "on_chip_bytes", "off_chip_bytes"),
    }
)
"""Columns of a campaign's runs that are read, and by which a table is known to be one."""
OPTIONAL = frozenset({"host", "name", "origin", "on_chip_mib", "off_chip_mib"})
"""Columns that a user's own table may have beside `latency_ms` and the model or family."""
GENERATED = {name: family for name, family in FAMILIES.items() if name != "file"}
PARAMETERS = frozenset(name for family in GENERATED.values() for name in family.params.__dataclass_fields__)
DEVICE = "edgetpu:"
LEAST_MODELS = 3
ONLY_MEASURED = "constants are fitted to measurements, never to simulated numbers"


def read_table(path: Path, base: Hardware, *, device: str | None = None) -> list[Row]:
    """The measurements of one host in a table: a campaign's folder, its runs.csv, or a CSV with column names.

    A campaign: the good rows measured on an edgetpu without ops on the CPU, the rounds of a point combined by median,
    a looped batch's latency by the batch; those of model files of one's own are passed over. A CSV: `latency_ms` of one
    invoke of batch 1, with `model` (an uncompiled .tflite, relative to the CSV's folder) or `family` and its
    parameters, and perhaps `host`, `name`, `on_chip_mib`, `off_chip_mib`. device: which host to take where there are
    several. base: what the rows are to be predicted by.
    Raises BadInput, with file and line, for what can't be read, is simulated, or can't be predicted at all.
    """
    if os.path.isdir(path):
        path = _runs(path)
    header, lines = read_lines(path, appended=CAMPAIGN)
    if set(header) >= CAMPAIGN:
        found = list(_campaign_rows(lines, path))
    else:
        _check_header(header, path)
        found = [_own_row(line, base) for line in lines]
    rows = _one_host(found, device, path)
    models = len({(row.graph.macs, row.graph.weight_bytes) for row in rows})
    if models < LEAST_MODELS:
        raise BadInput(f"{path} has too few models, {models}; calibrating takes {LEAST_MODELS} different ones or more")
    for row in rows:
        left_out = predict(row.graph, base).untimed
        if left_out:
            raise BadInput(
                f"{path.parent / row.source}: {row.name} can't be predicted ({short(left_out[0])}); leave it out"
            )
    return rows


def is_published(folder: Path) -> bool:
    """Whether this holds any of the published tables that the shipped hardware files are made from."""
    return any(os.path.isfile(folder / name) for name in PUBLISHED)


def check_published(folder: Path) -> None:
    """Raise BadInput where a folder isn't that of the published tables, or lacks one of them."""
    missing = [name for name in PUBLISHED if not os.path.isfile(folder / name)]
    missing += [] if os.path.isdir(folder / MODELS) else [f"{MODELS}/"]
    if missing:
        raise BadInput(
            f"{short(folder, 200)} has no {', '.join(missing)}; the folder of the published tables holds "
            f"{', '.join(PUBLISHED)} and {MODELS}/: published measurements, gathered from "
            "Jorgitou98/EdgeTPU-QuantRL-Evaluation, google-coral/cts, google-coral/pycoral and others; "
            "docs/simulator.md names the sources"
        )


def _runs(folder: Path) -> Path:
    if not os.path.lexists(folder / RUNS):
        raise BadInput(
            f"{folder} has no {RUNS}, so it is no campaign, and none of {', '.join(PUBLISHED)}, so it isn't the folder "
            "of the published tables; give either of them, or a CSV of measurements"
        )
    return folder / RUNS


# --- a user's own table ---


def _check_header(header: Sequence[str], path: Path) -> None:
    """Raise BadInput for a column that is missing, or that nobody would read."""
    of_families = "family" in header
    known = {"latency_ms", *OPTIONAL, *({"family", *PARAMETERS} if of_families else {"model"})}
    missing = [name for name in ("family" if of_families else "model", "latency_ms") if name not in header]
    big = [name for name in header if name != name.lower() and name.lower() in {"family", *missing}]
    if big:
        raise BadInput(f"{path}: the column {big[0]!r} must be in small letters, {big[0].lower()!r}")
    if missing:
        right = "latency_ms, and model (a .tflite file) or family and its parameters; or the columns of a campaign"
        raise BadInput(f"{path}: no column {missing[0]!r}; a table of measurements has {right}")
    for name in header:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
            raise BadInput(f"{path}: column {short(name, 40)!r} is unknown; {guess}")


def _own_row(line: Line, base: Hardware) -> Row:
    cells = line.cells
    if cells.get("origin", "") not in ("measured", ""):
        raise line.bad("origin", f"measured: {ONLY_MEASURED}")
    if cells.get("host", "").startswith("sim-"):
        raise line.bad("host", f"a real one: {ONLY_MEASURED}")
    latency_ms = line.latency_ms("latency_ms")
    if "family" in cells:
        spec = _spec(line)
        graph, name, case, series = _network(line, spec), spec.label(), None, spec.family
    else:
        graph, name, case, series = _model(line), cells["model"], cells["model"], "models"
    return Row(
        source=line.source,
        name=cells.get("name") or name,
        host=cells.get("host") or base.name,
        graph=graph,
        latency_ms=latency_ms,
        on_chip_mib=line.amount("on_chip_mib"),
        off_chip_mib=line.amount("off_chip_mib"),
        case=case,
        series=series,
        size=float(graph.macs or 0),
    )


def _model(line: Line) -> LayerGraph:
    if not line.cells["model"]:
        raise line.bad("model", "the path of a .tflite file")
    try:
        graph = _read_model(line.path.parent / line.cells["model"])
    except BadInput as error:
        raise line.error(f"model: {error}") from None
    if graph.is_compiled:
        raise line.bad("model", "the file that it was compiled from, whose layers can be predicted")
    return graph


@functools.lru_cache(maxsize=256)
def _read_model(path: Path) -> LayerGraph:
    return read_graph(path)


def _spec(line: Line) -> ModelSpec:
    """The spec of the family and the parameters in a line; a cell that is empty is a parameter that isn't given."""
    family = GENERATED.get(line.cells["family"])
    if family is None:
        raise line.bad("family", f"one of {', '.join(GENERATED)}; a model file is named in a column model")
    fields = family.params.__dataclass_fields__
    given: dict[str, object] = {}
    for column in sorted(PARAMETERS.intersection(line.cells)):
        if line.cells[column] and column not in fields:
            raise line.bad(column, f"empty: {family.name} takes {', '.join(fields)}")
        if line.cells[column]:
            given[column] = _parameter(line, column, fields[column].metadata["kind"])
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in given:
            raise line.error(f"{name} is missing; {family.name} needs it")
    try:
        return ModelSpec(family=family.name, params=family.params(**given))  # type: ignore[arg-type]
    except BadInput as error:
        raise line.error(str(error)) from None


def _parameter(line: Line, column: str, kind: str) -> object:
    text = line.cells[column]
    if kind == "choice":
        return text
    if kind == "count":
        return line.whole(column)
    parts = text.split("x")
    if not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):
        raise line.bad(column, "whole numbers with an x between them, as 512x512x10")
    return tuple(map(int, parts))


def _network(line: Line, spec: ModelSpec) -> LayerGraph:
    try:
        return build_graph(spec)
    except BadInput as error:
        raise line.error(str(error)) from None


# --- a campaign ---


def _campaign_rows(lines: Iterable[Line], path: Path) -> Iterator[Row]:
    """A row a point; the last attempt of each round counts."""
    alone = (line for line in lines if not line.cells.get("segments"))  # a pipeline's time is not one invoke's
    last = {tuple(line.cells[key] for key in ("spec_id", "device", "round")): line for line in alone}
    points: dict[tuple[str, str], list[Line]] = {}
    for (spec_id, device, _), line in last.items():
        if device.startswith(DEVICE) and _is_good(line):
            points.setdefault((spec_id, device), []).append(line)
    if not points:
        simulated = any(line.cells["origin"] == "simulated" for line in last.values())
        why = f"it has simulated rows, but {ONLY_MEASURED}" if simulated else "`paraedge run SWEEP -d edgetpu:0` does"
        raise BadInput(f"{path} has no good row that was measured on an edgetpu; {why}")
    _refuse_made_up(path.parent, {device for _, device in points})
    yield from map(_point, points.values())


def _refuse_made_up(folder: Path, devices: Set[str]) -> None:
    """Raise BadInput where a device was found in files that imitate a host's, for tests of this program."""
    infos = read_meta(folder).get("devices") if os.path.isfile(folder / META) else None
    for device, info in infos.items() if isinstance(infos, dict) else ():
        details = info.get("details") if isinstance(info, dict) else None
        told = str(details.get("sysfs", "")) if isinstance(details, dict) else ""
        if device.partition(" ")[0] in devices and told.startswith("made up"):
            raise BadInput(f"{folder / META} says that {device} is no real device (sysfs: {short(told, 100)})")


def _is_good(line: Line) -> bool:
    """Measured, of a network that we generate, and no op of it on the CPU, whose speed is the host's."""
    cells = line.cells
    good = cells["status"] == "ok" and cells["family"] != "file"
    return good and cells["origin"] == "measured" and "on_cpu=" not in cells["placed"]


def _point(rounds: Sequence[Line]) -> Row:
    line = rounds[0]
    if line.cells["precision"] != "int8":
        raise line.bad("precision", "int8: an Edge TPU computes nothing else")
    batch, looped = line.whole("batch"), line.cells["batch_mode"] == "looped"
    spec = dataclasses.replace(_spec(line), batch=1 if looped else batch)
    latency_ms = statistics.median(each.latency_ms("latency_median_ms") for each in rounds)
    graph = _network(line, spec)
    told = line.cells["placement"] == "compiler"
    return Row(
        source=line.source,
        name=spec.label(),
        host=line.cells["device"],
        graph=graph,
        latency_ms=latency_ms / batch if looped else latency_ms,
        on_chip_mib=_mib(line.amount("on_chip_bytes")) if told else None,
        off_chip_mib=_mib(line.amount("off_chip_bytes")) if told else None,
        series=spec.family,
        size=float(graph.macs or 0),
    )


def _mib(count_bytes: float | None) -> float | None:
    return None if count_bytes is None else count_bytes / MIB


# --- any table ---


def _one_host(rows: Sequence[Row], device: str | None, path: Path) -> list[Row]:
    hosts = list(dict.fromkeys(row.host for row in rows))
    if device is None and len(hosts) > 1:
        raise BadInput(f"{path} has rows of {short(', '.join(hosts), 200)}; choose one with --device")
    if device is not None and device not in hosts:
        raise BadInput(f"{path} has no rows of {device!r}; it has those of {short(', '.join(hosts), 200)}")
    return [row for row in rows if device in (None, row.host)]
