"""Print every error of ``python -m extract`` as one line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from extract.errors import ExtractError, TraceError, is_out_of_memory
from extract.support.docstrings import fault_of_python
from extract.support.files import DISK_FULL_ERRNOS
from extract.support.plain_text import error_line
from extract.support.printing import echo

__all__ = ["OneLineErrors"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in a shell."""


class OneLineErrors(click.Group):
    """Command group that prints every error as one line.

    The exit code is 1 for a failed job, 2 for a usage error and 130 after Ctrl-C, as for
    ``render.py``.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and exit; without ``standalone_mode`` errors are raised instead."""
        try:
            if fault := fault_of_python():
                raise click.UsageError(fault)
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            return sys.exit(result) if standalone_mode else result
        except click.ClickException as error:
            if not standalone_mode:
                raise
            echo(f"Error: {error_line(error.format_message())}", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            if not standalone_mode:
                raise
            echo("Interrupted: unfinished files were removed", err=True)
            sys.exit(INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with ``--verbose`` print the traceback of an error."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params["verbose"]:
                traceback.print_exc()
            raise click.ClickException(_explained(error)) from error


def _explained(error: Exception) -> str:
    """Return one line that says what went wrong and whether it is a fault of the program."""
    if isinstance(error, ExtractError | TraceError):
        return str(error)
    if is_out_of_memory(error):
        return "there is not enough memory; trace a smaller model or a shorter prompt"
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        full = error.errno in DISK_FULL_ERRNOS
        return f"{where}{error.strerror}{'; make room on that disk and run again' if full else ''}"
    return (
        f"{type(error).__name__}: {error} (a mistake in the program; --verbose before the command "
        "shows where)"
    )
