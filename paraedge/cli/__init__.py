"""The commands; the only room that prints. Each command imports what it needs when it runs, so `--help` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from paraedge import __version__
from paraedge.cli import analyses, calibrate, campaigns, edgetpu, machine, model, predict, reports
from paraedge.cli.compile import compile_models
from paraedge.cli.cut import cut
from paraedge.cli.group import AppGroup
from paraedge.cli.options import example
from paraedge.cli.partition import partition
from paraedge.cli.profile import profile

app = typer.Typer(
    name="paraedge",
    cls=AppGroup,
    help="A parameterized benchmark suite for edge accelerators.",
    epilog=example("paraedge run quick", "paraedge report results/quick"),
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A parameterized benchmark suite for edge accelerators."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(epilog=example("paraedge run quick", "paraedge run my.toml -d cpu -d sim-edgetpu-usb3 -o results/mine"))(
    campaigns.run
)
app.command(epilog=example("paraedge expand paradnn-fc"))(campaigns.expand)
app.command(epilog=example("paraedge build smoke -o models"))(campaigns.build)
app.command(name="compile", epilog=example("paraedge compile mobilenet.tflite -o compiled"))(compile_models)
app.command(epilog=example("paraedge cut mobilenet.tflite --at 12,24 -o segments"))(cut)
app.command(epilog=example("paraedge devices --json"))(machine.devices)
app.command(epilog=example("paraedge doctor"))(machine.doctor)
app.command(epilog=example("paraedge inspect mobilenet.tflite"))(model.inspect)
app.command(
    epilog=example(
        "paraedge partition mobilenet.tflite --segments 3", "paraedge partition net.tflite --cluster four-boards"
    )
)(partition)
app.command(epilog=example("paraedge predict mobilenet.tflite --device sim-edgetpu-usb3 --why"))(predict.predict)
app.command(epilog=example("paraedge profile mobilenet.tflite", "paraedge profile quick -d cpu -d sim-edgetpu-usb3"))(
    profile
)
app.command(epilog=example("paraedge calibrate results/mine --base sim-edgetpu-usb3 -o my-host.toml"))(
    calibrate.calibrate
)
app.command(epilog=example("paraedge validate --data published"))(calibrate.validate)
app.add_typer(edgetpu.app, name="edgetpu")
app.add_typer(analyses.app, name="analyze")
app.command(epilog=example("paraedge report results/quick", "paraedge report results/a results/b --out both"))(
    reports.report
)
app.command(epilog=example("paraedge compare results/monday results/tuesday"))(reports.compare)


def main() -> None:
    """Entry point of the `paraedge` script."""
    app()
