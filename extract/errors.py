"""Errors of an extraction, each shown to the user as one line without a traceback."""

from __future__ import annotations

import errno

from extract.plain_text import escaped

__all__ = [
    "DISK_FULL_ERRNOS",
    "NOBODY_READS_ERRNOS",
    "ExtractError",
    "PromptError",
    "TraceError",
    "UnsupportedModelError",
]

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, a used-up quota and a file too large for its file system."""

NOBODY_READS_ERRNOS = (errno.EPIPE, errno.EIO)
"""Error numbers of a pipe whose reader has ended, and of a terminal that is closed."""


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
