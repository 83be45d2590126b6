"""Errors in words for the user."""

from __future__ import annotations

import traceback
from pathlib import Path

from extract.files import OutputError
from extract.trace import TraceError
from filmkit.core.view import StageError

__all__ = ["WorkError", "explain"]


class WorkError(Exception):
    """A scene could not be rendered; the message is one line for the user.

    Parameters
    ----------
    said
        The message.
    unwritable
        Whether the reason is a file that could not be written.
    """

    def __init__(self, said: str, *, unwritable: bool = False) -> None:
        super().__init__(said)
        self.unwritable = unwritable


# What goes wrong outside of the program; the message says all that is to be known.
FORESEEN = (OutputError, StageError, TraceError, WorkError)

ENGINE = Path(__file__).resolve().parent


def explain(error: Exception, *, verbose: bool) -> str:
    """One line for an error; when verbose, its traceback is printed before.

    Of a mistake it says in which beat and on which line it is.
    """
    if verbose:
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if isinstance(error, FORESEEN):
        return text
    notes = [*getattr(error, "__notes__", ()), *_line(error)]
    where = f"{', '.join(notes)}; " if notes else ""
    return (
        f"{type(error).__name__}: {text} ({where}a mistake in the program; --verbose shows where)"
    )


def _line(error: Exception) -> list[str]:
    """The innermost line of code that is neither a library's nor the engine's."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and ENGINE not in Path(frame.filename).parents
    ]
    return [f"{Path(own[-1].filename).name} line {own[-1].lineno}"] if own else []
