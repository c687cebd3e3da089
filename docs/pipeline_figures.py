"""Draw the figures of docs/pipelines.md: `python docs/pipeline_figures.py --data DIR [--out DIR]`.

DIR has `synthetic_sweeps.csv`, whose two-device rows are the only measured points; all else is simulated. The same
table and the same matplotlib give the same files, byte for byte.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from figure_style import BLUE, GREEN, GREY, HOLLOW, ORANGE, PINK, SWEEPS, look, save, sheet
from figure_timeline import timeline
from figures import FOLDER
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from paraedge import models
from paraedge.analyze.published import published_speedups
from paraedge.calibrate.published import sweep_graph
from paraedge.core.cut import cut
from paraedge.core.device import Target
from paraedge.core.errors import BadInput
from paraedge.core.graph import LayerGraph
from paraedge.core.outcome import Measurement
from paraedge.core.partition import Partition, Stage
from paraedge.core.spec import ModelSpec
from paraedge.models.cnn import CnnParams
from paraedge.partition.bound import any_bound
from paraedge.partition.optimal import best_by_count
from paraedge.report.style import INK, MUTED, log_axis
from paraedge.segment.choose import choose
from paraedge.segment.costs import problem_for
from paraedge.segment.execute import simulate_partition
from paraedge.segment.verdict import WORTH
from paraedge.simulate import load_hardware, predict

DEVICE = "sim-edgetpu-pcie"
"""The host of the published sweeps: the only one whose pipelines were measured."""


def resnet() -> LayerGraph:
    """ResNet-50: the worked example of the page."""
    return models.build_graph(ModelSpec(family="cnn", params=CnnParams(kind="bottleneck", blocks=(3, 4, 6, 3))))


def convolutions() -> LayerGraph:
    """Five convolutions of 592 filters, of the published sweep."""
    return sweep_graph("CONV", 592, 8)


def chosen(graph: LayerGraph, devices: int, strategy: str) -> Partition:
    """A graph cut over so many of the simulated devices."""
    return choose(problem_for(graph, [DEVICE] * devices), graph, strategy)


# --- stage times by strategy ---


STRATEGIES = ("params", "equal", "pipedream", "balanced", "profiled", "fit", "optimal")
PARTS = {"receive": BLUE, "compute": GREEN, "streamed parameters": ORANGE, "send": PINK}
LONGEST_MS = 10.0
"""Where the axis ends; longer bars are cut off and say how long they are."""


def stage_times() -> Figure:
    """Each stage's time by its parts, for each strategy over four devices, with the proven bound."""
    figure, (axes,) = sheet(
        "ResNet-50 over four devices: what each stage is busy with",
        f"Simulated: {DEVICE}. A stage's bars from the left; the longest stage of a strategy is its period. Bars that "
        "are cut off end at the time beside them.",
        (7.8, 6.4),
    )  # fmt: skip
    graph, ticks, place = resnet(), [], 0.0
    for strategy in STRATEGIES:
        found = chosen(graph, 4, strategy)
        for stage in found.stages:
            _stage_bar(axes, place, graph, stage)
            place += 1
        ticks.append((place - (len(found.stages) + 1) / 2, f"{strategy}\n{found.bottleneck_ms:.2f} ms"))
        place += 0.9
    axes.axvline(found.lower_bound_ms, color=INK, linewidth=1.4)
    axes.axvline(found.any_bound_ms, color=INK, linewidth=1.2, linestyle=":")
    words = (
        f"proven: {found.lower_bound_ms:.2f} ms for contiguous splits, {found.any_bound_ms:.2f} ms for any assignment"
    )
    axes.text(found.lower_bound_ms + 0.1, -1.3, words, va="center", fontsize=9.5)
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.set(xlabel="ms an input", xlim=(0, LONGEST_MS + 1.1), ylim=(place - 0.9, -2))
    axes.set_xticks(range(0, 11, 2))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    handles = [Patch(color=colour, label=name) for name, colour in PARTS.items()]
    axes.legend(handles=handles, ncols=4, handlelength=0.9, loc="lower left", bbox_to_anchor=(-0.02, 1.0))
    return figure


def _stage_bar(axes: Axes, place: float, graph: LayerGraph, stage: Stage) -> None:
    hardware, left = load_hardware(DEVICE), 0.0
    part = predict(cut(graph, range(stage.first, stage.end)), hardware)
    streaming = part.terms["weights_ms"] + (hardware.stream_pipelined_ms if stage.off_chip_bytes else 0.0)
    times = (stage.receive_ms, stage.compute_ms - streaming, streaming, stage.send_ms)
    for colour, ms in zip(PARTS.values(), times, strict=True):
        shown = max(0.0, min(ms, LONGEST_MS - left))
        axes.barh(place, shown, left=left, color=colour, height=0.8, edgecolor="white", linewidth=0.5)
        left += shown
    if stage.busy_ms > LONGEST_MS:
        axes.text(LONGEST_MS + 0.1, place, f"{stage.busy_ms:.1f} ms", va="center", fontsize=9.5)


# --- speed-up against size ---


class Sweep(NamedTuple):
    """A published sweep: its name there and here, its sizes, input channels and inputs of a run."""

    kind: str
    family: str
    title: str
    sizes: range
    channels: int
    inputs: int


SWEPT = (
    Sweep("FC", "fc", "FC sweep, 50 inputs", range(100, 2621, 40), 3, 50),
    Sweep("CONV", "conv_stack", "CONV sweep, 100 inputs", range(32, 743, 10), 8, 100),
)
COUNTS = {4: (GREEN, 4.2), 3: (ORANGE, 2.4), 2: (BLUE, 1.2)}
"""Colour and width of the line of so many devices; the thin ones lie on the wide ones."""


