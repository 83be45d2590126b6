"""Turn exceptions into one-line messages for the user."""

from __future__ import annotations

import traceback
from pathlib import Path

from extract.files import OutputError
from extract.trace import TraceError
from filmkit.core.errors import SceneCodeError, StageError

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

ENGINE = Path(__file__).resolve().parent


def explain(error: Exception, *, verbose: bool) -> str:
    """Return a one-line message for an error; when verbose, print its traceback first.

    For an error in the program's code the line also names the beat and the line of code.
    """
    if verbose:
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if isinstance(error, SceneCodeError):
        place = [error.place] if error.place else _line(error, own_code=False)
        return f"{', '.join([*place, *getattr(error, '__notes__', ())])}: {text}"
    if isinstance(error, EXPECTED):
        return text
    notes = [*getattr(error, "__notes__", ()), *_line(error)]
    where = f"{', '.join(notes)}; " if notes else ""
    return (
        f"{type(error).__name__}: {text} ({where}a mistake in the program; --verbose shows where)"
    )


def _line(error: Exception, *, own_code: bool = True) -> list[str]:
    """Return the innermost line of code outside of the libraries and of the render engine.

    Without ``own_code`` it is the innermost line outside of this package: a line of a scene.
    """
    engine = ENGINE if own_code else ENGINE.parent
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and engine not in Path(frame.filename).parents
    ]
    return [f"{Path(own[-1].filename).name} line {own[-1].lineno}"] if own else []
