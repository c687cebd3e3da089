"""The commands' reference as Markdown, from the same objects that `--help` is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

HEAD = """# Commands

Made from the program's own `--help` by `nox -s docs -- --write`; a test compares them.

Exit codes: 0 the command did its work, failed rows included; 2 bad input, with one line on stderr that says what is
wrong and what would be right; 1 anything else, Ctrl-C among it. With `--json`, stdout holds one JSON document and
nothing else.
"""


def markdown(app: typer.Typer) -> str:
    """Every command of `app`: what it does, its usage, arguments, options and example."""
    top = typer.main.get_command(app)
    return HEAD + "".join(_command(command, path) for path, command in _walk(top, "paraedge") if path != "paraedge")


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """`command` and those below it, with what is typed to call each. Groups are those that have `commands`."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _walk(below, f"{path} {name}")


def _command(command: Any, path: str) -> str:
    parts = [f"\n## {path}\n\n{_paragraphs(command.help)}\n"]
    if hasattr(command, "commands"):
        return parts[0]
    shown = [parameter for parameter in command.params if "--help" not in parameter.opts]
    arguments = [str(parameter.metavar) for parameter in shown if _is_argument(parameter)]
    parts.append("\n```\n" + " ".join([path, *arguments, "[OPTION ...]"]) + "\n```\n\n")
    parts.append("| | |\n| --- | --- |\n")
    parts += [f"| {_name(p)} | {_text(p)} |\n" for p in shown]
    if command.epilog:
        parts.append("\n```\n" + _example(command.epilog) + "\n```\n")
    return "".join(parts)


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(part.split()) for part in (text or "").split("\n\n") if part.strip())


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{parameter.metavar}`".replace("|", "\\|")
    value = "" if parameter.is_flag else f" {parameter.metavar}"
    return f"`{', '.join(parameter.opts)}{value}`".replace("|", "\\|")


def _text(parameter: Any) -> str:
    given = parameter.default
    required = " Required." if parameter.required and not _is_argument(parameter) else ""
    has_default = isinstance(given, (str, int, float)) and not parameter.is_flag
    default = f" Default: `{given}`." if has_default else ""
    return f"{parameter.help or ''}{required}{default}".replace("|", "\\|")


def _example(epilog: str) -> str:
    lines = (line.strip() for line in epilog.splitlines())
    return "\n".join(line for line in lines if line not in {"\b", "", "Example:"})
