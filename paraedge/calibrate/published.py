"""The published tables: every row whose network can be rebuilt, as `Row`s. The tables are not ours to ship."""

from __future__ import annotations

import functools
import itertools
import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from paraedge import models
from paraedge.calibrate.lines import Line, read_lines
from paraedge.calibrate.row import PipelineRow, Row
from paraedge.core.cut import cut
from paraedge.core.errors import BadInput, short
from paraedge.core.graph import LayerGraph
from paraedge.core.spec import ModelSpec
from paraedge.models.conv_stack import ConvStackParams
from paraedge.models.fc import FcParams
from paraedge.models.zoo import ZooParams, as_uint8
from paraedge.simulate.parameters import parameter_mib

SWEEPS, LATENCY, COMPILED = "synthetic_sweeps.csv", "latency.csv", "compiled_models.csv"
FIGURE = re.compile(r"\d+(\.\d+)?(e-?\d{1,2})?")
SWEEP_HOST = "sim-edgetpu-pcie"
KINDS = ("FC", "CONV")
SINGLE_CHANNELS, PIPELINE_CHANNELS = 3, 8
"""Channels of the CONV sweeps' input: 3 on one device, 8 on two (their MACs tell)."""

ZOO = {
    "MobileNetV1_25": ZooParams(model="mobilenet_v1", width=25, image=128),
    "MobileNetV1_50": ZooParams(model="mobilenet_v1", width=50, image=160),
    "MobileNetV1_75": ZooParams(model="mobilenet_v1", width=75, image=192),
    "MobileNetV1": ZooParams(model="mobilenet_v1", width=100, image=224),
    "MobileNetV2": ZooParams(model="mobilenet_v2"),
    "InceptionV3": ZooParams(model="inception_v3"),
}
"""Models of the compatibility suite (google-coral/cts) that `models.zoo` has."""

ALIASES = {
    "mobilenet_v1_1.0_224_quant_edgetpu.tflite": "MobileNetV1",
    "mobilenet_v2_1.0_224_quant_edgetpu.tflite": "MobileNetV2",
}
"""The same models under the names of the Python reference times (google-coral/pycoral)."""

HOSTS = (
    ("google-coral/cts:example_outputs/x86_64+USBStick", "x86_64", "sim-edgetpu-usb3", "sim-edgetpu-usb3"),
    ("google-coral/cts:example_outputs/DevBoard", "Coral Dev Board,", "sim-edgetpu-devboard", "sim-edgetpu-devboard"),
    ("google-coral/cts:example_outputs/DevBoard", "Coral Dev Board Mini", "sim-edgetpu-usb2", "sim-edgetpu-usb2"),
    ("google-coral/cts:example_outputs/MacOS", "macOS", "macOS, USB 3", "sim-edgetpu-usb3"),
    ("google-coral/cts:example_outputs/Windows", "Windows", "Windows, PCIe", "sim-edgetpu-devboard"),
    ("google-coral/pycoral", "Intel Xeon", "Xeon E5, USB 3", "sim-edgetpu-usb3"),
    ("google-coral/pycoral", "Raspberry Pi 4B", "Raspberry Pi 4B, USB 3", "sim-edgetpu-usb3"),
    ("google-coral/pycoral", "Raspberry Pi 3B v", "Raspberry Pi 3B, USB 2", "sim-edgetpu-usb2"),
    ("google-coral/pycoral", "Raspberry Pi 3B+", "Raspberry Pi 3B+, USB 2", "sim-edgetpu-usb2"),
    ("google-coral/pycoral", "Coral Dev Board", "Dev Board in Python, PCIe", "sim-edgetpu-devboard"),
)
"""Beginnings of source and host, the name that the rows go by, and the device that has the same interface."""
PRUNED = re.compile(r"off-chip (?P<mib>[0-9]*\.?[0-9]+) MiB")
INTERFACE_OF = {SWEEP_HOST: SWEEP_HOST, **{name: base for _, _, name, base in HOSTS}}
"""The device whose file a host's constants begin from."""


def published_rows(folder: Path) -> list[Row]:
    """Single-device rows of both sweeps and the compatibility suite's rows of zoo models; raises BadInput."""
    sweeps = list(_sweep_rows(folder / SWEEPS))
    if not sweeps:
        raise BadInput(f"{folder / SWEEPS} has no row of one device; the sweeps' points have 1 in the column tpus")
    return [*sweeps, *_suite_rows(folder / LATENCY)]


def pipeline_rows(folder: Path) -> list[PipelineRow]:
    """Two-device rows of both sweeps; raises BadInput.

    Where a row was cut isn't told; of the possible cuts the one whose segments' bytes are nearest is taken.
    """
    found: list[PipelineRow] = []
    for line in read_lines(folder / SWEEPS)[1]:
        if line.text("tpus") != "1":
            graph = _sweep_network(line, PIPELINE_CHANNELS)
            on_chip, off_chip = (_mib(line, f"{key}_mib_per_segment", 2) for key in ("onchip", "offchip"))
            row = PipelineRow(
                source=line.source,
                kind=line.text("kind"),
                size=line.whole("filters_or_neurons"),
                segmentation=line.text("segmentation"),
                batch=line.whole("batch"),
                graph=graph,
                cut=_cut_of(graph, [on + off for on, off in zip(on_chip, off_chip, strict=True)]),
                input_ms=line.latency_ms("ms_per_input"),
                on_chip_mib=on_chip,
                off_chip_mib=off_chip,
            )
            found.append(row)
    return found


