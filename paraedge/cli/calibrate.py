"""`calibrate` and `validate`: a simulated device from measurements, and how far the shipped ones are off."""

from __future__ import annotations

import dataclasses
import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paraedge.cli.calibrate_output import calibration_json, print_calibration, print_validation, validation_json
from paraedge.cli.options import JsonOption, campaign_folder
from paraedge.cli.output import emit_json
from paraedge.core.errors import BadInput

if TYPE_CHECKING:
    from paraedge.calibrate import Calibration
    from paraedge.simulate import Hardware

NAME = re.compile(r"sim-[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def calibrate(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="A campaign, a CSV of measurements, or the published tables' folder.")
    ],
    base: Annotated[
        str, typer.Option("--base", metavar="D", help="The simulated device that unmeasured constants are taken from.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The hardware file to write, a .toml.")],
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="The device's name. Default: sim- and FILE's; of published tables, the base's.",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", "-d", metavar="D", help="Whose rows to take, where there are several.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fit a simulated device's constants to measurements.

    TABLE: a campaign measured on an edgetpu; or a CSV with latency_ms and either model (a .tflite file before
    compiling) or family and its parameters, a row a model. Constants that the rows can't tell stay those of the base.
    With the folder of the published tables, makes the shipped file of the base again.
    """
    from paraedge.simulate import load_hardware

    before = load_hardware(base)
    _refuse_file(out)
    calibration, warnings = _calibration(campaign_folder(table), before, out, name, device)
    _write(calibration.hardware, out)
    if json:
        emit_json(calibration_json(calibration, before, out, warnings))
    else:
        print_calibration(calibration, before, out, warnings)


def validate(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder of the published tables.")],
    json: JsonOption = False,
) -> None:
    """Show how far predictions are from published measurements.

    Every row is predicted by constants that were fitted without it, and again without its whole regime, model or host;
    beside two baselines that know no physics.
    """
    from paraedge.calibrate import validate as judge
    from paraedge.calibrate.table import check_published

    check_published(data)
    validation = judge(data)
    if json:
        emit_json(validation_json(validation))
    else:
        print_validation(validation)


def _calibration(
    table: Path, base: Hardware, out: Path, name: str | None, device: str | None
) -> tuple[Calibration, list[str]]:
    """A shipped device again, or one of the user's own with what its table tells in place of the base's texts.

    With what must be said of it; raises BadInput for measurements that are no such device's.
    """
    from paraedge.calibrate import calibrate as fit
    from paraedge.calibrate import calibrate_published
    from paraedge.calibrate.table import check_published, is_published, read_table
    from paraedge.calibrate.verdict import OWN_FIT, doubts, refuse_absurd, with_limits_told

    if is_published(table):
        if device is not None:
            raise BadInput(f"{table} holds the published tables, whose host is that of {base.name}: leave out --device")
        chosen = None if name is None else _name(name, out)
        check_published(table)
        published = calibrate_published(table, base)
        return (published if chosen is None else _renamed(published, chosen)), []
    chosen, title = _name(name, out), table.resolve().name
    rows = read_table(table, base, device=device)
    calibration = with_limits_told(fit(rows, base, name=chosen, source=f"{OWN_FIT} {title}"))
    refuse_absurd(calibration)
    summary = f"Edge TPU on {base.interface}, calibrated from {title}"
    host = "not stated" if rows[0].host == base.name else rows[0].host
    hardware = dataclasses.replace(calibration.hardware, summary=summary, host=host)
    return dataclasses.replace(calibration, hardware=hardware), doubts(calibration, base, rows)


def _renamed(calibration: Calibration, name: str) -> Calibration:
    """The same under another name, which its own errors go by too."""
    hardware = calibration.hardware
    residuals = {
        key: dataclasses.replace(entry, device=name) if entry.device == hardware.name else entry
        for key, entry in hardware.residuals.items()
    }
    return dataclasses.replace(calibration, hardware=dataclasses.replace(hardware, name=name, residuals=residuals))


def _write(hardware: Hardware, out: Path) -> None:
    """Write a new file; raises BadInput, and leaves none, where no device could have these constants."""
    from paraedge.calibrate.hardware_text import hardware_text
    from paraedge.simulate import load_hardware

    with out.open("x", encoding="utf-8", newline="\n") as file:
        file.write(hardware_text(hardware))
    try:
        load_hardware(out)
    except BadInput as error:
        out.unlink()
        raise BadInput(f"no device fits these measurements, so nothing was written ({error})") from None


def _refuse_file(out: Path) -> None:
    if out.suffix != ".toml":
        raise BadInput(f"{out} is no name of a hardware file; it must end in .toml")
    if os.path.lexists(out):
        raise BadInput(f"{out} is there already; name another file with --out")
    if not out.parent.is_dir():
        raise BadInput(f"{out.parent} is no folder to write {out.name} to; name one that is there")


def _name(name: str | None, out: Path) -> str:
    """The device's name: as asked, or by the file; raises BadInput for what can't be one or is a shipped device's."""
    from paraedge.simulate.hardware import SHIPPED

    chosen = name if name is not None else out.stem if out.stem.startswith("sim-") else f"sim-{out.stem}"
    if NAME.fullmatch(chosen) is None:
        raise BadInput(
            f"{chosen!r} can't name a simulated device; give --name sim- with letters, digits, '-', '_', '.'"
        )
    if (SHIPPED / f"{chosen}.toml").exists():
        raise BadInput(f"the name {chosen} is a shipped device's; choose another with --name")
    return chosen
