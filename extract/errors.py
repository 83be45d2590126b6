"""Why an extraction stops: one line for the user, without a traceback."""

from __future__ import annotations

__all__ = ["ExtractError", "UnsupportedModelError"]


class ExtractError(Exception):
    """A model cannot be found, loaded or traced: one line that says what to do."""


class UnsupportedModelError(ExtractError):
    """A model whose attention does something that a trace cannot show truthfully."""
