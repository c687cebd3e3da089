"""What `calibrate` and `validate` print."""

from __future__ import annotations

import dataclasses
import math
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paraedge.cli.output import cell, say, table

if TYPE_CHECKING:
    from paraedge.calibrate import Calibration
    from paraedge.calibrate.report import Group, PipelineGroup, Validation
    from paraedge.simulate import Hardware

WIDTH = 80
TEXTS = ("group", "left out", "rows of", "series")
"""Columns of a validation that aren't figures."""
HOST = "models on "
FAR_HOST = 0.1
"""Median error on hosts that were left out, above which they are named."""
LEFT_OUT = {"row": ("constant", "interpolation")} | dict.fromkeys(
    ("regime", "model"), ("constant, case out", "interpolation, case out")
)
"""Ways of leaving rows out of the fit, with the baselines that know as much."""
LEFT_OUT_OF_PIPELINES = {"fitted": "nothing", "series": "series", "size": "size"}


def print_calibration(calibration: Calibration, base: Hardware, out: Path, warnings: Sequence[str]) -> None:
    """What was fitted, what was kept, the error that is left, what to doubt, and how to use the file."""
    from paraedge.calibrate.verdict import how_predicted, why_nothing

    name = calibration.hardware.name
    say(f"{name}: {calibration.rows} models, beginning from {base.name}")
    say()
    if calibration.fitted:
        table(_for_people(line) for line in _fitted(calibration, base))
        say()
        _wrapped(f"kept from {base.name}: {', '.join(calibration.kept) or 'nothing'}")
    else:
        _wrapped(f"nothing was fitted: {why_nothing(calibration)}; all constants are those of {base.name}")
    score = calibration.score
    within = f"{100 * score.within_10:.0f} % of {score.rows} models within 10 %"
    _wrapped(f"error, {how_predicted(calibration, base)}: median {100 * score.median_ape:.1f} %, {within}")
    for warning in warnings:
        say()
        _wrapped(f"warning: {warning}")
    say(f"\nwritten to {out}; to use it:")
    say(f"  paraedge predict MODEL.tflite --device {shlex.quote(str(out))}")
    if name != base.name:
        say(f"  PARAEDGE_HARDWARE={shlex.quote(str(out.parent))} paraedge devices")
    else:
        _wrapped(f"It has the name of the shipped {name}: to have both as devices, give another with --name.")


def calibration_json(calibration: Calibration, base: Hardware, out: Path, warnings: Sequence[str]) -> dict[str, object]:
    """The same for machines."""
    return {
        "written": out,
        "device": calibration.hardware.name,
        "base": base.name,
        "rows": calibration.rows,
        "fitted": list(_fitted(calibration, base)),
        "kept": calibration.kept,
        "score": calibration.score,
        "warnings": warnings,
    }


def _fitted(calibration: Calibration, base: Hardware) -> Iterator[dict[str, object]]:
    from paraedge.calibrate.verdict import at_limit

    for name in calibration.fitted:
        before, after = base.sources[name], calibration.hardware.sources[name]
        values = {"before": before.value, "after": after.value, "low": after.low, "high": after.high}
        limit = at_limit(calibration.hardware, name)
        yield {"constant": name, **values, "unit": after.unit, "at_limit": limit}


def _for_people(line: Mapping[str, object]) -> dict[str, object]:
    shown = {key: value for key, value in line.items() if key != "at_limit"}
    return {**shown, "": "at its limit" if line["at_limit"] else None}


def print_validation(validation: Validation) -> None:
    """Tables for people, at most 80 columns wide where the groups' names allow it."""
    if validation.groups:
        _print_groups(validation.groups)
    _print_bytes(validation)
    _print_slopes(validation)
    _print_pipelines(validation.pipelines)
    score = validation.instructions
    _wrapped(
        f"Instruction bytes of {score.rows} compiled models, each left out of the fit: median error "
        f"{100 * score.median_ape:.1f} %, {100 * score.within_10:.0f} % within 10 %, bias {100 * score.bias:+.1f} %."
    )
    say()
    _wrapped(_conclusion(validation))


def _print_groups(groups: Sequence[Group]) -> None:
    _wrapped(
        "Each row predicted by a fit without it. Errors in % of the measured latency; within: % of the rows within "
        "10 %; bias: median signed error; held: % of the rows inside their 90 % interval; outside: the same of fits "
        "without the row's whole case or host, and the wider interval that models outside of what was measured get."
    )
    say()
    _figures(map(_by_row, groups))
    say()
    _wrapped(
        "The same with a whole case left out of the fit, beside two baselines that see what the fit sees: median "
        "errors in %. host: nothing of the host was seen but its interface; chip: the chip's constants by other "
        "hosts, the host's own by its other rows. constant: the mean of the other rows; interp: between the "
        "neighbours in size."
    )
    say()
    _figures(line for group in groups for line in _beside_baselines(group))
    say()


def validation_json(validation: Validation) -> dict[str, object]:
    """Everything, every row too."""
    fields = {field.name: getattr(validation, field.name) for field in dataclasses.fields(validation)}
    return {**fields, "not_better_than_interpolation": [group.name for group in _behind(validation)]}


