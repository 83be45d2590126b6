"""Print for people: nothing that moves their cursor, and no complaint when nobody reads.

Names of models, tokens, files and prompts come from others, and a terminal obeys escape sequences
in them. Every message and every list goes through :func:`echo`. It needs neither Rich nor NumPy.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

import click

from extract.support.plain_text import escaped, escaped_json

__all__ = ["echo", "print_json", "prints_as_messages", "send_nowhere", "tolerating_closed_output"]

_NOBODY_READS = (errno.EPIPE, errno.EIO)
"""Error numbers of a pipe whose reader has ended, and of a terminal that is closed."""


def echo(message: object, *, err: bool = False, end: str = "\n") -> None:
    """Print lines without characters that a terminal may act on; tabs stay, as in tables.

    Parameters
    ----------
    message
        Text, or what ``str`` makes of it.
    err
        Whether to print to stderr instead of stdout.
    end
        What follows the text.

    Raises
    ------
    OSError
        As :func:`tolerating_closed_output`.
    """
    stream = sys.stderr if err else sys.stdout
    text = re.sub(r"[^\n\t]+", lambda match: escaped(match[0]), str(message))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    with tolerating_closed_output(stream):
        click.echo(f"{shown}{end}", file=stream, nl=False)


def print_json(document: object) -> None:
    """Print a document as JSON, without characters that a terminal may act on."""
    echo(escaped_json(json.dumps(document, ensure_ascii=False, indent=2)))


@contextmanager
def prints_as_messages() -> Iterator[None]:
    """Print to stderr, with :func:`echo`, what code of others prints to stdout in the block."""
    with redirect_stdout(_Messages()):
        yield


class _Messages(io.TextIOBase):
    def write(self, text: str) -> int:
        echo(text, err=True, end="")
        return len(text)


@contextmanager
def tolerating_closed_output(stream: TextIO) -> Iterator[None]:
    """Write to a stream; if its reader or its terminal is gone, what follows goes nowhere.

    Raises
    ------
    OSError
        When the stream cannot be written for another reason, such as a full disk, unless it is
        stderr: messages that cannot be printed end no job.
    """
    try:
        yield
    except OSError as error:
        send_nowhere(stream)
        if error.errno not in _NOBODY_READS and stream is not sys.stderr:
            raise


def send_nowhere(stream: TextIO) -> None:
    """Replace a stream's file by one that takes anything.

    Otherwise what is left in its buffer is an error again when the program ends.
    """
    with suppress(OSError, ValueError):  # a stream of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