def speedups(published: pd.DataFrame) -> Figure:
    """Throughput over one device's against the size of the model, for both sweeps."""
    figure, panels = sheet(
        "Several devices over one, by the size of the model",
        f"Published (dots, crosses): {SWEEPS}, two devices. Lines: {DEVICE} simulated, filling and draining included; "
        "best: optimal's cut, which may leave devices unused. Dashed: cut by the compiler's rule, as the crosses were.",
        (7.8, 5.2), ncols=2,
    )  # fmt: skip
    for axes, swept in zip(panels, SWEPT, strict=True):
        points = [_over_one(swept, size) for size in swept.sizes]
        sizes = [point.mib for point in points]
        for count, (colour, width) in COUNTS.items():
            line = [point.best[count] for point in points]
            axes.plot(sizes, line, color=colour, linewidth=width, label=f"{count} devices, best")
        axes.plot(sizes, [point.params for point in points], "--", color=BLUE, linewidth=1.2, label="2 devices, params")
        rows = published[(published["family"] == swept.family) & (published["inputs"] == swept.inputs)]
        for strategy, mark, words in (("params", "x", "compiler's rule"), ("profiled", "o", "profiled")):
            mine = rows[rows["strategy"] == strategy]
            axes.plot(
                mine["weight_mib"], mine["speedup"], mark, color=INK, markersize=4, markeredgewidth=0.9, zorder=4,
                markerfacecolor=INK, label=f"published, {words}",
            )  # fmt: skip
        axes.axhline(1, color=MUTED, linewidth=1.1, linestyle=":")
        axes.set(xlabel="parameters, MiB", title=swept.title)
    panels[0].set(ylabel="times the throughput of one device", ylim=(0.12, 120))
    log_axis(panels[0], "y")
    panels[1].set(ylim=(0, 6))
    handles, names = panels[0].get_legend_handles_labels()
    panels[1].legend(handles, names, loc="upper left")
    return figure


class Point(NamedTuple):
    """A model over one device: its size, and its speed-ups by the best cut and by the compiler's rule."""

    mib: float
    best: Mapping[int, float]
    params: float


def _over_one(swept: Sweep, size: int) -> Point:
    graph = sweep_graph(swept.kind, size, swept.channels)
    alone = predict(graph, load_hardware(DEVICE))
    stored = (alone.placement.on_chip_bytes or 0) + (alone.placement.off_chip_bytes or 0)

    def speedup(count: int, strategy: str) -> float:
        problem = problem_for(graph, [DEVICE] * count)
        made = simulate_partition(choose(problem, graph, strategy), problem, Target(device=DEVICE), inputs=swept.inputs)
        if not isinstance(made, Measurement):
            raise SystemExit(made.text())
        return alone.latency_ms * 1e6 / made.blocks[0].invoke_ns

    return Point(stored / 2**20, {count: speedup(count, "optimal") for count in COUNTS}, speedup(2, "params"))


# --- how many devices ---


MOST = 8


def knees() -> Figure:
    """The best throughput over the number of devices, for two models."""
    figure, panels = sheet(
        "How many devices are worth having",
        f"Simulated: {DEVICE}, steady state. Ring: the fewest devices that come within {100 * WORTH:.0f} % of eight. "
        "The bounds are proven for the cost model.",
        (7.8, 4.6), ncols=2,
    )  # fmt: skip
    cases = (("ResNet-50", resnet()), ("Five convolutions of 592 filters", convolutions()))
    for axes, (name, graph) in zip(panels, cases, strict=True):
        counts = range(1, MOST + 1)
        problems = [problem_for(graph, [DEVICE] * count) for count in counts]
        bounds = [any_bound(problem, "throughput", replicate=True) for problem in problems]
        axes.plot(counts, [1e3 / ms for ms in bounds], ":", color=INK, linewidth=1.3, label="no assignment does better")
        mixed = best_by_count(problems[-1], objective="throughput", replicate=True)
        cuts = best_by_count(problems[-1], objective="throughput")
        copies = [choose(problem, graph, "data").bottleneck_ms for problem in problems]
        for ms, colour, words in (
            (mixed, GREEN, "cut, stages may be replicated"),
            (cuts, BLUE, "cut, one device a stage"),
            (copies, GREY, "whole models (data)"),
        ):  # fmt: skip
            axes.plot(
                counts, [1e3 / one for one in ms], color=colour, linewidth=1.5, marker=".", markersize=7, label=words
            )
            knee = next(count for count, one in zip(counts, ms, strict=True) if one <= ms[-1] * (1 + WORTH))
            axes.plot(knee, 1e3 / ms[knee - 1], "o", color=colour, markersize=11, **{**HOLLOW, "linestyle": "none"})
        axes.set(title=name, xlabel="devices", xticks=list(counts))
        axes.set_ylim(0, 1.42 * axes.get_ylim()[1])  # room for the legend
    panels[0].set(ylabel="outputs a second")
    panels[0].legend(loc="upper left")
    return figure


FIGURES: Mapping[str, Callable[[pd.DataFrame], Figure]] = {
    "stage-times": lambda _: stage_times(),
    "pipeline-speedups": speedups,
    "pipeline-timeline": lambda _: timeline(chosen(convolutions(), 4, "optimal")),
    "pipeline-knee": lambda _: knees(),
}
"""Each figure by the name of its file."""


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of synthetic_sweeps.csv")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="where the SVGs go")
    arguments = parser.parse_args()
    try:
        published = published_speedups(arguments.data)
    except BadInput as error:
        parser.error(str(error))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        with look():
            save(draw(published), arguments.out / f"{name}.svg")


if __name__ == "__main__":
    main()
