"""Errors of scenes, each with a message of one line that says what to do."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

__all__ = [
    "SceneCodeError",
    "StageError",
    "place_of_code",
    "require_call",
    "running_scene_code",
]


class StageError(Exception):
    """A trace cannot be shown as requested; its message is one line that says what to do."""


class SceneCodeError(StageError):
    """The code of a scene cannot work as it is written; the message says how to mend it.

    Attributes
    ----------
    place : str
        File and line of the mistake, "" if it is the line of the scene that raised this error.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


def place_of_code(function: Callable[..., object]) -> str:
    """Return file and line of a function, as :attr:`SceneCodeError.place` has them."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{Path(code.co_filename).name} line {code.co_firstlineno}" if code else ""


def require_call(
    function: Callable[..., object], what: str, /, *given: object, **named: object
) -> None:
    """Refuse a function of a scene that does not take what the kit calls it with.

    Parameters
    ----------
    function
        The function.
    what
        What it is, such as "the beat opening".
    *given, **named
        Its arguments, or anything in their place.

    Raises
    ------
    SceneCodeError
        If it takes others.
    """
    try:
        inspect.signature(function).bind(*given, **named)
    except TypeError as error:
        raise SceneCodeError(
            f"{what} is called with other arguments than its function has: {error}",
            place_of_code(function),
        ) from None


@contextmanager
def running_scene_code() -> Iterator[None]:
    """Turn what would end the program, such as SystemExit, into a SceneCodeError.

    A KeyboardInterrupt stays what it is: it stops the program. If the code changes to another
    folder, that is only for itself; that complex numbers lose their imaginary parts is an error.
    """
    from numpy.exceptions import ComplexWarning  # takes long to import, and --help needs none

    try:
        with warnings.catch_warnings(), chdir("."):
            warnings.simplefilter("error", ComplexWarning)
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        mistake = SceneCodeError(f"{error!r} would end the program; take it out")
        for note in getattr(error, "__notes__", ()):
            mistake.add_note(note)
        raise mistake.with_traceback(error.__traceback__) from error
