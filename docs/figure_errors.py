"""Figures of how far predictions are off: of each row, and of each group by what its fit hasn't seen."""

from __future__ import annotations

import numpy as np
from figure_style import BLUE, GREEN, GREY, HOLLOW, MODELS, ORANGE, PINK, SWEEPS, sheet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paraedge.calibrate.report import Group, Validation
from paraedge.report.style import MUTED, log_axis

GROUPS = {
    "fully connected, on chip": (BLUE, "o"),
    "fully connected, streamed": (BLUE, "s"),
    "convolutions, on chip": (ORANGE, "o"),
    "convolutions, streamed": (ORANGE, "s"),
    "models on sim-edgetpu-usb3": (GREEN, "^"),
    "models on sim-edgetpu-devboard": (GREEN, "D"),
    "models on sim-edgetpu-usb2": (GREEN, "v"),
    "models on macOS, USB 3": (PINK, "^"),
    "models on Windows, PCIe": (PINK, "D"),
}
"""Groups of `paraedge validate` that share no row, with colour and marker."""

MARKS = {
    "row": ("row left out", BLUE, "o"),
    "case": ("its regime or model left out", ORANGE, "s"),
    "host": ("host never measured", GREEN, "^"),
    "interpolation": ("interpolation, row left out", GREY, "x"),
    "interpolation, case out": ("interpolation, regime or model left out", GREY, "+"),
}


def predicted_measured(validation: Validation) -> Figure:
    """Every row predicted by a fit of all other rows, over what was measured; below, the ratio."""
    figure, (axes, ratios) = sheet(
        "Predicted over measured, each row left out of its fit",
        f"Published: {SWEEPS} (sweeps), {MODELS} (models). Hosts with fewer than three models are not shown.",
        (7.4, 7.4), nrows=2, sharex=True, height_ratios=(2, 1),
    )  # fmt: skip
    ends = np.array([0.05, 1000])
    axes.fill_between(ends, 0.9 * ends, 1.1 * ends, color=MUTED, alpha=0.3, linewidth=0)
    ratios.fill_between(ends, 0.9, 1.1, color=MUTED, alpha=0.3, linewidth=0)
    ratios.text(900, 1.14, "within 10 %", color=MUTED, ha="right")
    for group in _disjoint(validation):
        colour, shape = GROUPS[group.name]
        ms = np.array([each.measured_ms for each in group.predictions])
        told = np.array([each.predicted_ms["row"] for each in group.predictions])
        axes.plot(ms, told, color=colour, marker=shape, markersize=5, label=group.name, **HOLLOW)
        ratios.plot(ms, told / ms, color=colour, marker=shape, markersize=5, **HOLLOW)
    axes.legend(loc="upper left", handletextpad=0.3)
    axes.set(ylabel="predicted, ms", xlim=ends, ylim=ends)
    ratios.set(xlabel="measured, ms", ylabel="predicted / measured", ylim=(0.5, 1.6))
    log_axis(axes, "x")
    log_axis(axes, "y")
    return figure


def left_out(validation: Validation) -> Figure:
    """Median error of each group, by what the fit hasn't seen, beside interpolation's."""
    figure, (axes,) = sheet(
        "Median error, by what the fit has not seen",
        f"Published: {SWEEPS} (sweeps), {MODELS} (models); in brackets the rows. Interpolation: between the neighbours "
        "in size on the same device.",
        (7.6, 5.6),
    )
    groups = _disjoint(validation)
    for place, group in enumerate(groups):
        for number, (key, (_, colour, shape)) in enumerate(MARKS.items()):
            keys = ("regime", "model") if key == "case" else (key,)
            for error in (100 * group.scores[each].median_ape for each in keys if each in group.scores):
                axes.plot(error, place + 0.12 * (number - 2), color=colour, marker=shape, markersize=6.5, **HOLLOW)
    axes.set_yticks(range(len(groups)), [f"{group.name} ({len(group.predictions)})" for group in groups])
    axes.invert_yaxis()
    axes.axvline(10, color=MUTED, linewidth=1, linestyle="--")
    axes.set(xlabel="median absolute error, %")
    log_axis(axes, "x")
    marks = [
        Line2D([], [], color=colour, marker=shape, label=label, **HOLLOW) for label, colour, shape in MARKS.values()
    ]
    axes.legend(handles=marks, loc="lower left", bbox_to_anchor=(-0.52, 1.01), ncols=2)
    return figure


def _disjoint(validation: Validation) -> list[Group]:
    groups = {group.name: group for group in validation.groups}
    return [groups[name] for name in GROUPS]
