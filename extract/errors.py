"""Errors of an extraction, each shown to the user as one line without a traceback."""

from __future__ import annotations

import re

from extract.support.plain_text import escaped

__all__ = [
    "ExtractError",
    "MissingTensorError",
    "PromptError",
    "TraceError",
    "UnsupportedModelError",
    "is_out_of_memory",
]


class _OneLineError(Exception):
    """An error whose message is one line that is safe to print.

    Messages quote names of models, files and tensors, which may hold anything.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escaped(" ".join(message.splitlines())))


class ExtractError(_OneLineError):
    """A model cannot be found, loaded or traced; the message is one line that says what to do."""


class PromptError(ExtractError):
    """A prompt that does not fit the pictures."""


class UnsupportedModelError(ExtractError):
    """A model whose attention does something that a trace cannot show truthfully."""


class TraceError(_OneLineError):
    """A trace cannot be read, written or used; the message is one line that says what to do."""


class MissingTensorError(TraceError):
    """A trace has no tensor of a name, which code has asked for."""


_NO_MEMORY = re.compile("(?:can.t|cannot) allocate memory|not enough memory", re.IGNORECASE)
"""Matches what torch, the system and this project say when there is too little."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is too little memory; torch has no kind for it."""
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))
