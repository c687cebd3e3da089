"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from paraedge.core.errors import BadInput

MANY_POINTS = 1_000_000
"""A grid of more points than this is more often a slip than a wish."""

SweepArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="SWEEP", help="A sweep's TOML file, or the name of a shipped one.")
]
ModelArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="MODEL.tflite", help="A TensorFlow Lite file.")]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
YesOption: TypeAlias = Annotated[bool, typer.Option("--yes", help="Go on with a grid of more than a million points.")]


def example(*lines: str) -> str:
    """The end of a help text: what to type. Click keeps the lines of a paragraph that begins with a backspace mark."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def refuse_many(points: int, yes: bool) -> None:
    """Raise BadInput for a grid of more than a million points, unless the user said yes."""
    if points > MANY_POINTS and not yes:
        raise BadInput(
            f"the grid has {points:,} points, more than {MANY_POINTS:,}; make its ranges smaller, or say --yes"
        )


def campaign_folder(text: str | Path) -> Path:
    """A campaign's folder: a path, or the name of a campaign under `results/`."""
    path = Path(text)
    named = Path("results") / path
    return named if not path.exists() and named.is_dir() else path
