"""Errors of scenes, each with a message of one line that says what to do."""

from __future__ import annotations

__all__ = ["SceneCodeError", "StageError"]


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
