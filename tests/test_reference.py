"""The reference and the lists of commands: nothing left open, nothing cut."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from paraedge.cli import app
from paraedge.cli.reference import markdown


@pytest.mark.parametrize("group", ["", "edgetpu", "analyze"])
def test_what_a_command_does_fits_its_line_in_the_list(group: str) -> None:
    text = CliRunner().invoke(app, [*group.split(), "--help"]).stdout
    listed = text.split("Commands:")[1].split("Example:")[0]
    assert "..." not in listed


def test_options_name_their_value_and_their_default() -> None:
    text = markdown(app)
    assert "None" not in text
    assert "| `--segments, -n N` | Files to cut each model into, for a pipeline. Default: `1`. |" in text
    assert "Default: `180`." in text
    assert "Default: `False`." not in text
