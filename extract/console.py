"""Print for people: nothing that moves their cursor, and no complaint when nobody reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import click
import rich.console

from extract.errors import NOBODY_READS_ERRNOS
from extract.plain_text import escaped

__all__ = ["Console", "echo", "tolerating_closed_output"]


class Console(rich.console.Console):
    """Console whose output is lost where nobody reads it; the program goes on."""

    def on_broken_pipe(self) -> None:
        """Send what follows nowhere, instead of ending the program."""
        _send_nowhere(sys.stderr if self.stderr else sys.stdout)


def echo(text: str, *, err: bool = False) -> None:
    """Print lines without characters that a terminal may act on."""
    stream = sys.stderr if err else sys.stdout
    with tolerating_closed_output(stream):
        click.echo("\n".join(map(escaped, text.split("\n"))), file=stream)


@contextmanager
def tolerating_closed_output(stream: TextIO) -> Iterator[None]:
    """Write to a stream; if its reader or its terminal is gone, what follows goes nowhere."""
    try:
        yield
    except OSError as error:
        if error.errno not in NOBODY_READS_ERRNOS:
            raise
        _send_nowhere(stream)


def _send_nowhere(stream: TextIO) -> None:
    """Replace a stream's file by one that takes anything.

    Otherwise what is left in its buffer is an error again when the program ends.
    """
    with suppress(OSError, ValueError):  # a stream of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
