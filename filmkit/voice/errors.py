"""The error of voices."""

from __future__ import annotations

__all__ = ["VoiceError"]


class VoiceError(Exception):
    """A voice cannot be used or fails; the message is one line that says what to do."""
