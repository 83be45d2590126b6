"""Turn exceptions into one-line messages for the user."""

from __future__ import annotations

import re
import signal
import sysconfig
import traceback
from collections.abc import Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from tempfile import gettempdir
from traceback import FrameSummary

from extract.errors import MissingTensorError
from extract.support.files import DISK_FULL_ERRNOS, OutputError
from extract.support.plain_text import error_line
from extract.support.printing import echo
from extract.trace import TraceError
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.voice.errors import VoiceError

__all__ = ["EditedError", "PoolError", "RenderError", "ended_early", "explain", "scene_place"]


class RenderError(Exception):
    """A scene could not be rendered; the message is one line for the user.

    Parameters
    ----------
    message
        The message.
    unwritable
        Whether the cause is a file that could not be written.
    misfit
        Why the scene cannot show this trace, if that is the cause.
    """

    def __init__(self, message: str, *, unwritable: bool = False, misfit: str = "") -> None:
        super().__init__(message)
        self.unwritable = unwritable
        self.misfit = misfit


class PoolError(RenderError):
    """An error that ends the whole run, as no scene can be rendered any more."""


class EditedError(RenderError):
    """What is drawn was edited just now, so that nobody can say what its pictures show."""

    def __init__(self) -> None:
        super().__init__(
            "the code or data of a scene was edited while this run started; run it again"
        )


def ended_early(code: int) -> str:
    """Say how a process has ended that should have gone on, from its exit code."""
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    return f"its process ended early ({how})"


# Errors whose cause lies outside of the program, such as a full disk. Their message says all that
# the user needs to know.
EXPECTED = (OutputError, StageError, TraceError, RenderError, VoiceError)

# Where the code is that a user cannot have got wrong: that of a library, or without a file.
LIBRARIES = (sysconfig.get_path("stdlib"), "<")
ENGINE = Path(__file__).resolve().parent
KIT = ENGINE.parent
STACK_LINE = re.compile(r'File "(.+)", line (\d+)')
PROGRAM = (KIT, KIT.parent / "extract")  # all other code is that of scenes


def explain(error: Exception, *, verbose: bool | None) -> str:
    """Return a one-line message for an error; when verbose, print its traceback first.

    A `RenderError` says all there is to know: where it began, a traceback has been printed.

    For an error in the code of the program or of a scene the line also names the beat and the line
    of code.

    Parameters
    ----------
    error
        The error.
    verbose
        Whether the user asked for a traceback; None where there is no way to ask.
    """
    if verbose and not isinstance(error, RenderError):
        echo("".join(traceback.format_exception(error)), err=True)
    text = error_line(str(error))
    notes = list(getattr(error, "__notes__", ()))
    asked = _scene_frames(_own_frames(error, without=[]))
    if isinstance(error, SceneCodeError):
        place = [error.place] if error.place else _places(_own_frames(error, without=[KIT]))
        return f"{', '.join([*place, *notes])}: {text}"
    if isinstance(error, MissingTensorError) and asked:
        return f"{', '.join([*_places(asked), *notes])}: {text}"
    if isinstance(error, EXPECTED):
        return text
    if isinstance(error, OSError) and not notes:
        return _refusal(error)
    frames = _own_frames(error, without=[ENGINE])
    where = ", ".join([*notes, *_places(frames)])
    if isinstance(error, OSError):
        return f"{_refusal(error)} ({where})"
    mistake = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if place := _places(asked):
        hint = "" if verbose is None else " (--verbose shows the way)"
        return f"{', '.join([*place, *notes])}: {mistake}; mend it there{hint}"
    where = f"{where}; " if where else ""
    hint = "" if verbose is None else "; --verbose shows where"
    return f"{mistake} ({where}a mistake in the program{hint})"


def scene_place(stacks: str) -> str:
    """Return file and line of a scene's own code that a process has last been at; "" if none.

    Parameters
    ----------
    stacks
        What :mod:`faulthandler` has written, thread by thread, when the process was ended.
    """
    for stack in stacks.split("\n\n"):
        calls = [FrameSummary(file, int(line), "") for file, line in STACK_LINE.findall(stack)]
        if place := _places(_scene_frames(_without_libraries(calls[::-1]))):
            return place[0]
    return ""


def _refusal(error: OSError) -> str:
    """Return one line that says what the system refused: a file, a folder, space on a disk."""
    what = f"cannot use {error_line(str(error.filename))}: " if error.filename else ""
    advice = ""
    if error.errno in DISK_FULL_ERRNOS:
        where = "on that disk" if what else f"for the output and in {gettempdir()}"
        advice = f"; make room {where} and run again"
    return f"{what}{error.strerror or error}{advice}"


def _own_frames(error: Exception, *, without: Sequence[Path]) -> list[FrameSummary]:
    """Return the lines of code on the way to an error, but those of libraries and some folders."""
    frames = _without_libraries(traceback.extract_tb(error.__traceback__))
    return [frame for frame in frames if not _is_in(frame, without)]


def _without_libraries(frames: Sequence[FrameSummary]) -> list[FrameSummary]:
    return [
        frame
        for frame in frames
        if not frame.filename.startswith(LIBRARIES) and "site-packages" not in frame.filename
    ]


def _scene_frames(frames: Sequence[FrameSummary]) -> list[FrameSummary]:
    """Return the lines of a scene's own code that the program has run, of those on the way.

    What the kit and its libraries were asked to do there, the scene has asked for. That they cannot
    be imported it has not.
    """
    called = dropwhile(lambda frame: not _is_in(frame, PROGRAM), frames)
    # Code that nothing of the program has called has at least not asked it for anything.
    within = list(called) or frames[-1:]
    asked = takewhile(lambda frame: _is_in(frame, PROGRAM), reversed(within))
    if any(frame.name == "<module>" for frame in asked):
        return []
    return [frame for frame in within if not _is_in(frame, PROGRAM)]


def _is_in(frame: FrameSummary, folders: Sequence[Path]) -> bool:
    """Whether a line of code is in one of some folders."""
    return any(folder in Path(frame.filename).parents for folder in folders)


def _places(frames: Sequence[FrameSummary]) -> list[str]:
    """Return file and line of the innermost line of code, if there is one."""
    return [f"{Path(frames[-1].filename).name} line {frames[-1].lineno}"] if frames else []
