"""Draw the figures of docs/simulator.md: `python docs/figures.py --data DIR [--out DIR]`.

DIR has the published tables that `paraedge validate` reads. Filled dots are measured; lines,
areas and hollow marks are predicted. The same tables and the same matplotlib give the same files, byte for byte.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from figure_errors import left_out, predicted_measured
from figure_style import BLUE, BROWN, GREEN, GREY, HOLLOW, MODELS, ORANGE, PINK, SWEEPS, look, measured, save, sheet
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from paraedge import models
from paraedge.calibrate import validate
from paraedge.calibrate.published import SWEEP_HOST, ZOO, published_rows, sweep_graph
from paraedge.calibrate.report import Validation
from paraedge.calibrate.residuals import SUITE
from paraedge.calibrate.row import Row
from paraedge.core.errors import BadInput
from paraedge.core.outcome import Prediction
from paraedge.core.spec import ModelSpec
from paraedge.models.conv_stack import ConvStackParams
from paraedge.report.style import INK, MUTED, log_axis
from paraedge.simulate import load_hardware, predict
from paraedge.simulate.shapes import MIB
from paraedge.simulate.steps import layer_steps
from paraedge.simulate.traffic import weight_fetches

FOLDER = Path(__file__).with_name("figures")


class Known(NamedTuple):
    """What the figures are drawn from."""

    rows: Sequence[Row]
    validation: Validation


# --- the sweeps ---


def fc_cliff(known: Known) -> Figure:
    """Latency over parameters of the FC sweep: flat, then a jump with each large layer that no longer fits."""
    hardware = load_hardware(SWEEP_HOST)
    found = [predict(sweep_graph("FC", width, 3), hardware) for width in range(100, 2641, 20)]
    size = np.array([(each.placement.on_chip_bytes + each.placement.off_chip_bytes) / MIB for each in found])
    low, ms, high = (np.array([getattr(each, key) for each in found]) for key in ("low_ms", "latency_ms", "high_ms"))
    figure, (axes,) = sheet(
        "FC sweep: what a layer costs that is not kept on chip",
        f"Published: {SWEEPS}, five layers, of 100 to 2420 units. Predicted: {SWEEP_HOST}, whose constants were fitted "
        "to these points.",
        (7.4, 4.9),
    )
    axes.set(xlabel="parameters, MiB", ylabel="latency, ms", ylim=(0.05, 90), xlim=(-0.4, 21.4))
    axes.set_xticks(range(0, 21, 4))
    log_axis(axes, "y")
    jumps = [at for at in range(1, len(ms)) if ms[at] > 1.5 * ms[at - 1]]
    for start, stop in itertools.pairwise([0, *jumps, len(ms)]):
        part = slice(start, stop)
        (line,) = axes.plot(size[part], ms[part], color=BLUE, linewidth=1.8, label="predicted")
        band = axes.fill_between(size[part], low[part], high[part], color=BLUE, alpha=0.22, linewidth=0)
    for at, words in zip(jumps, ("one layer\nstreamed", "two layers\nstreamed"), strict=True):
        axes.plot(size[at - 1 : at + 1], ms[at - 1 : at + 1], ":", color=BLUE, linewidth=1.5)
        axes.text(size[at] + 0.4, ms[at] * 0.74, words, va="top")
        middle = float(np.sqrt(ms[at] * ms[at - 1]))
        axes.text(size[at] - 0.5, middle, f"x {ms[at] / ms[at - 1]:.0f}", ha="right", va="center", color=BLUE)
    axes.text(3.8, 0.36, "all on chip", ha="center")
    rows = [row for row in known.rows if row.series == "FC"]
    told = [(row.on_chip_mib or 0) + (row.off_chip_mib or 0) for row in rows]
    dots = measured(axes, told, [row.latency_ms for row in rows])
    words = "its 90 % band, wider outside\nof the measured sizes"
    axes.legend([dots, line, band], ["published", "predicted", words], loc=(0.55, 0.06))
    return figure


class Streaming(NamedTuple):
    """How a point streams: layers, and the largest number of fetches."""

    layers: int
    fetches: int


def conv_stripes(known: Known) -> Figure:
    """The CONV sweep's latency over filters: its terms stacked, and how often streamed parameters are fetched."""
    hardware = load_hardware(SWEEP_HOST)
    filters = list(range(32, 751, 4))
    graphs = [sweep_graph("CONV", count, 3) for count in filters]
    found = [predict(graph, hardware) for graph in graphs]
    streaming = []
    for graph, each in zip(graphs, found, strict=True):
        layers = each.placement.off_chip or ()
        fetches = (weight_fetches(graph.tensors, graph.layers[index], hardware) for index in layers)
        streaming.append(Streaming(len(layers), max(fetches, default=0)))
    rest = found[0].latency_ms - found[0].terms["compute_ms"] - found[0].terms["output_ms"]
    figure, panels = sheet(
        "CONV sweep: what a latency is made of",
        f"Published (dots): {SWEEPS}, five 3 x 3 convolutions of 64 x 64 pixels. Predicted: {SWEEP_HOST}, "
        f"fitted to these points. Input, instructions and fixed cost, {rest:.1f} ms, are too thin to see.",
        (7.8, 4.9), ncols=2, width_ratios=(2, 3),
    )  # fmt: skip
    border = next(at for at, each in enumerate(streaming) if each.layers)
    rows = [row for row in known.rows if row.series == "CONV"]
    for axes, part in zip(panels, (slice(0, border), slice(border, None)), strict=True):
        xs = filters[part]
        _stack(axes, xs, found[part])
        inside = [row for row in rows if xs[0] <= row.size <= xs[-1]]
        measured(axes, [row.size for row in inside], [row.latency_ms for row in inside])
        axes.set(xlabel="filters of each layer", xlim=(xs[0], xs[-1]))
    panels[0].set(ylabel="latency, ms", title="all on chip")
    panels[1].set(title="streamed; x 3: fetched three times")
    _label_fetches(panels[1], filters[border:], found[border:], streaming[border:], rows)
    return figure


