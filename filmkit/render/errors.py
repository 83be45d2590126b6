"""Turn exceptions into one-line messages for the user."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from tempfile import gettempdir

from extract.errors import DISK_FULL_ERRNOS
from extract.files import OutputError
from extract.printing import echo
from extract.trace import TraceError
from filmkit.core.view import StageError

__all__ = ["RenderError", "explain"]


class RenderError(Exception):
    """A scene could not be rendered; the message is one line for the user.

    Parameters
    ----------
    message
        The message.
    unwritable
        Whether the cause is a file that could not be written.
    """

    def __init__(self, message: str, *, unwritable: bool = False) -> None:
        super().__init__(message)
        self.unwritable = unwritable


# Errors whose cause lies outside of the program, such as a full disk. Their message says all that
# the user needs to know.
EXPECTED = (OutputError, StageError, TraceError, RenderError)

# Where the code is that a user cannot have got wrong.
LIBRARIES = (sysconfig.get_path("stdlib"), "<frozen")
ENGINE = Path(__file__).resolve().parent


def explain(error: Exception, *, verbose: bool | None) -> str:
    """Return a one-line message for an error; when verbose, print its traceback first.

    For an error in the program's code the line also names the beat and the line of code.

    Parameters
    ----------
    error
        The error.
    verbose
        Whether the user asked for a traceback; None where there is no way to ask.
    """
    if verbose:
        echo("".join(traceback.format_exception(error)), err=True)
    text = " ".join(str(error).split())
    if isinstance(error, EXPECTED):
        return text
    notes = list(getattr(error, "__notes__", ()))
    if isinstance(error, OSError) and not notes:
        return _refusal(error)
    where = ", ".join([*notes, *_line(error)])
    if isinstance(error, OSError):
        return f"{_refusal(error)} ({where})"
    where = f"{where}; " if where else ""
    hint = "" if verbose is None else "; --verbose shows where"
    return f"{type(error).__name__}: {text} ({where}a mistake in the program{hint})"


def _refusal(error: OSError) -> str:
    """Return one line that says what the system refused: a file, a folder, space on a disk."""
    what = f"cannot use {error.filename}: " if error.filename else ""
    advice = ""
    if error.errno in DISK_FULL_ERRNOS:
        where = "on that disk" if what else f"for the output and in {gettempdir()}"
        advice = f"; make room {where} and run again"
    return f"{what}{error.strerror or error}{advice}"


def _line(error: Exception) -> list[str]:
    """Return the innermost line of code outside of the libraries and of the render engine."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(LIBRARIES)
        and "site-packages" not in frame.filename
        and ENGINE not in Path(frame.filename).parents
    ]
    return [f"{Path(own[-1].filename).name} line {own[-1].lineno}"] if own else []
