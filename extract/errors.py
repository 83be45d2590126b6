"""Why an extraction stops: one line for the user, without a traceback."""

from __future__ import annotations

import errno

__all__ = ["NO_ROOM", "ExtractError", "UnsupportedModelError"]

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when a disk is full, a quota used up or a file too large for its disk."""


class ExtractError(Exception):
    """A model cannot be found, loaded or traced: one line that says what to do."""


class UnsupportedModelError(ExtractError):
    """A model whose attention does something that a trace cannot show truthfully."""