def _cut_of(graph: LayerGraph, wanted_mib: Sequence[float]) -> int:
    def distance(at: int) -> float:
        halves = (parameter_mib(cut(graph, range(at))), parameter_mib(cut(graph, range(at, len(graph.layers)))))
        return sum(abs(a - b) for a, b in zip(halves, wanted_mib, strict=True))

    return min(range(1, len(graph.layers)), key=distance)


def segment_rows(rows: Iterable[PipelineRow]) -> Iterator[Row]:
    """Segments of the two-device rows as models of their own: bytes without a latency."""
    for row in rows:
        for number, (low, high) in enumerate(((0, row.cut), (row.cut, len(row.graph.layers)))):
            yield Row(
                source=row.source,
                name=f"{row.graph.name}, segment {number + 1} of 2",
                host=SWEEP_HOST,
                graph=cut(row.graph, range(low, high)),
                latency_ms=None,
                on_chip_mib=row.on_chip_mib[number],
                off_chip_mib=row.off_chip_mib[number],
                series=f"{row.kind} segments",
                size=row.on_chip_mib[number] + row.off_chip_mib[number],
            )


def pruning_slopes(folder: Path) -> dict[str, tuple[float, int]]:
    """Each pruning series that streams: ms a MiB of streamed parameters, and its rows; raises BadInput.

    The median of the slopes between all pairs (Theil and Sen). The rows of a series differ in compute too, so it is an
    upper end of what streaming costs.
    """
    series: dict[str, list[tuple[float, float]]] = {}
    for line in read_lines(folder / LATENCY)[1]:
        streamed = PRUNED.search(line.text("notes"))
        if streamed and float(streamed["mib"]) > 0:
            name = line.text("model").split(" pruned ")[0]
            point = (float(streamed["mib"]), line.latency_ms("value_ms"))
            series.setdefault(name, []).append(point)
    found = {}
    for name, points in series.items():
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2) if a[0] != b[0]]
        if slopes:
            found[name] = (statistics.median(slopes), len(points))
    return found


def _sweep_rows(path: Path) -> Iterator[Row]:
    for line in read_lines(path)[1]:
        if line.text("tpus") != "1":
            continue
        kind, size = line.text("kind"), line.whole("filters_or_neurons")
        yield Row(
            source=line.source,
            name=f"{kind} {size}",
            host=SWEEP_HOST,
            graph=_sweep_network(line, SINGLE_CHANNELS),
            latency_ms=line.latency_ms("ms_per_input"),
            on_chip_mib=sum(_mib(line, "onchip_mib_per_segment", 1)),
            off_chip_mib=sum(_mib(line, "offchip_mib_per_segment", 1)),
            series=kind,
            size=float(size),
        )


def _sweep_network(line: Line, channels: int) -> LayerGraph:
    if line.text("kind") not in KINDS:
        raise line.bad("kind", " or ".join(KINDS))
    try:
        return sweep_graph(line.text("kind"), line.whole("filters_or_neurons"), channels)
    except BadInput as error:
        raise line.error(short(error)) from None


def _suite_rows(path: Path) -> Iterator[Row]:
    for line in read_lines(path)[1]:
        host, model = _host(line), ALIASES.get(line.text("model"), line.text("model"))
        if host is None or model not in ZOO or "CPU" in line.text("interface"):
            continue
        graph = zoo_graph(model)
        yield Row(
            source=line.source,
            name=model,
            host=host,
            graph=graph,
            latency_ms=line.latency_ms("value_ms"),
            case=model,
            series=host,
            size=float(graph.macs or 0),
        )


def _host(line: Line) -> str | None:
    for source, host, name, _ in HOSTS:
        if line.text("source").startswith(source) and line.text("host").startswith(host):
            return name
    return None


@functools.cache
def sweep_graph(kind: str, size: int, channels: int) -> LayerGraph:
    """The network of a sweep's point: 5 fully connected layers, or 5 convolutions of 64 x 64 pixels."""
    if kind == "FC":
        params = FcParams(input=64, layer=4, node=size, output=10)
        return models.build_graph(ModelSpec(family="fc", params=params))
    stack = ConvStackParams(layer=5, kernel=3, image=64, channel=channels, filter=size)
    return models.build_graph(ModelSpec(family="conv_stack", params=stack))


@functools.cache
def zoo_graph(name: str) -> LayerGraph:
    """A model of the compatibility suite, uint8 as its file was."""
    return as_uint8(models.build_graph(ModelSpec(family="zoo", params=ZOO[name])))


def _mib(line: Line, column: str, segments: int) -> tuple[float, ...]:
    parts = line.text(column).split(";")
    if len(parts) != segments or not all(FIGURE.fullmatch(part) for part in parts):
        raise line.bad(column, f"MiB of {segments} segment{'s' * (segments > 1)}, with ; between them")
    return tuple(map(float, parts))