def _stack(axes: Axes, xs: Sequence[int], found: Sequence[Prediction]) -> None:
    """Areas of compute, output and streaming on what little is left, each with its name where there is room for it."""
    total = np.array([each.latency_ms for each in found])
    parts = {key: np.array([each.terms[key] for each in found]) for key in ("compute_ms", "output_ms", "weights_ms")}
    base = total - np.sum(list(parts.values()), axis=0)
    axes.fill_between(xs, 0, base, color=GREY, linewidth=0)
    at = round(len(xs) * 0.85)
    for key, ms in parts.items():
        name, colour = TERMS[key]
        axes.fill_between(xs, base, base + ms, color=colour, linewidth=0)
        if ms[at] > 0.05 * total.max():
            axes.text(
                xs[-1] - 6, base[at] + ms[at] / 2, name.replace(" ", "\n"), color="white", ha="right", va="center"
            )
        base = base + ms
    axes.plot(xs, total, color=INK, linewidth=1)
    axes.set_ylim(0, 1.17 * total.max())


def _label_fetches(
    axes: Axes, xs: Sequence[int], found: Sequence[Prediction], streaming: Sequence[Streaming], rows: Sequence[Row]
) -> None:
    """Layers along the top, fetches over each step that is wide enough."""
    for layers, group in itertools.groupby(range(len(xs)), key=lambda at: streaming[at].layers):
        places = list(group)
        axes.axvline(xs[places[0]], color=MUTED, linewidth=0.8, linestyle="--", zorder=0.5)
        top = axes.get_xaxis_transform()
        axes.text(xs[places[0]] + 4, 0.95, f"{layers} layer{'s' * (layers > 1)}", transform=top)
    for each, group in itertools.groupby(range(len(xs)), key=lambda at: streaming[at]):
        places = list(group)
        if len(places) > 3:
            middle = sum(xs[at] for at in places) / len(places)
            dots = [row.latency_ms or 0 for row in rows if xs[places[0]] <= row.size <= xs[places[-1]]]
            axes.text(middle, max(found[places[-1]].latency_ms, *dots, 0) + 12, f"x {each.fetches}", ha="center")


# --- the terms ---


TERMS = {
    "compute_ms": ("compute", BLUE),
    "weights_ms": ("streamed parameters", ORANGE),
    "input_ms": ("input", GREEN),
    "output_ms": ("output", PINK),
    "instructions_ms": ("instructions", BROWN),
    "overhead_ms": ("fixed cost", GREY),
}
"""Terms of a prediction in the order in which bars stack them: name and colour."""


