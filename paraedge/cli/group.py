"""How every command ends: 0 the work was done, 2 bad input with one line, 1 anything else."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol, cast

import typer
from typer.core import TyperGroup

from paraedge.core.errors import ParaedgeError, short

BAD_INPUT = 2
STOPPED = 1
OTHER = 1

BAD_PATHS = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)
"""What a path that the user gave can do wrong; a room that says more raises BadInput itself."""

ClickError = cast("type[_UsageError]", typer.BadParameter.__mro__[2])
"""ClickException: Typer carries its own copy of click since 0.26 and gives it no public name."""


class _UsageError(Protocol):
    """What we use of click's exceptions."""

    ctx: Any

    def format_message(self) -> str: ...


class AppGroup(TyperGroup):
    """The top of the commands. Errors are answered here, so `app()` and a test's runner get the same exit codes."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # click's own signature
    ) -> Any:
        """Run the command that `args` name and exit with its code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
            if sys.stdout is not None:  # a shell can close it: `>&-`
                sys.stdout.flush()
        except ClickError as error:  # type: ignore[misc]
            _end(BAD_INPUT, _usage(error))
        except ParaedgeError as error:
            _end(error.exit_code, short(error, 2000))
        except (KeyboardInterrupt, typer.Abort):
            _end(STOPPED, "stopped; run the same command to go on")
        except BAD_PATHS as error:
            _end(
                BAD_INPUT,
                f"{error.filename}: {error.strerror}; give a path that can be used" if error.filename else str(error),
            )
        except OSError as error:
            _os_error(error)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Keep Ctrl-C from click, whose answer to it differs between versions."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


def _usage(error: Any) -> str:
    """Click's complaint as one line, with the command whose help would tell."""
    path = error.ctx.command_path if getattr(error, "ctx", None) is not None else "paraedge"
    return f"{short(error.format_message(), 1000)} (see `{path} --help`)"


def _os_error(error: OSError) -> NoReturn:
    if error.errno == errno.EPIPE:  # the reader of our output went away, as `head` does: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OTHER)
    where = f"{error.filename}: " if error.filename else ""
    _end(OTHER, f"{where}{error.strerror or error}")


def _end(code: int, line: str) -> NoReturn:
    typer.echo(f"paraedge: {line}", err=True)
    sys.exit(code)