def _by_row(group: Group) -> dict[str, object]:
    score = group.scores["row"]
    return {
        "group": group.name,
        "rows": score.rows,
        "median": _percent(score.median_ape),
        "p90": _percent(score.p90_ape),
        "within": _percent(score.within_10),
        "bias": _percent(score.bias),
        "held": _percent(group.coverage),
        "outside": _percent(group.coverage_outside),
    }


def _beside_baselines(group: Group) -> Iterator[dict[str, object]]:
    for key in ("row", "regime", "model", "host", "chip"):
        if key in group.scores:
            constant, interpolation = (_median(group, name) for name in LEFT_OUT.get(key, ("", "")))
            found = {"median": _median(group, key), "within": _percent(group.scores[key].within_10)}
            yield {"group": group.name, "left out": key, **found, "constant": constant, "interp": interpolation}


def _print_bytes(validation: Validation) -> None:
    if not validation.placements:
        return
    _wrapped(
        "Parameter bytes on and off chip: % of rows within 2 % or 0.02 MiB of the compiler's; alike left out: by a fit "
        "without those of the series that stream as many layers."
    )
    say()
    _figures(
        {
            "rows of": entry.name,
            "rows": entry.rows,
            "agree": _percent(entry.agree / entry.rows),
            "alike left out": _percent(entry.agree_left_out / entry.rows),
        }
        for entry in validation.placements
    )
    say()


def _print_slopes(validation: Validation) -> None:
    if not validation.slopes:
        return
    _wrapped(
        "Pruned models: ms for each MiB of streamed parameters. This is no independent check: the predicted one is the "
        "figure that the authors of these series give. Measured slopes include compute."
    )
    say()
    _figures(
        {
            "series": slope.name,
            "rows": slope.rows,
            "measured": f"{slope.measured_ms_per_mib:.2f}",
            "predicted": f"{slope.predicted_ms_per_mib:.2f}",
        }
        for slope in validation.slopes
    )
    say()


def _print_pipelines(groups: Sequence[PipelineGroup]) -> None:
    if not groups:
        return
    _wrapped(
        "Two devices in a row, cut where each row's bytes say. Errors in %. Left out of the fit of what a pipeline "
        "adds: nothing; the row's sweep, segmentation and batch (series); the fifth of its sweep's sizes that it is in."
    )
    say()
    _figures(
        {
            "group": group.name,
            "left out": LEFT_OUT_OF_PIPELINES[way],
            "rows": score.rows,
            "median": _percent(score.median_ape),
            "p90": _percent(score.p90_ape),
            "bias": _percent(score.bias),
        }
        for group in groups
        for way, score in group.scores.items()
    )
    say()
    for group in groups:
        if group.is_series and group.contradicted:
            _wrapped(
                f"{group.contradicted} of the {group.scores['fitted'].rows} rows of {group.name} name another split "
                "than was timed: more off-chip bytes than cross the link in their time. No fit has seen them; the "
                "figures above hold them."
            )
            say()


def _conclusion(validation: Validation) -> str:
    """Where the simulator has no advantage over interpolation, where that has no answer, and what new hosts get."""
    behind = [
        f"{group.name} ({_median(group, 'row')} % against {_median(group, 'interpolation')} %)"
        for group in _behind(validation)
    ]
    without = [group.name for group in validation.groups if "interpolation" not in group.scores]
    found = []
    if behind:
        found.append(f"By row, the simulator's median error is not below interpolation's in: {'; '.join(behind)}.")
    elif len(without) < len(validation.groups):
        found.append("By row, the simulator's median error is below interpolation's in every group where there is one.")
    if without:
        found.append(f"Interpolation has no answer in: {'; '.join(without)}.")
    hosts = [group for group in validation.groups if "host" in group.scores and group.name.startswith(HOST)]
    far = [group for group in hosts if group.scores["host"].median_ape > FAR_HOST]
    if far:
        figures = ", ".join(f"{_median(group, 'host')} % ({group.name.removeprefix(HOST)})" for group in far)
        found.append(f"A host that was never measured is predicted with a median error of {figures}.")
    return " ".join(found) or "There are too few rows to say how far predictions are off."


def _behind(validation: Validation) -> list[Group]:
    both = [group for group in validation.groups if "interpolation" in group.scores]
    return [group for group in both if group.scores["row"].median_ape >= group.scores["interpolation"].median_ape]


def _median(group: Group, key: str) -> str | None:
    return _percent(group.scores[key].median_ape) if key in group.scores else None


def _percent(share: float) -> str | None:
    """One decimal, no -0; nothing where it is unknown."""
    return None if math.isnan(share) else f"{round(100 * share, 1) + 0.0:.1f}"


def _figures(lines: Iterable[Mapping[str, object]]) -> None:
    """A table whose columns of figures stand to the right, whatever their decimals; at least one line."""
    cells = [{key: cell(value) for key, value in line.items()} for line in lines]
    widths = {key: 0 if key in TEXTS else max(len(key), *(len(line[key]) for line in cells)) for key in cells[0]}
    table({key.rjust(width): line[key].rjust(width) for key, width in widths.items()} for line in cells)


def _wrapped(text: str) -> None:
    for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
        say(line)
