"""What `calibrate` and `validate` print."""

from __future__ import annotations

import dataclasses
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paraedge.cli.output import say, table

if TYPE_CHECKING:
    from paraedge.calibrate import Calibration
    from paraedge.calibrate.report import Group, Validation
    from paraedge.simulate import Hardware

WIDTH = 80
LEFT_OUT = {"row": ("constant", "interpolation")} | dict.fromkeys(
    ("regime", "model"), ("constant, case out", "interpolation, case out")
)
"""Ways of leaving rows out of the fit, with the baselines that know as much."""


def print_calibration(calibration: Calibration, base: Hardware, out: Path) -> None:
    """What was fitted, what was kept, the error that is left, and how to use the file."""
    name = calibration.hardware.name
    say(f"{name}: {calibration.rows} rows, beginning from {base.name}")
    say()
    table(_fitted(calibration, base))
    say()
    _wrapped(f"kept from {base.name}: {', '.join(calibration.kept) or 'nothing'}")
    score = calibration.score
    within = f"{100 * score.within_10:.0f} % of {score.rows} rows within 10 %"
    _wrapped(f"error by row, each predicted without itself: median {100 * score.median_ape:.1f} %, {within}")
    say(f"\nwritten to {out}; to use it:")
    say(f"  paraedge predict MODEL.tflite --device {shlex.quote(str(out))}")
    if name != base.name:
        say(f"  PARAEDGE_HARDWARE={shlex.quote(str(out.parent))} paraedge devices")


def calibration_json(calibration: Calibration, base: Hardware, out: Path) -> dict[str, object]:
    """The same for machines."""
    return {
        "written": out,
        "device": calibration.hardware.name,
        "base": base.name,
        "rows": calibration.rows,
        "fitted": list(_fitted(calibration, base)),
        "kept": calibration.kept,
        "score": calibration.score,
    }


def _fitted(calibration: Calibration, base: Hardware) -> Iterator[dict[str, object]]:
    for name in calibration.fitted:
        before, after = base.sources[name], calibration.hardware.sources[name]
        values = {"before": before.value, "after": after.value, "low": after.low, "high": after.high}
        yield {"constant": name, **values, "unit": after.unit}


def print_validation(validation: Validation) -> None:
    """Tables for people, at most 80 columns wide where the groups' names allow it."""
    _wrapped(
        "Each row predicted by a fit without it. Errors in % of the measured latency; within: % of the rows within "
        "10 %; bias: median signed error; held: % of the rows inside their 90 % interval."
    )
    say()
    table(map(_by_row, validation.groups))
    say()
    _wrapped(
        "The same with a whole case left out of the fit, beside two baselines that see what the fit sees: median "
        "errors in %. constant: the mean of the other rows; interp: between the neighbours in size."
    )
    say()
    table(line for group in validation.groups for line in _beside_baselines(group))
    _print_bytes(validation)
    say()
    _wrapped(_conclusion(validation))


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
    }


def _beside_baselines(group: Group) -> Iterator[dict[str, object]]:
    for key in ("row", "regime", "model", "host"):
        if key in group.scores:
            constant, interpolation = (_median(group, name) for name in LEFT_OUT.get(key, ("", "")))
            found = {"median": _median(group, key), "within": _percent(group.scores[key].within_10)}
            yield {"group": group.name, "left out": key, **found, "constant": constant, "interp": interpolation}


def _print_bytes(validation: Validation) -> None:
    if validation.placements:
        say("\nParameter bytes on and off chip: % of rows within 2 % or 0.02 MiB of the\ncompiler's.\n")
        table(
            {
                "rows of": entry.name,
                "rows": entry.rows,
                "agree": _percent(entry.agree / entry.rows),
                "sweep left out": _percent(entry.agree_left_out / entry.rows),
            }
            for entry in validation.placements
        )
    if validation.slopes:
        say("\nPruned models: ms for each MiB of streamed parameters.\n")
        table(
            {
                "series": slope.name,
                "rows": slope.rows,
                "measured": slope.measured_ms_per_mib,
                "predicted": slope.predicted_ms_per_mib,
            }
            for slope in validation.slopes
        )
    score = validation.instructions
    say()
    _wrapped(
        f"Instruction bytes of {score.rows} compiled models, each left out of the fit: median error "
        f"{100 * score.median_ape:.1f} %, {100 * score.within_10:.0f} % within 10 %, bias {100 * score.bias:+.1f} %."
    )


def _conclusion(validation: Validation) -> str:
    """Where the simulator has no advantage over interpolation, and where interpolation has no answer."""
    behind = [
        f"{group.name} ({_median(group, 'row')} % against {_median(group, 'interpolation')} %)"
        for group in _behind(validation)
    ]
    without = [group.name for group in validation.groups if "interpolation" not in group.scores]
    found = "By row, the simulator's median error is below interpolation's in every group where there is one."
    if behind:
        found = f"By row, the simulator's median error is not below interpolation's in: {'; '.join(behind)}."
    return f"{found} Interpolation has no answer in: {'; '.join(without)}." if without else found


def _behind(validation: Validation) -> list[Group]:
    both = [group for group in validation.groups if "interpolation" in group.scores]
    return [group for group in both if group.scores["row"].median_ape >= group.scores["interpolation"].median_ape]


def _median(group: Group, key: str) -> float | None:
    return _percent(group.scores[key].median_ape) if key in group.scores else None


def _percent(share: float) -> float:
    return round(100 * share, 1) + 0.0  # no -0


def _wrapped(text: str) -> None:
    for line in textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False):
        say(line)
