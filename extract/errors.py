"""Errors of an extraction, each shown to the user as one line without a traceback."""

from __future__ import annotations

import errno

__all__ = ["DISK_FULL_ERRNOS", "ExtractError", "TraceError", "UnsupportedModelError"]

DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, a used-up quota and a file too large for its file system."""


class ExtractError(Exception):
    """A model cannot be found, loaded or traced; the message is one line that says what to do."""


class UnsupportedModelError(ExtractError):
    """A model whose attention does something that a trace cannot show truthfully."""


class TraceError(Exception):
    """A trace cannot be read, written or used; the message is one line that says what to do."""