def models_terms(known: Known) -> Figure:
    """The suite's models on three hosts: predicted terms over the measured latency."""
    figure, panels = sheet(
        "Real models: predicted terms, as shares of the measured latency",
        f"Measured (line at 1; in ms on the right): {MODELS}. Predicted: the hosts' own files, whose constants were "
        "fitted to these rows.",
        (7.6, 7.4), nrows=3, sharex=True,
    )  # fmt: skip
    for axes, host in zip(panels, SUITE, strict=True):
        hardware = load_hardware(host)
        rows = {row.name: row for row in known.rows if row.host == host}
        for place, name in enumerate(ZOO):
            _bar(axes, place, predict(rows[name].graph, hardware), rows[name].latency_ms or 0)
        axes.axvline(1, color=INK, linewidth=1.4)
        axes.set_yticks(range(len(ZOO)), list(ZOO))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_title(f"{host}: {hardware.interface}, {hardware.host}")
    panels[-1].set(xlabel="predicted / measured", xlim=(0, 1.22), xticks=[0, 0.25, 0.5, 0.75, 1])
    handles = [Patch(color=colour, label=name) for name, colour in TERMS.values()]
    panels[0].legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.15), ncols=6, handlelength=0.9)
    return figure


def _bar(axes: Axes, place: int, prediction: Prediction, measured_ms: float) -> None:
    left = 0.0
    for key, (_, colour) in TERMS.items():
        share = prediction.terms[key] / measured_ms
        axes.barh(place, share, left=left, color=colour, height=0.72, edgecolor="white", linewidth=0.6)
        left += share
    digits = f"{measured_ms:#.3g}".rstrip(".")
    axes.text(1.21, place, f"{digits} ms", ha="right", va="center", fontsize=9.5)


# --- the array ---


def tiles() -> Figure:
    """Useful multiply-accumulates a step, of 4096: over the side of an image, and over output channels."""
    figure, (left, right) = sheet(
        "How a 3 x 3 convolution fills the array",
        "The share of 4096 multiply-accumulates a step that are not padding, by paraedge/simulate/steps.py: geometry, "
        "nothing measured.",
        (7.8, 4.1), ncols=2, sharey=True,
    )  # fmt: skip
    by_side = {side: _useful(side, 64) for side in range(4, 65)}
    by_outputs = {outputs: _useful(64, outputs) for outputs in range(1, 257)}
    left.plot(list(by_side), list(by_side.values()), color=BLUE, linewidth=1.3, marker="o", markersize=2.5)
    right.plot(list(by_outputs), list(by_outputs.values()), color=ORANGE, linewidth=1.5)
    for axes, shares, minima in ((left, by_side, (5, 9, 13, 17, 33)), (right, by_outputs, (65, 129, 193))):
        for at in minima:
            axes.text(at, shares[at] - 0.03, f"{at}", ha="center", va="top", fontsize=9.5)
    rings = left.plot([7, 14], [by_side[7], by_side[14]], color=INK, marker="o", markersize=8, **HOLLOW)
    left.legend(rings, ["7 and 14: the last\nimages of a MobileNet"], loc="lower right")
    right.text(75, 0.22, "65 outputs take\nas long as 128")
    left.set(xlabel="side of the image, pixels (64 channels)", ylabel="useful share", ylim=(0, 1.05))
    left.set(title="4 x 4 tiles share the image", xticks=range(0, 65, 8))
    right.set(xlabel="output channels (64 x 64 pixels)", title="64 outputs at a time", xticks=range(0, 257, 64))
    left.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    return figure


def _useful(side: int, outputs: int) -> float:
    params = ConvStackParams(layer=1, kernel=3, image=side, channel=64, filter=outputs)
    graph = models.build_graph(ModelSpec(family="conv_stack", params=params))
    _, steps = layer_steps(graph.tensors, graph.layers[0])
    return (graph.macs or 0) / (4096 * steps)


FIGURES: Mapping[str, Callable[[Known], Figure]] = {
    "fc-cliff": fc_cliff,
    "conv-stripes": conv_stripes,
    "predicted-measured": lambda known: predicted_measured(known.validation),
    "models-terms": models_terms,
    "tiles": lambda _: tiles(),
    "left-out": lambda known: left_out(known.validation),
}
"""Each figure by the name of its file."""


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the published tables")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where the SVGs go")
    arguments = parser.parse_args()
    try:
        known = Known(published_rows(arguments.data), validate(arguments.data))
    except BadInput as error:
        parser.error(str(error))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        with look():
            save(draw(known), arguments.out / f"{name}.svg")


if __name__ == "__main__":
    main()
